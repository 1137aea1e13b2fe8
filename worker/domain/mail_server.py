"""Which mail server takes our mail, and how safely it is reached."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from worker.domain.errors import Refused
from worker.domain.hosts import is_loopback

_EXPECTED = "smtp://, smtp+starttls:// or smtps://, then [USER:PASSWORD@]HOST[:PORT]"


class Security(StrEnum):
    """How the connection is protected, by the scheme of the URL. Certificate and host name are checked, always."""

    NONE = "smtp"
    STARTTLS = "smtp+starttls"
    TLS = "smtps"

    @property
    def port(self) -> int:
        """The well-known port (RFC 5321, RFC 6409, RFC 8314 §3.3)."""
        return {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}[self]


@dataclass(frozen=True, slots=True)
class MailServer:
    """One mail server; ``ca_file`` takes the place of the system's authorities, the timeout bounds each wait.

    Raises:
        Refused: a password that would cross the net in plain text.
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
        """Read SMTP_URL; its user and password are percent-encoded where they hold marks that URLs use.

        Raises:
            Refused: when it is none, or see above; never shows it, for it may hold a password.
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
        """Host and port, as each error names them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mail server {host}:{self.port}"
