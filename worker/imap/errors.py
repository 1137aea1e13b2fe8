"""What imapclient, imaplib and the socket raise, told in our own words: one line that names the server, no secret."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from imaplib import IMAP4

from worker.domain.errors import LoginRefused, Silent, Unavailable, Withheld
from worker.imap.access import ImapAccess
from worker.tls import reason_of_refusal

_MOST_TEXT = 200
_TEMPORARY = re.compile(r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG)\b", re.IGNORECASE)
"""RFC 5530: the login itself was not judged."""


class SaidNo(Withheld):
    """The server understood a command and would not do it (NO); the connection is as good as before."""


class ConnectionLost(Withheld):
    """The server hung up, or something between us did."""


class Unreadable(Unavailable):
    """An answer that cannot be taken in: too long a line, too deep a nesting, not as the protocol has it."""


class CertificateRefused(Unavailable):
    """The server's certificate is not that of the host we asked for, or of no authority that we trust."""


class HostUnknown(Unavailable):
    """The host's name leads to no address."""


@contextmanager
def translated(access: ImapAccess) -> Iterator[None]:
    """Raise `Unavailable` for whatever goes wrong between us and the server in this block.

    imaplib puts what it read into its messages, a stray piece of a mail too: of those only the kind is told.
    """
    try:
        yield
    except IMAP4.readonly as error:  # a kind of abort
        raise Unavailable(f"{access.server}: the folder {access.folder} is read-only") from error
    except IMAP4.abort as error:
        raise ConnectionLost(f"{access.server}: the connection was lost") from error
    except IMAP4.error as error:
        raise Unreadable(f"{access.server}: an answer that cannot be read: {said(error)}") from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError, BrokenPipeError) as error:
        raise ConnectionLost(f"{access.server}: the connection was lost") from error
    except TimeoutError as error:
        raise Silent(f"{access.server}: no answer within {access.timeout_seconds:g} seconds") from error
    except OSError as error:
        raise _outage(access, error) from error


def login_failure(access: ImapAccess, error: IMAP4.error, secret: str, complaint: bytes = b"") -> Unavailable:
    """Tell a refusal from a connection lost at that moment: imapclient makes a LoginError of both.

    The ``secret`` that was presented is struck out of what the server says: some repeat it.
    """
    if isinstance(error, IMAP4.abort) or isinstance(error.__context__, IMAP4.abort):
        return Unavailable(f"{access.server}: the connection was lost during the login")
    text = f"{said(error)} {said(complaint)}".strip()
    if secret:
        text = text.replace(secret, "…")
    if _TEMPORARY.search(text):
        return Unavailable(f"{access.server}: no login at the moment: {text}")
    return LoginRefused(f"{access.server}: login refused for {access.user}: {text}")


def said(answer: object) -> str:
    """The server's words on one line, bounded and printable; imaplib hands them over as bytes or as their repr."""
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
