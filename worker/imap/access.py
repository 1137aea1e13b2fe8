"""How a mailbox is reached: host, security, who logs in and with what."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from worker.deadline import WAITS_OF_AN_ANSWER
from worker.domain.errors import Refused
from worker.domain.hosts import is_loopback


class Tls(StrEnum):
    """How the connection is protected. The certificate and the host name are checked, always."""

    SSL = "ssl"
    STARTTLS = "starttls"
    NONE = "none"


class Mechanism(StrEnum):
    """What a token is presented with: Google's and Microsoft's own mechanism, or RFC 7628."""

    XOAUTH2 = "XOAUTH2"
    OAUTHBEARER = "OAUTHBEARER"


@dataclass(frozen=True, slots=True)
class ImapAccess:
    """One login at one server, and the folder that is the queue.

    ``token`` is asked at each login and then stands in for the password; ``ca_file`` takes the place of the system's
    authorities. ``timeout_seconds`` bounds each wait for the server's next octet.

    Raises:
        Refused: plain text to a host that is not this machine.
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
        """Host and port, as each error names them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"IMAP server {host}:{self.port}"

    @property
    def answer_seconds(self) -> float:
        """What bounds a whole answer: long enough for a large message on a slow line, however it trickles."""
        return WAITS_OF_AN_ANSWER * self.timeout_seconds

    @property
    def queue_name(self) -> str:
        """The name that decisions are stored under."""
        return f"{self.user}@{self.host}/{self.folder}"
