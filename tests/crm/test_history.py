"""What administrators and operators ask for is no more work beside a long history than beside a short one.

SQLite tells how many steps its machine takes. Nothing has shown its planner the tables, as in production.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.crm.conftest import BEN, CARL, JANE
from tests.harness.crm import NOW, QUEUE, Mail, commit, decide, file
from worker.crm import decisions, emails, record_life, record_lists, users
from worker.crm.decision_search import MessageFilter
from worker.crm.emails import EmailFilter
from worker.crm.record_import import ImportPlan, import_records
from worker.crm.record_lists import RecordFilter
from worker.crm.users import add_user
from worker.crm.work import By, Crm
from worker.domain.addresses import Address
from worker.domain.messages import Head
from worker.domain.outcomes import Outcome, Reason
from worker.domain.permissions import Module
from worker.domain.ports import Queue
from worker.domain.records import RecordChange
from worker.filing import quarantined
from worker.store import health
from worker.store.database import Database
from worker.store.inserts import insert_rows
from worker.store.poll_store import PollStore
from worker.store.schema import migrate
from worker.store.tables import TokenRow
from worker.store.traces import recent_traces

LONG_AGO = NOW - timedelta(days=90)
YESTERDAY = NOW - timedelta(days=1)
OLD_QUEUE = Queue(QUEUE.name, QUEUE.uidvalidity - 1, 0)
SHORT, LONG = 100, 1000
"""Messages in the past; ten times as many make a search through all of them at least twice as long."""
BATCH = 50
UIDS = count(10)

DORA = "dora@acme.example"
LEA = "lea@client.example"
WHY = "<why@acme.example>"
BY = By(None, NOW)


@dataclass
class Company:
    """BEN has filed mail for long and JANE begins today; DORA never did."""

    crm: Crm
    steps: list[None] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.crm.database

    @property
    def account(self) -> Crm:
        """The same for who names the account."""
        return Crm(self.database, "Default")

    @property
    def store(self) -> PollStore:
        return PollStore(self.database)

    def token(self, login: str) -> str:
        return users.show_dropbox(self.crm, login).token or ""

    def effort(self, ask: Callable[["Company"], Any]) -> int:
        """The database's steps to the answer."""
        self.steps.clear()
        ask(self)
        return len(self.steps)


def company(path: Path, past: int) -> Company:
    database = Database.open(f"sqlite:///{path}")
    founded = Company(Crm(database))

    @event.listens_for(database.engine, "connect")
    def count_steps(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_progress_handler(lambda: founded.steps.append(None), 1)

    migrate(database)
    for login in (JANE, BEN, DORA):
        add_user(founded.crm, login, profile=None, now=LONG_AGO)
    remember(founded, past)
    live_today(founded)
    return founded


def remember(company: Company, past: int) -> None:
    """Mail in batches under two UIDVALIDITYs, and tokens that were revoked."""
    store, token = company.store, company.token(BEN)
    for place, start in enumerate(range(1000, 1000 + past, BATCH)):
        mails = [Mail(uid, token, BEN, [f"c{uid}@client.example"]) for uid in range(start, start + BATCH)]
        queue = OLD_QUEUE if place % 2 else QUEUE
        commit(store, queue, decide(store, *mails), LONG_AGO + timedelta(seconds=place))
    revoked = {"account_id": 1, "user_id": 2, "issued_at": LONG_AGO, "valid_until": LONG_AGO}
    with company.database.begin() as connection:
        insert_rows(connection, TokenRow, [{**revoked, "token": f"{number:026}"} for number in range(past)])


def live_today(company: Company) -> None:
    """One message for each end, one that failed, one record of the other module."""
    store, token = company.store, company.token(JANE)
    added = RecordChange(email=Address.parse(LEA), external_id="K1")
    record_life.add_record(company.crm, Module.LEAD, added, BY)
    file(store, Mail(1, token, JANE, message_id=WHY, to=[CARL]), Mail(2, token, JANE, to=[LEA]))
    file(store, Mail(3, token, "stranger@elsewhere.example"))
    commit(store, QUEUE, [quarantined(Mail(4, token, JANE).arrival, Head(()), "ValueError: odd")], NOW)
    store.strike(QUEUE, 5, "ValueError: odd")


@pytest.fixture(scope="module")
def companies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Company, Company]]:
    """Give one with a short past and one with a long past."""
    folder = tmp_path_factory.mktemp("companies")
    young, old = company(folder / "young.db", SHORT), company(folder / "old.db", LONG)
    yield young, old
    young.database.close()
    old.database.close()


def listed(**wanted: Any) -> Callable[[Company], Any]:
    return lambda c: emails.list_emails(c.crm, EmailFilter(**wanted), limit=5)


def recorded(module: Module, **wanted: Any) -> Callable[[Company], Any]:
    return lambda c: record_lists.list_records(c.crm, RecordFilter(module, **wanted), limit=5)


def changed_name(email: str | None = None) -> RecordChange:
    name = f"Name {next(UIDS)}"
    return RecordChange(last_name=name, email=Address.parse(email), line=2) if email else RecordChange(last_name=name)


def matching(**people: str) -> Callable[[Company], Any]:
    return lambda c: decisions.explain_matching(c.crm, MessageFilter(YESTERDAY, **people), limit=5)


ASKED: dict[str, Callable[[Company], Any]] = {
    "status": lambda c: health.lately(c.database, QUEUE.name, NOW),
    "status of all mailboxes": lambda c: health.lately(c.database, None, NOW),
    "check": lambda c: recent_traces(c.database, QUEUE.name, most=5),
    "email list": listed(),
    "email list --contact": listed(module=Module.CONTACT, record=CARL),
    "email list --lead": listed(module=Module.LEAD, record=LEA),
    "email list --owner": listed(owner=JANE),
    "email list --owner of none": listed(owner=DORA),
    "email list --contact --owner": listed(module=Module.CONTACT, record=CARL, owner=BEN),
    "contact list": recorded(Module.CONTACT),
    "contact list --email": recorded(Module.CONTACT, email=CARL),
    "contact list --owner": recorded(Module.CONTACT, owner=JANE),
    "contact list --owner of none": recorded(Module.CONTACT, owner=DORA),
    "lead list": recorded(Module.LEAD),
    "contact show ADDRESS": lambda c: record_lists.show_record(c.crm, Module.CONTACT, CARL),
    "lead show external:KEY": lambda c: record_lists.show_record(c.crm, Module.LEAD, "external:K1"),
    "unmatched list": lambda c: emails.list_unmatched(c.crm, limit=5),
    "email list --unmatched": listed(waits=True),
    "lead edit": lambda c: record_life.edit_record(c.crm, Module.LEAD, LEA, changed_name(), BY),
    "contact import": lambda c: list(import_records(c.crm, ImportPlan(Module.LEAD), [changed_name(email=LEA)], BY)),
    "lead list --email": recorded(Module.LEAD, email=LEA),
    "lead list --owner": recorded(Module.LEAD, owner=JANE),
    "contact list --email --owner": recorded(Module.CONTACT, email=CARL, owner=JANE),
    "email list --lead --owner": listed(module=Module.LEAD, record=LEA, owner=JANE),
    "explain UID": lambda c: decisions.explain_uid(c.crm, 1, limit=5),
    "explain UID --account": lambda c: decisions.explain_uid(c.account, 1, limit=5),
    "explain UID of one that failed": lambda c: decisions.attempts_on(c.crm, 5),
    "explain MESSAGE-ID": lambda c: decisions.explain_message_id(c.crm, WHY, limit=5),
    "explain MESSAGE-ID --account": lambda c: decisions.explain_message_id(c.account, WHY, limit=5),
    "explain --since": matching(),
    "explain --since long ago": lambda c: decisions.explain_matching(
        c.crm, MessageFilter(LONG_AGO - timedelta(days=1)), limit=5
    ),
    "explain --from": matching(sender=JANE),
    "explain --to": matching(recipient="client.example"),
    "replay UID": lambda c: decisions.decided_under(c.database, QUEUE.name, [1, 3]),
    "replay --quarantined": lambda c: decisions.decided_as(c.database, QUEUE.name, Outcome.QUARANTINED),
    "replay --rejected": lambda c: decisions.decided_as(
        c.database, QUEUE.name, Outcome.REJECTED, Reason.SENDER_NOT_REGISTERED
    ),
    "dropbox regenerate": lambda c: users.regenerate(c.crm, DORA, grace=timedelta(0), now=NOW),
    "a mail that is filed": lambda c: file(c.store, Mail(next(UIDS), c.token(JANE), JANE)),
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_is_asked_for_is_found_without_reading_all_the_past(
    companies: tuple[Company, Company], asked: str
) -> None:
    short, long = (each.effort(ASKED[asked]) for each in companies)
    assert long < 1.2 * short
