"""How to reach a mailbox: host, transport security, user and credentials."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from worker.deadline import WAITS_OF_AN_ANSWER
from worker.domain.addresses import is_loopback
from worker.domain.errors import Refused


class Tls(StrEnum):
    """Transport security. With TLS, the certificate and the host name are always checked."""

    SSL = "ssl"
    STARTTLS = "starttls"
    NONE = "none"


class Mechanism(StrEnum):
    """SASL mechanism for a token: Google's and Microsoft's own, or that of RFC 7628."""

    XOAUTH2 = "XOAUTH2"
    OAUTHBEARER = "OAUTHBEARER"


@dataclass(frozen=True, slots=True)
class ImapAccess:
    """One login at one server, and the folder where new mail arrives.

    ``token`` is called at each login and replaces the password. ``ca_file`` replaces the system's authorities.
    ``timeout_seconds`` limits each wait for the server's next byte.

    Raises:
        Refused: when the host is not this machine and there is no TLS.
    """

    host: str
    port: int
    tls: Tls
    user: str
    password: str = field(default="", repr=False)
    folder: str = "INBOX"
    ca_file: Path | None = None
    timeout_seconds: float = 30.0
    token: Callable[[], str] | None = field(default=None, repr=False)
    mechanism: Mechanism = Mechanism.XOAUTH2

    def __post_init__(self) -> None:
        if self.tls is Tls.NONE and not is_loopback(self.host):
            raise Refused(f"{self.server}: plain text is for this machine only; use ssl or starttls")

    @property
    def server(self) -> str:
        """The server as error texts name it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"IMAP server {host}:{self.port}"

    @property
    def answer_seconds(self) -> float:
        """Time limit for a whole answer: long enough for a large message on a slow line."""
        return WAITS_OF_AN_ANSWER * self.timeout_seconds

    @property
    def queue_name(self) -> str:
        """The mailbox's name in the database."""
        return f"{self.user}@{self.host}/{self.folder}"
