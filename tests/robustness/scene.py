"""A mailbox of known messages and a database with one user: what must have become of each in the end."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from tests.harness.crm import Rows, User
from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from tests.servers.dovecot import Dovecot
from worker.domain.outcomes import Folder, Outcome
from worker.store.database import Database

OWNER = "jane@acme.example"
KNOWN = "known@client.example"
"""A contact that is there before any mail."""
_TOKEN = f"{1:026}"
DROPBOX = f"drop+{_TOKEN}@drop.example.com"


@dataclass(frozen=True)
class Mail:
    """One message and its end."""

    number: int
    to: tuple[str, ...]
    outcome: Outcome = Outcome.ASSOCIATED
    sender: str = OWNER
    size: int = 0
    message_id: str = ""
    has_id: bool = True

    @property
    def id(self) -> str:
        return (self.message_id or f"<{self.number}@acme.example>") if self.has_id else ""

    @property
    def raw(self) -> bytes:
        """The trace of its delivery differs, so that two copies of one email are told apart in the folders."""
        body = f"Hello,\n\nthis is {self.id or self.number}.\n" + "Many words.\n" * (self.size // 12)
        return letter(
            DROPBOX,
            sender=self.sender,
            to=", ".join(self.to),
            body=body,
            Message_ID=self.id,
            X_Delivery=str(self.number),
        )


def everyday(count: int) -> list[Mail]:
    """Every kind of end, over and over: new and known people, copies, strangers."""
    return [_mail(number) for number in range(1, count + 1)]


def _mail(number: int) -> Mail:
    group, kind = divmod(number - 1, 6)
    match kind:
        case 0:
            return Mail(number, (f"new{group}@client.example",))
        case 1:
            return Mail(number, (f"new{group}@client.example", f"other{group}@client.example"))
        case 2:
            return Mail(number, ("x@client.example",), Outcome.REJECTED, sender="mallory@elsewhere.example")
        case 3:
            return Mail(number, (KNOWN,))
        case 4:
            return Mail(number, (KNOWN,), Outcome.DUPLICATE, message_id=f"<{number - 1}@acme.example>")
        case _:
            return Mail(number, (KNOWN, f"new{group}@client.example"))


def add_user_and_contact(database: Database) -> User:
    """One account, one user, one contact."""
    crm = Rows(database)
    account = crm.account()
    user = crm.user(account, OWNER)
    assert user.token == _TOKEN
    crm.record(account, KNOWN)
    return user


class Scene(Dropbox):
    """One mailbox of Dovecot and one database."""

    def __init__(self, dovecot: Dovecot, database_url: str, mails: Sequence[Mail] = ()) -> None:
        batches = {"batch_messages": "4", "log_format": "json"}
        super().__init__(dovecot, f"mailbox-{uuid4().hex[:12]}", database_url, batches)
        self.mails = mails

    def deliver_mails(self, mails: Sequence[Mail]) -> None:
        self.mails = (*self.mails, *mails)
        self.deliver(*(mail.raw for mail in mails))

    def decided(self) -> set[int]:
        """The UIDs that have their decision."""
        return {uid for (uid,) in self.query("SELECT uid FROM decision")}

    def attempts(self) -> dict[int, tuple[bool, int]]:
        """Return by UID whether the message is a suspect, and its strikes."""
        rows = self.query("SELECT uid, suspect, strikes FROM attempt")
        return {uid: (bool(suspect), strikes) for uid, suspect, strikes in rows}

    @contextmanager
    def reading(self) -> Iterator[Rows]:
        """The rows as a bystander sees them."""
        database = Database.open(self.database_url)
        try:
            yield Rows(database)
        finally:
            database.close()

    def faults(self, *, is_exact: bool = True) -> list[str]:
        """List what was lost, stored twice or moved to the wrong folder; empty if all is well.

        Not ``is_exact``: where two workers race. Then either of two copies may be the first, and a folder may show a
        message twice: of two sessions that MOVE it in one moment, Dovecot obeys both.
        """
        return [*self.filing_faults(is_exact=is_exact), *self._decision_faults(is_exact=is_exact)]

    def filing_faults(self, *, is_exact: bool = True) -> list[str]:
        """List the faults of folders and database, whatever the decisions were."""
        return [*self._folder_faults(is_exact=is_exact), *self.stored_faults()]

    def _folder_faults(self, *, is_exact: bool) -> Iterator[str]:
        for folder in (None, *Folder):
            found = Counter(self.folder(folder))
            wanted = Counter(mail.raw for mail in self.mails if mail.outcome.folder is folder)
            if not is_exact:
                found = Counter(dict.fromkeys(found, 1))
            if found != wanted:
                lost, more = (wanted - found).total(), (found - wanted).total()
                yield f"{folder or 'queue'}: {lost} are missing, {more} too many"

    def stored_faults(self) -> list[str]:
        """List what the database lacks or has twice."""
        return list(self._stored_faults())

    def _stored_faults(self) -> Iterator[str]:
        filed = [mail for mail in self.mails if mail.outcome is Outcome.ASSOCIATED]
        wanted: dict[str, Sequence[Hashable]] = {
            "emails": sorted(mail.id for mail in filed),
            "records": sorted({KNOWN}.union(*(mail.to for mail in filed))),
            "associations": sorted((mail.id, address) for mail in filed for address in mail.to),
            "created": sorted({address for mail in filed for address in mail.to if address != KNOWN}),
            "attempts": [],
        }
        stored = self._stored()
        for name, rows in wanted.items():
            lost, more = Counter(rows) - Counter(stored[name]), Counter(stored[name]) - Counter(rows)
            if lost or more:
                yield f"{name}: missing {list(lost)[:3]}, too many {list(more)[:3]}"

    def _stored(self) -> dict[str, Sequence[Hashable]]:
        on_record = "FROM association a JOIN email e ON e.id = a.email_id JOIN record r ON r.id = a.record_id"
        queries = {
            "emails": "SELECT message_id FROM email",
            "records": "SELECT email FROM record",
            "associations": f"SELECT message_id, r.email {on_record}",
            "created": f"SELECT r.email {on_record} WHERE a.created",
            "attempts": "SELECT uid, suspect, strikes FROM attempt",
        }
        rows = {name: self.query(query) for name, query in queries.items()}
        return {name: [row[0] if len(row) == 1 else row for row in found] for name, found in rows.items()}

    def _decision_faults(self, *, is_exact: bool) -> Iterator[str]:
        decisions = self.query("SELECT message_id, outcome FROM decision")
        found = Counter((message_id, _end(outcome, is_exact)) for message_id, outcome in decisions)
        wanted = Counter((mail.id, _end(mail.outcome, is_exact)) for mail in self.mails)
        if found != wanted:
            yield f"decisions: missing {list(wanted - found)[:3]}, too many {list(found - wanted)[:3]}"


def _end(outcome: str, is_exact: bool) -> str:
    return outcome if is_exact else Outcome(outcome).folder
