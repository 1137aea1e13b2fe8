"""What the demonstration brings along: a mailbox (pymap, all in memory), mail as a server delivers it, and a CRM."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from imapclient import IMAPClient

from worker.domain.errors import DropboxError, Unavailable

USER = "dropbox"
_SERVE = "import sys; from pymap.main import main; sys.exit(main())"
_START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class EmbeddedMailbox:
    """The server's port and the password that was made for it."""

    port: int
    password: str = field(repr=False)

    def deliver(self, raw: bytes) -> None:
        """Append a message to the queue, as a mail server would."""
        with self._connected() as client:
            client.append("INBOX", raw, msg_time=datetime.now(UTC))

    def folders(self) -> dict[str, int]:
        """Return the number of messages by folder."""
        with self._connected() as client:
            names = [name for _, _, name in client.list_folders()]
            return {name: client.folder_status(name, ["MESSAGES"])[b"MESSAGES"] for name in names}

    @contextmanager
    def _connected(self) -> Iterator[IMAPClient]:
        with IMAPClient("127.0.0.1", port=self.port, ssl=False, timeout=10) as client:
            client.login(USER, self.password)
            yield client


@contextmanager
def embedded_mailbox() -> Iterator[EmbeddedMailbox]:
    """Run the server as a process of its own until the block ends.

    Raises:
        DropboxError: when pymap is not installed.
        Unavailable: when it does not start.
    """
    mailbox = EmbeddedMailbox(_free_port(), secrets.token_hex(12))
    command = [sys.executable, "-c", _SERVE, "--host", "127.0.0.1", "--port", str(mailbox.port), "--no-tls"]
    command += ["--no-service", "managesieve", "--no-service", "admin"]
    command += ["dict", "--demo-user", USER, "--demo-password", mailbox.password]
    with (
        tempfile.TemporaryFile() as said,  # not a pipe: a full pipe that nobody reads stops the server
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said) as server,  # noqa: S603 - ours
    ):
        try:
            _wait_until_it_listens(server, said, mailbox.port)
            yield mailbox
        finally:
            server.kill()


def _wait_until_it_listens(server: "subprocess.Popen[bytes]", said: IO[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise _failure(said)
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Unavailable(f"the embedded mailbox did not start within {_START_SECONDS:.0f} seconds")


def _failure(said: IO[bytes]) -> DropboxError:
    said.seek(0)
    words = said.read().decode(errors="replace").strip()
    if "No module named" in words:
        return DropboxError("the demo needs the pymap package: pip install 'bcc-dropbox[demo]'")
    return Unavailable(f"the embedded mailbox ended at once: {words.splitlines()[-1] if words else 'it said nothing'}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


MAIL_SERVER = "mx.drop.example"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail of a sales person; ``dropboxes`` are the Bcc recipients."""

    sender: str
    to: str
    subject: str
    dropboxes: tuple[str, ...]
    text: str = "Hello,\n\nas discussed on the phone.\n\nBest regards\n"
    cc: str = ""
    message_id: str = ""
    in_reply_to: str = ""
    attachment: tuple[str, bytes] | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def as_delivered(self) -> bytes:
        """Return the message as the mailbox holds it; two dropboxes in one Bcc share this copy."""
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = self.to
        if self.cc:
            message["Cc"] = self.cc
        message["Subject"] = self.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = self.message_id or make_msgid(domain="acme.example")
        if self.in_reply_to:
            message["In-Reply-To"] = message["References"] = self.in_reply_to
        for name, value in self.extra.items():
            message[name] = value
        message.set_content(self.text)
        if self.attachment:
            name, content = self.attachment
            message.add_attachment(content, maintype="application", subtype="pdf", filename=name)
        envelope = f"Delivered-To: {', '.join(self.dropboxes)}\r\n".encode()
        domain = self.sender.rpartition("@")[2].rstrip(">")
        stamp = f"Authentication-Results: {MAIL_SERVER}; dkim=pass header.d={domain}\r\n".encode()
        received = f"Received: from mail.acme.example by {MAIL_SERVER} with ESMTPS; {message['Date']}\r\n".encode()
        return envelope + stamp + received + message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


RECEIVER = Path(__file__).parents[2] / "config" / "receiver.py"
_RECEIVER_START_SECONDS = 10.0


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def receiver(url: str, secret: str) -> Iterator[Callable[[], str]]:
    """Run the receiver at this URL; what it yields gives what it printed, once the block is over."""
    port = urlsplit(url).port or 0
    environment = {**os.environ, "WEBHOOK_SECRET": secret}
    process = subprocess.Popen(  # noqa: S603 - our own file
        [sys.executable, RECEIVER, str(port)], env=environment, stdout=subprocess.PIPE, text=True
    )
    printed: list[str] = []
    try:
        _wait_for(port)
        yield lambda: "".join(printed).strip()
    finally:
        process.terminate()
        printed.append(process.communicate()[0])


def _wait_for(port: int) -> None:
    until = time.monotonic() + _RECEIVER_START_SECONDS
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
