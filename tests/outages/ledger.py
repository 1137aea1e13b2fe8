"""What the database and the mailbox hold after all that happened: nothing lost, nothing twice, nobody blamed."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import create_engine, text

from tests.harness.letters import letter
from tests.harness.running import Installation
from tests.servers.dovecot import Dovecot

CUSTOMER = "carl@client.example"


@dataclass
class Ledger:
    """One worker's books: its mailbox on a server, and its database."""

    server: Dovecot
    mailbox: str
    installation: Installation
    address: str = ""

    def open(self) -> None:
        """Make the one user to whose dropbox all mail goes."""
        self.address = self.installation.admin("user", "add", "jane@acme.example")["address"]

    def letters(self, count: int, first: int = 0, size: int = 100) -> list[bytes]:
        """Letters to one customer, each another."""
        lines = "so much text that it takes a while to send it all over\n" * (size // 56 + 1)
        return [
            letter(self.address, to=CUSTOMER, subject=f"Letter {number}", body=lines)
            for number in range(first, first + count)
        ]

    def deliver(self, count: int, first: int = 0, size: int = 100) -> list[bytes]:
        mails = self.letters(count, first, size)
        self.server.deliver_many(self.mailbox, mails)
        return mails

    def folder(self, name: str | None = None) -> list[bytes]:
        return self.server.folder(self.mailbox, name and self.server.settings.prefix + name)

    def is_balanced(self, mails: list[bytes]) -> bool:
        """Return True if each mail is filed once and in its folder, and the queue is empty."""
        return not self.differences(mails)

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

    def count(self, table: str) -> int:
        ((rows,),) = self.query(f"SELECT count(*) FROM {table}")
        return int(rows)

    def query(self, statement: str) -> Any:
        engine = create_engine(self.installation.settings["database_url"])
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(statement))]
        finally:
            engine.dispose()


def subject_of(mail: bytes) -> str:
    return mail.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()
