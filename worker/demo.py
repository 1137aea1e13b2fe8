"""The demonstration: the whole worker on a mailbox and a CRM of its own, with commands as a person would type them."""

import os
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import IO, Any, Protocol
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
    mailbox = EmbeddedMailbox(free_port(), secrets.token_hex(12))
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
        if _listens(port):
            return
        time.sleep(0.05)
    raise Unavailable(f"the embedded mailbox did not start within {_START_SECONDS:.0f} seconds")


def _failure(said: IO[bytes]) -> DropboxError:
    said.seek(0)
    words = said.read().decode(errors="replace").strip()
    if "No module named" in words:
        return DropboxError("the demo needs the pymap package: pip install 'bcc-dropbox[demo]'")
    return Unavailable(f"the embedded mailbox ended at once: {words.splitlines()[-1] if words else 'it said nothing'}")


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


MAIL_SERVER = "mx.drop.example"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail of a sales person; ``dropboxes`` are the Bcc recipients."""

    sender: str
    to: str
    subject: str
    dropboxes: tuple[str, ...]
    text: str = "Hello,\n\nas discussed on the phone.\n\nBest regards\n"
    message_id: str = ""
    in_reply_to: str = ""
    attachment: tuple[str, bytes] | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def as_delivered(self) -> bytes:
        """Return the message as the mailbox holds it; two dropboxes in one Bcc share this copy."""
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = self.to
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


RECEIVER = Path(__file__).parents[1] / "config" / "receiver.py"
_RECEIVER_START_SECONDS = 10.0


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
        until = time.monotonic() + _RECEIVER_START_SECONDS
        while not _listens(port) and time.monotonic() < until:
            time.sleep(0.05)
        yield lambda: "".join(printed).strip()
    finally:
        process.terminate()
        printed.append(process.communicate()[0])


ADDRESS = "drop@drop.example.com"
ANA = "ana@acme.example"
BEN = "ben@acme.example"
CARL = "carl@client.example"
LEA = "lea@prospect.example"


class Commands(Protocol):
    """The command line of bcc-dropbox."""

    def run(self, arguments: Sequence[str]) -> None:
        """Run one command and show its output."""

    def ask(self, arguments: Sequence[str]) -> Any:
        """Run one command and return its JSON output."""


Say = Callable[[str], None]


def tell(commands: Commands, say: Say) -> None:
    """Run all steps in a temporary folder."""
    with (
        tempfile.TemporaryDirectory(prefix="bcc-dropbox-demo-") as folder,
        embedded_mailbox() as mailbox,
        _settings(mailbox, Path(folder)),
    ):
        _Story(commands, say, mailbox).tell()


class _Story:
    def __init__(self, commands: Commands, say: Say, mailbox: EmbeddedMailbox) -> None:
        self._commands = commands
        self._say = say
        self._mailbox = mailbox

    def tell(self) -> None:
        """Make two users and a few records, file a dozen mails, and show the results."""
        self._narrate("Two sales people get a dropbox; the CRM knows a few people already.")
        ana, ben = self._dropbox_of(ANA), self._dropbox_of(BEN)
        self._command("contact", "add", CARL, "--last-name", "Client")
        self._command("lead", "add", LEA, "--last-name", "Prospect")

        self._narrate("Ana writes to customers and puts her secret address in Bcc: one mail for each search pattern.")
        self._a_mail_for_each_pattern(ana)

        self._narrate(
            "Ben's address has leaked and is replaced. He replies, attaches, shares a mail with Ana; a stranger "
            "writes, somebody guesses, a robot answers, and Ben himself once takes the old address."
        )
        leaked = ben
        self._command("dropbox", "regenerate", BEN)
        self._mails_of_every_kind(ana, self._address_of(BEN), leaked)
        self._command("poll")

        self._say('What now stands on Carl\'s record under "Sent Emails from CRM":')
        self._command("email", "list", "--contact", CARL)
        self._narrate("And why the stranger's mail is not there:")
        self._command("explain", "<stranger@elsewhere.example>")
        self._tell_the_crm(ana)
        self._narrate("Each message is in one folder of the mailbox, the queue is empty:")
        for name, messages in sorted(self._mailbox.folders().items()):
            self._say(f"    {name:<12} {messages}")

    def _tell_the_crm(self, dropbox: str) -> None:
        """Let a receiver on this machine show an event; an installed program has no copy of the receiver."""
        if not RECEIVER.exists():
            return
        self._narrate("The CRM is told of the next mail at once, by a signed request to its webhook:")
        url = f"http://127.0.0.1:{free_port()}/events"
        secret = self._commands.ask(["webhook", "add", url])["secret"]
        with receiver(url, secret) as shown:
            self._deliver(Mail(ANA, CARL, "Shall we meet?", (dropbox,)))
            self._command("poll")
        self._say(f"\nWhat config/{RECEIVER.name} verified and printed:")
        self._say(shown())

    def _a_mail_for_each_pattern(self, dropbox: str) -> None:
        patterns = {
            "contacts-or-new-contact": f"{CARL}, dora@client.example",
            "leads-or-new-lead": f"{LEA}, emil@prospect.example",
            "contacts-then-leads-or-new-lead": f"{CARL}, {LEA}, fay@prospect.example",
            "contacts-then-leads-only": f"{LEA}, nobody@elsewhere.example",
            "contacts-then-leads-or-new-contact": f"{LEA}, gus@client.example",
        }
        for pattern, people in patterns.items():
            self._command("dropbox", "pattern", ANA, pattern)
            self._deliver(Mail(ANA, people, f"Pattern {pattern}", (dropbox,)))
            self._command("poll")

    def _mails_of_every_kind(self, ana: str, ben: str, leaked: str) -> None:
        question = "<question@client.example>"
        self._deliver(Mail(BEN, CARL, "Re: Your question", (ben,), in_reply_to=question))
        self._deliver(Mail(BEN, CARL, "Our offer", (ben,), attachment=("offer.pdf", b"%PDF-1.7 " + b"x" * 20_000)))
        self._command("sender", "add", BEN, ANA)
        self._deliver(Mail(ANA, CARL, "The contract, for both of us", (ana, ben)))
        self._deliver(
            Mail("stranger@elsewhere.example", CARL, "Hi!", (ana,), message_id="<stranger@elsewhere.example>")
        )
        self._deliver(Mail(BEN, CARL, "A guess", ("drop+0123456789@drop.example.com",)))
        self._deliver(Mail(BEN, CARL, "I am away", (ben,), extra={"Auto-Submitted": "auto-replied"}))
        self._deliver(Mail(BEN, CARL, "By the old address", (leaked,)))

    def _dropbox_of(self, login: str) -> str:
        self._command("user", "add", login)
        return self._address_of(login)

    def _address_of(self, login: str) -> str:
        return str(self._commands.ask(["dropbox", "show", login])["address"])

    def _narrate(self, text: str) -> None:
        self._say(f"\n# {text}")

    def _command(self, *arguments: str) -> None:
        self._say(f"\n$ bcc-dropbox {shlex.join(arguments)}")
        self._commands.run(arguments)

    def _deliver(self, mail: Mail) -> None:
        self._mailbox.deliver(mail.as_delivered())


@contextmanager
def _settings(mailbox: EmbeddedMailbox, folder: Path) -> Iterator[None]:
    """Replace the BCC_DROPBOX_… environment by the demo's until the block ends."""
    before = {name: value for name, value in os.environ.items() if name.startswith("BCC_DROPBOX_")}
    ours = {
        "BCC_DROPBOX_ADDRESS": ADDRESS,
        "BCC_DROPBOX_IMAP_HOST": "127.0.0.1",
        "BCC_DROPBOX_IMAP_PORT": str(mailbox.port),
        "BCC_DROPBOX_IMAP_TLS": "none",
        "BCC_DROPBOX_IMAP_USER": USER,
        "BCC_DROPBOX_IMAP_PASSWORD": mailbox.password,
        "BCC_DROPBOX_DATABASE_URL": f"sqlite:///{folder / 'demo.db'}",
        "BCC_DROPBOX_RECEIVED_BY": MAIL_SERVER,
        "BCC_DROPBOX_AUTHSERV_ID": MAIL_SERVER,
        "BCC_DROPBOX_LOG_FORMAT": "console",
    }
    for name in before:
        del os.environ[name]
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
        os.environ.update(before)
