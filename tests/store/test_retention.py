"""Retention in the database: old decisions, events and emails are removed, younger ones and waiting ones stay (R30)."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, update
from sqlmodel import SQLModel, col

from tests.harness.crm import NOW, QUEUE, Mail, Rows, User, file
from worker.domain.erasure import Bounds, Shelved
from worker.domain.permissions import SearchPattern
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.retention import Retention
from worker.store.tables import (
    AssociationRow,
    DecisionRow,
    EmailContentRow,
    EmailOwnerRow,
    EmailRow,
    EventRow,
    NoticeRow,
    RecordRow,
    UnmatchedRow,
    VerdictRow,
)

LATER = NOW + timedelta(days=1)
OF_EMAILS = (EmailRow, EmailContentRow, EmailOwnerRow, AssociationRow)
STRANGER = "zzzzzzzzzzzzzzzzzzzzzzzzzz"


@pytest.fixture
def retention(database: Database) -> Retention:
    return Retention(database, QUEUE.name)


@pytest.fixture
def joe(crm: Rows) -> User:
    return crm.user(crm.account(), "joe@acme.example")


def made_older(database: Database, row: type[SQLModel], column: str, *numbers: int, days: int = 100) -> None:
    with database.begin() as connection:
        these = col(row.id).in_(numbers)  # type: ignore[attr-defined]
        connection.execute(update(row).where(these).values({column: NOW - timedelta(days=days)}))


def numbers(crm: Rows, row: type[SQLModel]) -> list[int]:
    return [found["id"] for found in crm.rows(row)]


def test_a_rejection_goes_with_its_verdict_and_its_notice(
    crm: Rows, database: Database, retention: Retention, joe: User
) -> None:
    store = PollStore(database, gives_notice=True)
    file(store, Mail(1, joe.token, joe.login, to=()), Mail(2, joe.token, joe.login, to=()))
    first, second = numbers(crm, DecisionRow)
    made_older(database, DecisionRow, "decided_at", first)
    assert retention.has_rejected(NOW - timedelta(days=90))
    assert retention.remove_rejected(NOW - timedelta(days=90)) == 1
    assert retention.remove_rejected(NOW - timedelta(days=90)) == 0
    assert not retention.has_rejected(NOW - timedelta(days=90))
    assert numbers(crm, DecisionRow) == [second]
    assert [row["decision_id"] for row in crm.rows(VerdictRow)] == [second]
    assert first not in [row["decision_id"] for row in crm.rows(NoticeRow)]


def test_filed_mail_is_not_touched_by_the_bound_of_rejected_mail(
    crm: Rows, store: PollStore, retention: Retention, joe: User
) -> None:
    file(store, Mail(1, joe.token, joe.login))
    assert not retention.has_rejected(LATER)
    assert retention.remove_rejected(LATER) == 0
    assert crm.count(DecisionRow) == 1


def test_an_email_goes_with_everything_that_belongs_to_it_and_the_crm_is_told(
    crm: Rows, database: Database, store: PollStore, retention: Retention, joe: User
) -> None:
    file(store, Mail(1, joe.token, joe.login), Mail(2, joe.token, joe.login, body=b"another", subject="Other"))
    first, second = numbers(crm, EmailRow)
    made_older(database, EmailRow, "stored_at", first)
    made_older(database, DecisionRow, "decided_at", numbers(crm, DecisionRow)[0])
    before = NOW - timedelta(days=90)
    assert (retention.has_filed(before), retention.remove_emails(before), retention.remove_filed(before)) == (
        True,
        1,
        1,
    )
    assert (retention.has_filed(before), retention.remove_emails(before), retention.remove_filed(before)) == (
        False,
        0,
        0,
    )
    assert numbers(crm, EmailRow) == [second]
    assert [row["email_id"] for part in OF_EMAILS[1:] for row in crm.rows(part)] == [second] * 3
    assert crm.count(RecordRow) == 1
    [erased] = [row for row in crm.rows(EventRow) if row["type"] == "email.erased"]
    assert erased["email_id"] == first
    assert erased["packed"] == f'{{"account":"Acme","email_id":{first}}}'


def test_an_email_that_waits_for_a_record_goes_too(
    crm: Rows, store: PollStore, retention: Retention, database: Database
) -> None:
    ann = crm.user(crm.account(), "ann@acme.example", SearchPattern.CONTACTS_THEN_LEADS_ONLY)
    file(store, Mail(1, ann.token, ann.login))
    assert crm.count(UnmatchedRow) == 1
    retention.remove_emails(LATER)
    assert [crm.count(row) for row in (UnmatchedRow, *OF_EMAILS)] == [0] * 5


def test_a_mail_whose_email_was_removed_is_stored_again_when_it_comes_again(
    crm: Rows, store: PollStore, retention: Retention, joe: User
) -> None:
    file(store, Mail(1, joe.token, joe.login, message_id="<same@x>"))
    retention.remove_emails(LATER)
    file(store, Mail(2, joe.token, joe.login, message_id="<same@x>"))
    assert [crm.count(row) for row in OF_EMAILS] == [1] * 4


def test_only_events_that_need_no_delivery_go(
    crm: Rows, database: Database, store: PollStore, retention: Retention, joe: User
) -> None:
    file(store, Mail(1, joe.token, joe.login), Mail(2, joe.token, joe.login, subject="Other"))
    states = ("delivered", "failed", "pending", "given_up")
    found = numbers(crm, EventRow)[:4]
    made_older(database, EventRow, "created_at", *found)
    with database.begin() as connection:
        for number, state in zip(found, states, strict=False):
            connection.execute(update(EventRow).where(col(EventRow.id) == number).values(state=state))
    removed = [number for number, state in zip(found, states, strict=False) if state in {"delivered", "given_up"}]
    assert retention.remove_events(NOW - timedelta(days=30)) == len(removed)
    assert set(numbers(crm, EventRow)).isdisjoint(removed)
    assert set(found) - set(removed) <= set(numbers(crm, EventRow))


def test_a_step_takes_no_more_rows_than_a_poll_can_wait_for(
    crm: Rows, store: PollStore, retention: Retention, database: Database
) -> None:
    file(store, *(Mail(uid, STRANGER, "x@spam.example") for uid in range(1, 121)))
    deleted: list[int] = []
    event.listen(database.engine, "after_cursor_execute", lambda *told: deleted.append(told[1].rowcount))
    steps = []
    while removed := retention.remove_rejected(LATER):
        steps.append(removed)
    assert steps == [20] * 6
    assert max(deleted) <= 20
    assert crm.count(DecisionRow) == 0


def shelved(crm: Rows, place: int = 0) -> Shelved:
    row = crm.rows(DecisionRow)[place]
    return Shelved(row["message_id"], row["size"], row["arrived_at"])


def test_a_message_stays_in_its_folder_while_its_last_decision_is_young(
    crm: Rows, store: PollStore, retention: Retention, database: Database
) -> None:
    file(store, *(Mail(uid, STRANGER, "x@spam.example", message_id="<again@spam.example>") for uid in (1, 2)))
    made_older(database, DecisionRow, "decided_at", numbers(crm, DecisionRow)[0])
    unknown = Shelved("<nobody@x>", 4, NOW)
    before = NOW - timedelta(days=90)
    assert retention.kept([shelved(crm), unknown], before) == {shelved(crm)}
    assert retention.kept([shelved(crm), unknown], LATER) == set()


def test_days_are_counted_back_from_now_and_never_keeps_for_ever() -> None:
    bounds = Bounds.at(datetime.fromisoformat("2026-11-25T00:00:00Z"), rejected=1, events=30, emails=None)
    assert bounds == Bounds(
        datetime.fromisoformat("2026-11-24T00:00:00Z"), datetime.fromisoformat("2026-10-26T00:00:00Z"), None
    )
