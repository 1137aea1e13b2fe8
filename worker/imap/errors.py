"""Translate the errors of imapclient, imaplib and sockets: one line that names the server and shows no secret."""

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from imaplib import IMAP4

from worker.domain.errors import LoginRefused, Silent, Unavailable, Withheld
from worker.domain.servers import ImapAccess
from worker.tls import reason_of_refusal

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
"""The greeting of a server that takes no connection; since 3.14.8 imaplib says what is wrong with it first."""


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


def login_failure(
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
