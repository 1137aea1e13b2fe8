"""The steps of the demo: commands as a person would type them, each with its output."""

import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from worker.demo.embedded import (
    MAIL_SERVER,
    RECEIVER,
    USER,
    EmbeddedMailbox,
    Mail,
    embedded_mailbox,
    free_port,
    receiver,
)

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
