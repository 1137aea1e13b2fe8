"""The mail server that sends the worker's own mail, and how the connection to it is protected."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from worker.domain.addresses import is_loopback
from worker.domain.errors import Refused

_EXPECTED = "smtp://, smtp+starttls:// or smtps://, then [USER:PASSWORD@]HOST[:PORT]"


class Security(StrEnum):
    """Encryption of the connection, named by the URL's scheme. Certificate and host name are always checked."""

    NONE = "smtp"
    STARTTLS = "smtp+starttls"
    TLS = "smtps"

    @property
    def port(self) -> int:
        """The well-known port (RFC 5321, RFC 6409, RFC 8314 §3.3)."""
        return {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}[self]


@dataclass(frozen=True, slots=True)
class MailServer:
    """One mail server. ``ca_file`` replaces the system's authorities; ``timeout_seconds`` bounds each wait.

    Raises:
        Refused: when a password would be sent in plain text over a network.
    """

    host: str
    port: int
    security: Security
    user: str | None = None
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    timeout_seconds: float = 15.0

    def __post_init__(self) -> None:
        if self.user is not None and self.security is Security.NONE and not is_loopback(self.host):
            raise Refused(f"{self}: a password in plain text is for this machine only; use smtps or smtp+starttls")

    @classmethod
    def parse(cls, url: str, *, ca_file: Path | None = None, timeout_seconds: float = 15.0) -> "MailServer":
        """Read the URL; special characters in its user and password are percent-encoded.

        Raises:
            Refused: when it is no such URL, or its password would be sent in plain text. The text never shows the URL.
        """
        try:
            parts = urlsplit(url)
            security, port = Security(parts.scheme), parts.port
        except ValueError:
            raise Refused(f"the mail server's URL cannot be read; it should be {_EXPECTED}") from None
        if not parts.hostname or port == 0 or (parts.password is not None and not parts.username):
            raise Refused(f"the mail server's URL cannot be used; it should be {_EXPECTED}")
        return cls(
            parts.hostname,
            port or security.port,
            security,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password or ""),
            ca_file,
            timeout_seconds,
        )

    def __str__(self) -> str:
        """Return host and port, as errors name them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mail server {host}:{self.port}"
