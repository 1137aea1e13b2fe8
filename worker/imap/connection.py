"""Connect to the IMAP server, always TLS first, then the login; name what fails without showing a secret."""

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from imaplib import IMAP4

from imapclient import IMAPClient, SocketTimeout

from worker.domain.addresses import is_loopback
from worker.domain.errors import LoginRefused, Silent, Unavailable, Withheld
from worker.domain.servers import ImapAccess, Mechanism, Tls
from worker.imap.protocol import Protocol, protocol_of, quoted
from worker.wire import Wire, ended_after, reason_of_refusal, trusting

_MOST_TEXT = 200
_JUDGED = re.compile(
    r"\[(AUTHENTICATIONFAILED|AUTHORIZATIONFAILED|EXPIRED|PRIVACYREQUIRED|CONTACTADMIN)\b", re.IGNORECASE
)
"""Codes of a server that did check the login (RFC 5530)."""
_TEMPORARY = re.compile(
    r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA|THROTTLED)\b"
    r"|too many (\w+ )?(connections|sessions)|(maximum|max) number of connections|connection limit"
    r"|request is throttled|(bandwidth|rate) limit|temporar(y|ily)|not connected|server (is )?(unavailable|busy)",
    re.IGNORECASE,
)
"""Codes (RFC 5530, Gmail, Yahoo) and texts of a server that did not check the login."""
_GOODBYE = re.compile(r"^(invalid greeting: )?\* BYE\b ?", re.IGNORECASE)
"""The greeting of a server that takes no connection; since 3.14.8 imaplib puts its own words in front."""


class SaidNo(Withheld):
    """The server refused a command (NO); the connection can still be used."""


class ConnectionLost(Withheld):
    """The server, or something on the way to it, closed the connection."""


class Unreadable(Unavailable):
    """The answer cannot be parsed: too long a line, too deep a nesting, or not IMAP."""


class CertificateRefused(Unavailable):
    """The certificate is for another host, or from an authority that is not trusted."""


class HostUnknown(Unavailable):
    """The host's name has no address."""


@contextmanager
def translated(access: ImapAccess, farewell: Callable[[], bytes] = bytes) -> Iterator[None]:
    """Translate every failure of the connection or the server in this block into `Unavailable`.

    imaplib puts what it read into its messages, even a piece of a mail: their text is dropped. ``farewell`` gives the
    text of a BYE, which is kept.

    Raises:
        Unavailable: when anything fails.
    """
    try:
        yield
    except IMAP4.readonly as error:  # a kind of abort
        raise Unavailable(f"{access.server}: the folder {access.folder} is read-only") from error
    except IMAP4.abort as error:
        raise ConnectionLost(lost(access, said(farewell()))) from error
    except IMAP4.error as error:
        if _GOODBYE.match(said(error)):  # in place of a greeting
            raise Unavailable(lost(access, _GOODBYE.sub("", said(error)))) from error
        raise Unreadable(f"{access.server}: an answer that cannot be read: {said(error)}") from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError, BrokenPipeError) as error:
        raise ConnectionLost(lost(access, said(farewell()))) from error
    except TimeoutError as error:
        raise Silent(f"{access.server}: no answer within {access.timeout_seconds:g} seconds") from error
    except OSError as error:
        raise _outage(access, error) from error


def lost(access: ImapAccess, farewell: str) -> str:
    """Return the text for a connection that ended, with the server's reason if it gave one."""
    return f"{access.server}: the connection was lost" + (f": {farewell}" if farewell else "")


def _login_failure(
    access: ImapAccess, error: IMAP4.error, secret: str, complaint: bytes = b"", *, farewell: bytes = b""
) -> Unavailable:
    """Tell a wrong password from an outage: imapclient raises a LoginError for both.

    The ``secret`` is removed from the server's answer, because some servers repeat it.
    """
    if isinstance(error, IMAP4.abort) or isinstance(error.__context__, IMAP4.abort):
        words = _without(secret, said(farewell))
        return Unavailable(f"{access.server}: the connection was lost during the login" + (words and f": {words}"))
    text = _without(secret, f"{said(error)} {said(complaint)}".strip())
    if _TEMPORARY.search(text) and not _JUDGED.search(text):
        return Unavailable(f"{access.server}: no login at the moment: {text}")
    return LoginRefused(f"{access.server}: login refused for {access.user}: {text}")


def _without(secret: str, text: str) -> str:
    return text.replace(secret, "…") if secret else text


def said(answer: object) -> str:
    """Return the server's text as one short, printable line; imaplib gives bytes or their repr."""
    if isinstance(answer, BaseException) and answer.args:
        answer = answer.args[0]
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    text = re.sub(r"^b'(.*)'$|^b\"(.*)\"$", lambda match: match[1] or match[2] or "", text)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"


def _outage(access: ImapAccess, error: OSError) -> Unavailable:
    match error:
        case ssl.SSLCertVerificationError():
            return CertificateRefused(f"{access.server}: {reason_of_refusal(error)}")
        case ssl.SSLError():
            return Unavailable(f"{access.server}: no TLS with it: {error.reason or error}")
        case socket.gaierror():
            return HostUnknown(f"{access.server}: the host is unknown: {error.strerror}")
        case ConnectionRefusedError():
            return Unavailable(f"{access.server}: nothing listens there")
        case _:
            return Unavailable(f"{access.server}: {said(error.strerror or error)}")


_KEEPALIVE_SECONDS = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 3}
_FAREWELL_SECONDS = 2.0


def connect(access: ImapAccess, wire: Wire) -> IMAPClient:
    """Connect and log in. Another thread can break the connection by the ``wire`` at any time.

    Raises:
        LoginRefused: when the server refuses the login.
        Unavailable: when anything else fails.
    """
    token = access.token() if access.token else None
    with translated(access):
        with ended_after(access.answer_seconds, wire, access.server):
            client = _reach(access, wire)
            try:
                _secure(client, access)
                if token is None:
                    _log_in(client, access)
                else:
                    _log_in_by_token(client, access, token)
            except BaseException:
                hang_up(client, wire)
                raise
        # imapclient makes imaplib describe every answer to a debug logger, whole bodies included: that is slow.
        protocol_of(client).debug = 0
        client.capabilities()  # read them now: SELECT makes imaplib forget what the login brought
        return client


def hang_up(client: IMAPClient, wire: Wire) -> None:
    """Close the connection at once, without LOGOUT; never raises."""
    wire.cut()
    with suppress(OSError, AttributeError, ValueError):
        client.shutdown()
    wire.close()


def take_leave(client: IMAPClient, wire: Wire) -> None:
    """Log out and close the connection; never raises, and waits two seconds at most."""
    with suppress(OSError, IMAP4.error, ValueError, Unavailable), ended_after(_FAREWELL_SECONDS, wire, ""):
        client.logout()
    hang_up(client, wire)


class _Client(IMAPClient):  # type: ignore[misc] # publishes no types
    def __init__(self, access: ImapAccess, wire: Wire) -> None:
        self._held = access, wire
        timeout = SocketTimeout(connect=access.timeout_seconds, read=access.timeout_seconds)
        super().__init__(access.host, port=access.port, ssl=access.tls is Tls.SSL, timeout=timeout)

    def _create_IMAP4(self) -> IMAP4:  # noqa: N802 - the library's name
        access, wire = self._held
        return Protocol(lambda timeout: _dial(access, wire, timeout), access.host, access.port, access.timeout_seconds)


def _dial(access: ImapAccess, wire: Wire, timeout: float | None) -> socket.socket:
    """Connect, and let the ``wire`` hold the connection before TLS begins."""
    context = _context(access) if access.tls is Tls.SSL else None
    connection = socket.create_connection((access.host, access.port), timeout)
    wire.hold(connection)
    _keep_alive(connection)
    return context.wrap_socket(connection, server_hostname=access.host) if context else connection


def _reach(access: ImapAccess, wire: Wire) -> IMAPClient:
    try:
        return _Client(access, wire)
    except BaseException:
        wire.close()
        raise


def _context(access: ImapAccess) -> ssl.SSLContext:
    try:
        return trusting(access.ca_file)
    except OSError as error:
        raise Unavailable(
            f"{access.server}: the authority in {access.ca_file} cannot be read: {error.strerror}"
        ) from error


def _secure(client: IMAPClient, access: ImapAccess) -> None:
    if access.tls is Tls.NONE and not is_loopback(str(client.socket().getpeername()[0])):
        raise Unavailable(f"{access.server}: plain text is for this machine only, and {access.host} is another")
    if access.tls is Tls.STARTTLS:
        # After a PREAUTH greeting STARTTLS is not allowed (RFC 9051 §11.1); a man in the middle may have forged it.
        if not client.has_capability("STARTTLS"):
            raise Unavailable(f"{access.server}: offers no STARTTLS; nothing is sent in plain text")
        client.starttls(_context(access))


def _log_in(client: IMAPClient, access: ImapAccess) -> None:
    offered = client.capabilities()
    try:
        if b"AUTH=PLAIN" in offered and not (access.user + access.password).isascii():
            client.plain_login(access.user, access.password)  # LOGIN has no room for other characters (RFC 3501)
        elif b"LOGINDISABLED" in offered:
            raise LoginRefused(f"{access.server}: takes no password over {access.tls} (LOGINDISABLED)")
        else:
            client.login(quoted(access.user), access.password)  # imaplib quotes only the password
    except UnicodeEncodeError:
        text = f"{access.server}: takes no password with other characters than ASCII"
        raise LoginRefused(text) from None  # the cause would show the password
    except IMAP4.error as error:
        raise _login_failure(
            access, error, access.password, farewell=protocol_of(client).farewell
        ) from None  # the same


def _log_in_by_token(client: IMAPClient, access: ImapAccess, token: str) -> None:
    presenting = _Presenting(access, token)
    try:
        client.sasl_login(access.mechanism.upper(), presenting)
    except IMAP4.error as error:
        farewell = protocol_of(client).farewell
        raise _login_failure(access, error, token, presenting.complaint, farewell=farewell) from None


class _Presenting:
    """Answers the server's challenges: first with the token, then, if it complains, so that it can say NO."""

    def __init__(self, access: ImapAccess, token: str) -> None:
        self._mechanism = access.mechanism
        self._first = _MESSAGES[access.mechanism](access, token)
        self._presented = False
        self.complaint = b""

    def __call__(self, challenge: bytes) -> bytes:
        if not self._presented:
            self._presented = True
            return self._first
        self.complaint = challenge
        return b"\x01" if self._mechanism is Mechanism.OAUTHBEARER else b""  # RFC 7628 §3.2.3


def _xoauth2(access: ImapAccess, token: str) -> bytes:
    return f"user={access.user}\x01auth=Bearer {token}\x01\x01".encode()


def _oauthbearer(access: ImapAccess, token: str) -> bytes:
    user = access.user.replace("=", "=3D").replace(",", "=2C")
    return f"n,a={user},\x01host={access.host}\x01port={access.port}\x01auth=Bearer {token}\x01\x01".encode()


_MESSAGES: dict[Mechanism, Callable[[ImapAccess, str], bytes]] = {
    Mechanism.XOAUTH2: _xoauth2,
    Mechanism.OAUTHBEARER: _oauthbearer,
}


def _keep_alive(connection: socket.socket) -> None:
    """Turn on TCP keepalive, with short intervals where the system supports them."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE_SECONDS.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
