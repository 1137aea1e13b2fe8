"""What the database and the mailbox hold after all that happened: nothing lost, nothing twice, nobody blamed."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from tests.harness.running import PATIENCE, Running
from tests.servers.dovecot import Dovecot

CUSTOMER = "carl@client.example"


class Ledger(Dropbox):
    """One worker's books: its mailbox on a server, and its database; one user, to whose dropbox all mail goes."""

    def __init__(self, dovecot: Dovecot, mailbox: str, database_url: str, env_file: Path) -> None:
        super().__init__(dovecot, mailbox, database_url, {"idle": "off", "poll_seconds": "1"}, env_file)
        self.address = self.add_user("jane@acme.example")

    def letters(self, count: int, first: int = 0, size: int = 100) -> list[bytes]:
        """Letters to one customer, each another."""
        lines = "so much text that it takes a while to send it all over\n" * (size // 56 + 1)
        return [
            letter(self.address, to=CUSTOMER, subject=f"Letter {number}", body=lines)
            for number in range(first, first + count)
        ]

    def deliver_letters(self, count: int, first: int = 0, size: int = 100) -> list[bytes]:
        mails = self.letters(count, first, size)
        self.deliver(*mails)
        return mails

    def differences(self, mails: list[bytes]) -> list[str]:
        """List the errors in the books, in words."""
        filed = Counter(str(subject) for (subject,) in self.query("SELECT subject FROM email"))
        wanted = Counter(subject_of(mail) for mail in mails)
        found = {
            "not filed": wanted - filed,
            "filed twice": filed - wanted,
            "not moved": Counter(map(subject_of, self.folder())),
            "not in Associated": wanted - Counter(map(subject_of, self.folder("Associated"))),
            "moved elsewhere": Counter(map(subject_of, self.folder("Quarantine") + self.folder("Rejected"))),
            "associations": self.count("association") - len(mails),
            "contacts": self.count("record") - min(1, len(mails)),
            "attempts": self.count("attempt"),
        }
        return [f"{what}: {value}" for what, value in found.items() if value]

    def blamed(self) -> Any:
        """Messages under suspicion or with strikes."""
        return self.query("SELECT uid, strikes, error FROM attempt WHERE strikes > 0 OR suspect")

    def outcomes(self) -> dict[str, int]:
        return dict(self.query("SELECT outcome, count(*) FROM decision GROUP BY outcome"))


def subject_of(mail: bytes) -> str:
    return mail.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()


def await_balance(ledger: Ledger, mails: list[bytes], seconds: float = PATIENCE) -> None:
    """Wait until each mail is filed and moved; says what is still wrong when the time is up."""
    end = time.monotonic() + seconds
    while (wrong := ledger.differences(mails)) and time.monotonic() < end:
        time.sleep(0.1)
    assert wrong == []


def outages_told(service: Running) -> list[str]:
    """Return the log events about connections, in order."""
    return [name for name in service.names if name.startswith(("mailbox.", "database."))]
