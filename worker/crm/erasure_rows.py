"""The rows that go when emails, decisions, events or records are erased (R29): counted, or deleted in batches."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select
from sqlmodel import SQLModel, col

from worker.crm.work import Crm, Work
from worker.domain.erasure import Person
from worker.store.forgetting import wipe_what_is_deleted
from worker.store.keys import among_numbers, among_texts
from worker.store.originals import leave_packs
from worker.store.tables import (
    AssociationRow,
    DecisionRow,
    EmailContentRow,
    EmailOwnerRow,
    EmailRow,
    EventRow,
    NoticeRow,
    RecordAddressRow,
    RecordRow,
    UnmatchedRow,
    VerdictRow,
)
from worker.store.waiting import lock

Part = tuple[type[SQLModel], ColumnElement[bool]]
"""Rows of a table that fulfil a condition. Of several parts, rows come before the rows that they refer to."""

AT_ONCE = 200
"""Rows of one kind that are removed in one transaction, during which no mail of the account is filed."""


@contextmanager
def removing(crm: Crm, account_id: int) -> Iterator[Work]:
    """Begin one batch. No mail of the account is filed meanwhile.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    with crm.begin() as work:
        wipe_what_is_deleted(work.connection)
        lock(work.connection, [account_id], alone=True)
        yield work


def waits_for(work: Work, person: Person) -> ColumnElement[bool]:
    """Return the condition that an unmatched entry is for one of the person's addresses."""
    return and_(
        col(UnmatchedRow.account_id) == work.account.id,
        among_texts(work.connection, col(UnmatchedRow.address_key), person.keys),
    )


def email_parts(connection: Connection, account_id: int, emails: Collection[int]) -> Iterator[Part]:
    """Return the emails with all that refers to them."""
    for row in (AssociationRow, UnmatchedRow, EmailOwnerRow, EmailContentRow):
        yield row, and_(col(row.account_id) == account_id, among_numbers(connection, col(row.email_id), emails))
    yield EmailRow, and_(col(EmailRow.account_id) == account_id, among_numbers(connection, col(EmailRow.id), emails))


def decision_parts(connection: Connection, decisions: Collection[int], account_id: int | None = None) -> Iterator[Part]:
    """Return the decisions with their verdicts and notices; with an account, only its verdicts and notices."""
    for row in (NoticeRow, VerdictRow):
        of_decisions = among_numbers(connection, col(row.decision_id), decisions)
        yield row, of_decisions if account_id is None else and_(of_decisions, col(row.account_id) == account_id)
    if account_id is None:
        yield DecisionRow, among_numbers(connection, col(DecisionRow.id), decisions)


def event_parts(connection: Connection, account_id: int, events: Collection[int]) -> Iterator[Part]:
    """Return the events."""
    yield EventRow, and_(col(EventRow.account_id) == account_id, among_numbers(connection, col(EventRow.id), events))


def record_parts(work: Work, account_id: int, person: Person, records: Collection[int]) -> Iterator[Part]:
    """Return what waits for the person, then the records with their addresses and associations."""
    connection = work.connection
    yield UnmatchedRow, waits_for(work, person)
    yield from association_parts(connection, account_id, records)
    yield (
        RecordRow,
        and_(col(RecordRow.account_id) == account_id, among_numbers(connection, col(RecordRow.id), records)),
    )


def association_parts(connection: Connection, account_id: int, records: Collection[int]) -> Iterator[Part]:
    """Return the associations and addresses of records."""
    for row in (AssociationRow, RecordAddressRow):
        of_records = among_numbers(connection, col(row.record_id), records)
        yield row, and_(col(row.account_id) == account_id, of_records)


def counted(connection: Connection, parts: Iterable[Part]) -> Counter[str]:
    """Count the rows, by table.

    Raises:
        Unavailable: the database is down.
    """
    counts: Counter[str] = Counter()
    for row, condition in parts:
        found = connection.scalar(select(func.count()).select_from(row).where(condition))
        counts[str(row.__tablename__)] += found or 0
    return +counts


def deleted(connection: Connection, parts: Iterable[Part]) -> Counter[str]:
    """Delete the rows and count them, by table.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    counts: Counter[str] = Counter()
    for row, condition in parts:
        if row is EmailContentRow:
            leave_packs(connection, condition)
        counts[str(row.__tablename__)] += connection.execute(delete(row).where(condition)).rowcount
    return +counts
