"""Removes a user who leaves: records and emails go to another user, or are erased (R29).

The row of the user stays without personal data, because the tokens refer to it: they are known as revoked, and are
never issued again (R1, R2).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, or_, select, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from worker.crm.decisions import decided_of
from worker.crm.erasure_plan import AT_ONCE, removing
from worker.crm.person_removal import Copies
from worker.crm.record_life import end_record
from worker.crm.record_rows import Author, facts_of, read_states
from worker.crm.users import works_after
from worker.crm.work import Crm, User, Work, of_user
from worker.domain.erasure import Person, WantedMail
from worker.domain.errors import Refused
from worker.domain.events import email_erased, record_deleted
from worker.domain.permissions import Module
from worker.store.columns import among_numbers
from worker.store.event_log import write_events
from worker.store.retention import (
    OF_PEOPLE,
    Part,
    association_parts,
    decision_parts,
    deleted,
    email_parts,
    event_parts,
)
from worker.store.room import wipe
from worker.store.tables import (
    DecisionRow,
    EmailOwnerRow,
    EventRow,
    NoticeRow,
    RecordQuotaRow,
    RecordRow,
    SenderRow,
    TokenRow,
    UserRow,
    VerdictRow,
)


@dataclass(frozen=True, slots=True)
class RemovedUser:
    """What went to the other user, or was erased: rows by table and messages by folder."""

    login: str
    into: str | None
    tables: Mapping[str, int]
    folders: Mapping[str, int]


def hand_over(crm: Crm, login: str, *, into: str, now: datetime) -> RemovedUser:
    """Remove a user whose records and emails another user gets. The same call finishes what was interrupted.

    Raises:
        Refused: when one of the users does not exist, or both are the same.
    """
    with crm.begin() as work:
        user, other = work.user(login), work.user(into)
        if user.id == other.id:
            raise Refused(f"{user.login} cannot be removed into the same user", "removed_into_itself")
        _close(work, user, now)
    tables: Counter[str] = Counter()
    while moved := _hand_over_some(crm, user, other):
        tables += moved
    _end(crm, user)
    return RemovedUser(user.login, other.login, tables, {})


def erase_user(crm: Crm, login: str, copies: Copies | None, now: datetime) -> RemovedUser:
    """Remove a user with the records that the user owns, and the emails that no other user filed.

    The same call finishes what was interrupted.

    Raises:
        Refused: when there is no such user.
        Unavailable: when the database or the mailbox is down.
    """
    with crm.begin() as work:
        user = work.user(login)
        _close(work, user, now)
    decisions, wanted = _decisions(crm, user)
    folders = copies.remove(wanted) if copies else {}
    tables: Counter[str] = Counter()
    for first in range(0, len(decisions), AT_ONCE):
        with removing(crm, user.account.id) as work:
            tables += deleted(work.connection, decision_parts(work.connection, decisions[first : first + AT_ONCE]))
    while erased := _erase_some(crm, user, now):
        tables += erased
    _end(crm, user)
    wipe(crm.database, (), 0, (*OF_PEOPLE, SenderRow, UserRow))
    return RemovedUser(user.login, None, tables, folders)


def _close(work: Work, user: User, now: datetime) -> None:
    """Let no more mail in: the tokens end now, and the sender addresses become free."""
    connection = work.connection
    connection.execute(update(TokenRow).where(of_user(TokenRow, user), works_after(now)).values(valid_until=now))
    connection.execute(delete(SenderRow).where(of_user(SenderRow, user)))
    connection.execute(update(UserRow).where(of_user(UserRow, user)).values(enabled=False))


def _hand_over_some(crm: Crm, user: User, other: User) -> Counter[str]:
    """Move one batch of records and emails. An email that the other user has too is not moved twice."""
    counts: Counter[str] = Counter()
    with removing(crm, user.account.id) as work:
        connection = work.connection
        records = among_numbers(connection, col(RecordRow.id), connection.scalars(_records(user)).all())
        owned = update(RecordRow).where(work.owns(RecordRow), records)
        counts["record"] = connection.execute(owned.values(owner_id=other.id)).rowcount
        emails = connection.scalars(_emails(user)).all()
        copies = and_(of_user(EmailOwnerRow, user), among_numbers(connection, col(EmailOwnerRow.email_id), emails))
        has_it = _is_owned(lambda owner: owner.user_id == other.id)
        moved = update(EmailOwnerRow).where(copies, ~has_it).values(user_id=other.id)
        counts["email_owner"] = connection.execute(moved).rowcount
        counts["email_owner"] += connection.execute(delete(EmailOwnerRow).where(copies)).rowcount
    return +counts


def _erase_some(crm: Crm, user: User, now: datetime) -> Counter[str]:
    """Erase one batch of records and of emails that are the user's alone."""
    account_id = user.account.id
    with removing(crm, account_id) as work:
        connection = work.connection
        emails = connection.scalars(_emails(user)).all()
        alone = connection.scalars(_emails(user, ~_is_owned(lambda owner: owner.user_id != user.id))).all()
        records = connection.scalars(_records(user)).all()
        copies = and_(of_user(EmailOwnerRow, user), among_numbers(connection, col(EmailOwnerRow.email_id), emails))
        counts = deleted(connection, _events_of(work, alone, records))
        counts += deleted(connection, email_parts(connection, account_id, alone))
        counts += deleted(connection, [(EmailOwnerRow, copies), *association_parts(connection, account_id, records)])
        write_events(connection, [email_erased(account_id, number) for number in alone], now)
        counts += _end_records(work, records, now)
    return counts


def _events_of(work: Work, emails: Sequence[int], records: Sequence[int]) -> Iterable[Part]:
    connection, account_id = work.connection, work.account.id
    events = select(col(EventRow.id)).where(
        col(EventRow.account_id) == account_id,
        or_(
            *(among_numbers(connection, col(column), records) for column in (EventRow.record_id, EventRow.merged_id)),
            among_numbers(connection, col(EventRow.email_id), emails),
        ),
    )
    return event_parts(connection, account_id, connection.scalars(events).all())


def _end_records(work: Work, records: Sequence[int], now: datetime) -> Counter[str]:
    modules = select(col(RecordRow.id), col(RecordRow.module)).where(
        work.owns(RecordRow), among_numbers(work.connection, col(RecordRow.id), records)
    )
    states, author = read_states(work, records), Author(None, now)
    for number, module in work.connection.execute(modules).all():
        end_record(work, Module(module), number, author)
        facts = facts_of(number, Module(module), states[number])
        write_events(work.connection, [record_deleted(work.account.id, facts.without_address())], now)
    return +Counter({"record": len(states)})


def _end(crm: Crm, user: User) -> None:
    """Take the personal data out of the user's row, which frees the login."""
    with removing(crm, user.account.id) as work:
        for row in (NoticeRow, RecordQuotaRow):
            work.connection.execute(delete(row).where(of_user(row, user)))
        name = f"removed user {user.id}"
        work.connection.execute(update(UserRow).where(of_user(UserRow, user)).values(login=name, login_key=name))


def _decisions(crm: Crm, user: User) -> tuple[Sequence[int], WantedMail]:
    """Find the decisions that are the user's alone, and their messages."""
    other = aliased(VerdictRow)
    of_another = exists().where(col(other.decision_id) == col(VerdictRow.decision_id), col(other.user_id) != user.id)
    query = select(col(VerdictRow.decision_id)).where(of_user(VerdictRow, user), ~of_another).distinct()
    with crm.read() as work:
        decisions = work.connection.scalars(query).all()
        decided = decided_of(work.connection, [among_numbers(work.connection, col(DecisionRow.id), decisions)])
    return decisions, WantedMail(Person(frozenset()), decided, frozenset())


def _records(user: User) -> Select[int]:
    this = (col(RecordRow.account_id) == user.account.id, col(RecordRow.owner_id) == user.id)
    return select(col(RecordRow.id)).where(*this).order_by(col(RecordRow.id)).limit(AT_ONCE)


def _emails(user: User, *more: ColumnElement[bool]) -> Select[int]:
    filed = select(col(EmailOwnerRow.email_id)).where(of_user(EmailOwnerRow, user))
    some = filed.order_by(col(EmailOwnerRow.email_id)).limit(AT_ONCE).subquery()
    return filed.where(col(EmailOwnerRow.email_id).in_(select(some.c.email_id)), *more)


def _is_owned(by: Callable[[Any], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the condition that the email of an `EmailOwnerRow` has another such row that fulfils this condition."""
    owner = aliased(EmailOwnerRow)
    same_email = (
        col(owner.account_id) == col(EmailOwnerRow.account_id),
        col(owner.email_id) == col(EmailOwnerRow.email_id),
    )
    return exists().where(*same_email, by(owner))
