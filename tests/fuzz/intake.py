"""A whole worker but for its server: its queue holds octets, its database is a real one with users of every kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from tests.domain.made import NOW
from tests.filing.made import AUTHENTICATED, RULES
from tests.fuzz.mailbox import OctetMailbox
from tests.fuzz.mails import SENDERS, TOKENS
from tests.harness.crm import QUEUE, Rows
from worker.domain.addresses import Address
from worker.domain.permissions import SearchPattern
from worker.domain.verdicts import Filing
from worker.poll import Poller, PollReport, Watcher
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.tables import DecisionRow, EmailRow, VerdictRow


@dataclass(frozen=True)
class Ended:
    """One message, as the core decided it and as the database has it; ``email`` is absent where none was stored."""

    raw: bytes
    filing: Filing
    decision: dict[str, Any]
    traces: list[dict[str, Any]]
    email: dict[str, Any] | None


class Ends(Watcher):
    """What became of the messages of one poll, and what the code raised."""

    def __init__(self) -> None:
        self.filings: list[Filing] = []
        self.errors: list[str] = []

    def filed(self, filing: Filing, seconds: float) -> None:
        self.filings.append(filing)

    def deferred(self, uid: int, error: str, message_id: str | None = None, seconds: float | None = None) -> None:
        self.errors.append(error)


class Intake:
    """Polls what it is given, with or without asking for the sender's authentication (R13)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mailbox = OctetMailbox(QUEUE)
        self._ends = Ends()
        store = PollStore(database, gives_notice=True)
        self._pollers = {
            rules is AUTHENTICATED: Poller(self._mailbox, store, rules, watcher=self._ends)
            for rules in (RULES, AUTHENTICATED)
        }

    def poll(self, messages: Sequence[bytes], *, authenticated: bool) -> list[Ended]:
        """Poll the messages; require that each one ends and leaves the queue without an exception."""
        uids = self._mailbox.arrive(messages)
        self._ends.filings, self._ends.errors = [], []
        report: PollReport = self._pollers[authenticated].poll(self._mailbox.open())
        assert (self._ends.errors, report.outage) == ([], None)
        filings = {filing.uid: filing for filing in self._ends.filings}
        assert sorted(filings) == uids
        assert self._mailbox.moved == {uid: filing.folder for uid, filing in filings.items()}
        return [self._ended(raw, filings[uid]) for raw, uid in zip(messages, uids, strict=True)]

    def _ended(self, raw: bytes, filing: Filing) -> Ended:
        with self._database.read() as connection:
            decided = connection.execute(select(DecisionRow).where(col(DecisionRow.uid) == filing.uid)).mappings().one()
            verdicts = select(VerdictRow).where(col(VerdictRow.decision_id) == decided["id"])
            rows = list(connection.execute(verdicts).mappings())
            emails = select(EmailRow).where(col(EmailRow.id).in_({row["email_id"] for row in rows} - {None}))
            email = connection.execute(emails).mappings().first()
            return Ended(raw, filing, dict(decided), [row["trace"] for row in rows], dict(email) if email else None)


def fill(database: Database) -> None:
    """Make users of every kind, a record and a never-log entry."""
    crm = Rows(database)
    account = crm.account()
    jane, john = (Address.parse(SENDERS[name]).key for name in ("jane", "john"))
    user = crm.user(account, jane, SearchPattern.LEADS_OR_NEW_LEAD, token=TOKENS["jane"])
    crm.token(user, TOKENS["ceased"], NOW)
    crm.user(account, john, SearchPattern.CONTACTS_THEN_LEADS_ONLY, token=TOKENS["john"])
    crm.user(account, "former@sales.example", token=TOKENS["disabled"], enabled=False)
    crm.record(account, "known@client.example")
    crm.never_log(account, "x.example")
