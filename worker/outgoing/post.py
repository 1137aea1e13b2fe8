"""Handing one letter to the mail server that the settings name; its answer means sent, not now, or never."""

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING, Any

from worker.domain.addresses import Address
from worker.domain.errors import DropboxError, LoginRefused, Unavailable
from worker.domain.servers import MailServer, Security
from worker.domain.text import clean
from worker.wire import Wire, ended_after, reason_of_refusal, trusting

if TYPE_CHECKING:
    from worker.settings import Settings


_FOR_GOOD = 500
"""RFC 5321 §4.2.1: from here on a reply says never, below it says not now."""
_DONE = 250
_READY_FOR_TLS = 220
"""RFC 3207 §4."""


class Undeliverable(DropboxError):
    """The mail server will never take this letter for this address; the text has its words."""


class Post:
    """Sends from one address by one server. Each letter has a connection of its own: they are few."""

    def __init__(self, server: MailServer, sender: Address) -> None:
        self.sender = sender
        self._server = server

    def deliver(self, letter: EmailMessage, to: Address, *, bounces: bool) -> None:
        """Hand the letter over; when this returns, the server answers for it. Bounded as a whole, as is each wait.

        Without ``bounces`` the envelope has no sender, so that nobody replies to it by machine (RFC 3834 §3.3).

        Raises:
            Undeliverable: the server will never take it, or it holds a field that nobody meant to write.
            LoginRefused: the server answered and did not let us in.
            Unavailable: not now; it may yet have taken it when the connection broke at the last moment.
        """
        if not all(_field_names(letter, utf8=utf8) == letter.keys() for utf8 in (False, True)):
            raise Undeliverable("the letter would carry header fields that this program did not write")
        with self._talking() as client:
            client.send_message(letter, wire_address(self.sender) if bounces else "", [wire_address(to)])

    def hand_in(self, octets: bytes, to: Sequence[str]) -> None:
        """Hand a whole message over as it stands, for all recipients in one transaction. Raises like `deliver`."""
        with self._talking() as client:
            refused = client.sendmail(wire_address(self.sender), to, octets)
            if refused:  # some of them; of all, the library raises it
                raise smtplib.SMTPRecipientsRefused(refused)

    def try_as_it_is(self, octets: bytes, to: str, *, mail_from: str, helo: str) -> bool:
        """Hand a message over with these SMTP commands as they are; return whether the server takes it.

        Raises:
            LoginRefused, Unavailable: the server was not reached.
        """
        with self._talking() as client:
            commands = (("EHLO", helo), ("MAIL", f"FROM:{mail_from}"), ("RCPT", f"TO:<{to}>"))
            try:
                return all(client.docmd(*each)[0] == _DONE for each in commands) and client.data(octets)[0] == _DONE
            except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected):
                return False

    def try_out(self) -> None:
        """Connect and log in, and send nothing. Raises like `deliver`."""
        with self._talking():
            return

    @contextmanager
    def _talking(self) -> Iterator[smtplib.SMTP]:
        server = self._server
        with closing(Wire()) as wire, ended_after(server.answer_seconds, wire, str(server)), self._translated():
            client = self._connected(wire)
            try:
                yield client
                with suppress(smtplib.SMTPException, OSError):
                    client.quit()  # the letter is handed over, whatever is said to this
            finally:
                client.close()

    def _connected(self, wire: Wire) -> smtplib.SMTP:
        server = self._server
        # Not the library's default: it asks the resolver for our own name, and waits for it.
        ours = self.sender.domain
        if server.security is Security.TLS:
            context = self._context()
            client: smtplib.SMTP = _HeldTls(
                wire, server.host, server.port, ours, timeout=server.timeout_seconds, context=context
            )
        else:
            client = _Held(wire, server.host, server.port, ours, timeout=server.timeout_seconds)
        try:
            self._secure_and_log_in(client)
        except BaseException:
            client.close()
            raise
        return client

    def _secure_and_log_in(self, client: smtplib.SMTP) -> None:
        server = self._server
        if server.security is Security.STARTTLS:
            client.ehlo_or_helo_if_needed()
            if not client.has_extn("starttls"):
                raise Unavailable(f"{server}: offers no STARTTLS; nothing is sent in plain text")
            code, words = client.starttls(context=self._context())
            if code != _READY_FOR_TLS:
                raise Unavailable(f"{server}: no STARTTLS: {_said(code, words)}")
        if server.user is not None:
            self._log_in(client, server.user)

    def _log_in(self, client: smtplib.SMTP, user: str) -> None:
        failure: DropboxError
        try:
            client.login(user, self._server.password)
        except smtplib.SMTPAuthenticationError as error:
            kind = LoginRefused if error.smtp_code >= _FOR_GOOD else Unavailable
            failure = kind(f"{self._server}: login refused for {user}: {error.smtp_code}")
        except smtplib.SMTPNotSupportedError:
            failure = LoginRefused(f"{self._server}: takes no login by password")
        except UnicodeEncodeError:
            failure = LoginRefused(f"{self._server}: takes no password with other characters than ASCII")
        else:
            return
        raise failure  # not from the error, which holds what was sent

    def _context(self) -> ssl.SSLContext:
        file = self._server.ca_file
        try:
            return trusting(file)
        except OSError as error:
            raise Unavailable(f"{self._server}: the authority in {file} cannot be read: {error.strerror}") from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            raise self._refusal(code, words) from error
        except smtplib.SMTPDataError as error:
            raise self._refusal(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            raise Undeliverable(f"{self._server}: takes no address with other characters than ASCII") from error
        except smtplib.SMTPResponseException as error:
            # The server refuses us, not this letter. The letter waits until a person has corrected the settings.
            raise Unavailable(f"{self._server}: {_said(error.smtp_code, error.smtp_error)}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Unavailable(f"{self._server}: {_reason(error, self._server.timeout_seconds)}") from error

    def _refusal(self, code: int, words: bytes | str) -> DropboxError:
        kind = Undeliverable if code >= _FOR_GOOD else Unavailable
        return kind(f"{self._server}: {_said(code, words)}")


class _Held(smtplib.SMTP):
    """Gives its connection to the wire before the server has said a word, or TLS has begun."""

    def __init__(self, wire: Wire, *arguments: Any, **named: Any) -> None:
        self._wire = wire
        super().__init__(*arguments, **named)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc] # not in the stubs
        self._wire.hold(connection)
        return connection


class _HeldTls(smtplib.SMTP_SSL, _Held):
    def __init__(self, wire: Wire, *arguments: Any, **named: Any) -> None:
        self._wire = wire
        super().__init__(*arguments, **named)


def _field_names(letter: EmailMessage, *, utf8: bool) -> list[str]:
    """Return the names of the header fields as the receiver will find them; none where a lone CR or LF is in them."""
    try:
        head = letter.as_bytes(policy=SMTP.clone(utf8=utf8)).partition(b"\r\n\r\n")[0]
    except MessageError:  # a library with the fix of CVE-2024-6923
        return []
    lines = re.split(rb"\r\n(?![ \t])", head)
    is_plain = not any(re.search(rb"\r(?!\n)|(?<!\r)\n", line) for line in lines)
    return [line.partition(b":")[0].decode("ascii", "replace") for line in lines] if is_plain else []


def wire_address(address: Address) -> str:
    """Return the address as SMTP takes it: the domain in A-labels, the local part as typed."""
    return f"{address.text.rpartition('@')[0]}@{address.domain}"


def _said(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"{code} {clean(text, most=200)}"


def _reason(error: Exception, timeout_seconds: float) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return reason_of_refusal(error)
        case TimeoutError():
            return f"no answer within {timeout_seconds:g} seconds"
        case ConnectionRefusedError():
            return "nothing listens there"
        case smtplib.SMTPServerDisconnected():
            return "the connection was lost"
        case OSError(strerror=str(words)):
            return clean(words, most=200)
        case _:
            return clean(str(error), most=200)


_LONGEST_WAIT_SECONDS = 15
"""The service does nothing else while it waits for this server."""


def post_of(settings: "Settings") -> Post | None:
    """Return the sender of the worker's mail; without a mail server there is no sender.

    Letters come from NOTICE_FROM, else from the dropbox address.

    Raises:
        SettingsError: when neither address is set.
    """
    server = mail_server_of(settings)
    return Post(server, settings.notice_from or settings.require_address().base) if server else None


def mail_server_of(settings: "Settings") -> MailServer | None:
    """Return the mail server that SMTP_URL names; None when it is not set."""
    if settings.smtp_url is None:
        return None
    return MailServer.parse(
        settings.smtp_url.get_secret_value(),
        ca_file=settings.smtp_ca_file,
        timeout_seconds=min(settings.socket_seconds, _LONGEST_WAIT_SECONDS),
    )
