"""Descriptions of the servers that the worker connects to: address, protection of the connection, credentials."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from worker.domain.addresses import is_loopback
from worker.domain.errors import Refused

_WAITS_OF_AN_ANSWER = 4
"""How many times a socket's timeout a whole answer may take: enough for a large message on a slow line."""
_EXPECTED = "smtp://, smtp+starttls:// or smtps://, then [USER:PASSWORD@]HOST[:PORT]"


class Tls(StrEnum):
    """Encryption of the connection to the IMAP server. With TLS, certificate and host name are always checked."""

    SSL = "ssl"
    STARTTLS = "starttls"
    NONE = "none"

    @property
    def port(self) -> int:
        """The well-known port (RFC 8314 §7.1 and RFC 9051)."""
        return 993 if self is Tls.SSL else 143


class Mechanism(StrEnum):
    """Login at the IMAP server: by password, or by a token as Google and Microsoft (XOAUTH2) or RFC 7628 define it."""

    PASSWORD = "password"
    XOAUTH2 = "xoauth2"
    OAUTHBEARER = "oauthbearer"


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """The client and its token endpoint: uses the refresh token (RFC 6749 §6), or else its own credentials (§4.4).

    Raises:
        Refused: when the URL would send the secrets unencrypted.
    """

    token_url: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scope: str | None = None
    timeout_seconds: float = 30.0

    def __post_init__(self) -> None:
        url = urlsplit(self.token_url)
        host = url.hostname or ""
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(host)):
            raise Refused(f"{self.endpoint}: tokens are asked for over https only")

    @property
    def endpoint(self) -> str:
        """The endpoint as error texts name it."""
        return f"OAuth token endpoint {urlsplit(self.token_url).netloc.rpartition('@')[2] or '(no host)'}"

    @property
    def answer_seconds(self) -> float:
        """Time limit for a whole answer."""
        return _WAITS_OF_AN_ANSWER * self.timeout_seconds


@dataclass(frozen=True, slots=True)
class ImapAccess:
    """One login at one IMAP server, and the folder where new mail arrives.

    ``token`` is called at each login and replaces the password; it asks ``oauth`` for one. ``ca_file`` replaces the
    system's authorities. ``timeout_seconds`` limits each wait for the server's next byte.

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
    mechanism: Mechanism = Mechanism.PASSWORD
    oauth: OAuthClient | None = None
    token: Callable[[], str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.tls is Tls.NONE and not is_loopback(self.host):
            raise Refused(f"{self.server}: plain text is for this machine only; use ssl or starttls")

    @property
    def server(self) -> str:
        """The server as error texts name it."""
        return f"IMAP server {_shown(self.host, self.port)}"

    @property
    def answer_seconds(self) -> float:
        """Time limit for a whole answer."""
        return _WAITS_OF_AN_ANSWER * self.timeout_seconds

    @property
    def mailbox_name(self) -> str:
        """The mailbox's name in the database."""
        return mailbox_name(self.user, self.host, self.folder)


def mailbox_name(user: str, host: str, folder: str) -> str:
    """Return the name of a mailbox in the database."""
    return f"{user}@{host}/{folder}"


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
        return f"mail server {_shown(self.host, self.port)}"

    @property
    def answer_seconds(self) -> float:
        """Time limit for a whole conversation."""
        return _WAITS_OF_AN_ANSWER * self.timeout_seconds


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
