"""Removes people: a person (R29), in batches that a crash can interrupt at any step, and a user who leaves.

Of a person the never-log entries come first, so that no poll brings the person back; the records come last, because
they lead to the other addresses of the person. So the same command, given again, finds the rest and finishes the work.

A user's records and emails go to another user, or are erased. The row of the user stays without personal data, because
the tokens refer to it: they are known as revoked, and are never issued again (R1, R2).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, or_, select, true, update
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col

from worker.crm.decisions import decided_of
from worker.crm.erasure_plan import AT_ONCE, MENTIONING, Plan, SharedEmail, find_all, removing, waits_for
from worker.crm.record_life import end_record
from worker.crm.record_rows import Author, facts_of, read_states
from worker.crm.users import works_after
from worker.crm.work import Crm, User, Work, address_of, of_user
from worker.domain.erasure import Person, WantedMail
from worker.domain.errors import Refused
from worker.domain.events import email_erased, record_deleted
from worker.domain.permissions import Module
from worker.store.columns import among_numbers, among_texts
from worker.store.event_log import write_events
from worker.store.inserts import insert_rows
from worker.store.retention import (
    OF_PEOPLE,
    Part,
    association_parts,
    counted,
    decision_parts,
    deleted,
    email_parts,
    event_parts,
    record_parts,
)
from worker.store.room import take_your_time, wipe
from worker.store.tables import (
    AssociationRow,
    DecisionRow,
    EmailOwnerRow,
    EventRow,
    NeverLogRow,
    NoticeRow,
    RecordQuotaRow,
    RecordRow,
    SenderRow,
    TokenRow,
    UnmatchedRow,
    UserRow,
    VerdictRow,
)

_MOST_PASSES = 20
"""A poll may file mail of the person while the erasure runs; each pass finds what came during the one before."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of an erasure."""

    keeps_shared: bool = False
    """Emails that are other people's too stay."""
    never_logs: bool = True
    """An entry in the never-log list is left for each address."""


@dataclass(frozen=True, slots=True)
class Erased:
    """The counts of what was removed, or would be: rows by table and messages by folder."""

    addresses: tuple[str, ...]
    tables: Mapping[str, int]
    folders: Mapping[str, int]
    shared: tuple[SharedEmail, ...]
    never_log: tuple[str, ...] = ()
    is_complete: bool = True


class Copies(Protocol):
    """The person's mail in the mailbox. Every method raises `Unavailable` when the server is down."""

    def count(self, wanted: WantedMail) -> Mapping[str, int]:
        """Count the messages that would go, by folder."""

    def remove(self, wanted: WantedMail) -> Mapping[str, int]:
        """Remove the messages and count them by folder."""


def account_of(crm: Crm) -> int:
    """Return the ID of the account that is worked on.

    Raises:
        Refused: when there is no such account, or none is named and there are several.
    """
    with crm.read() as work:
        return work.account.id


def plan_erasure(crm: Crm, text: str, copies: Copies | None, options: Options) -> Erased:
    """Say what `erase` would remove. Nothing is changed.

    Raises:
        Refused: when the text is no address, or a user sends from it.
        Unavailable: when the database or the mailbox is down.
    """
    with _reading(crm) as work:
        plan = find_all(work, address_of(text, "the address"), keeps_shared=options.keeps_shared)
        tables = _counted_all(work, plan)
        wanted = _wanted(work.connection, plan, options)
    folders = copies.count(wanted) if copies else {}
    return Erased(tuple(sorted(plan.person.keys)), tables, folders, plan.shared)


def erase(crm: Crm, text: str, copies: Copies | None, options: Options, now: datetime) -> Erased:
    """Remove a person from the database and from the mailbox's folders.

    Raises:
        Refused: when the text is no address, or a user sends from it.
        Unavailable: when the database or the mailbox is down. The same call finishes the work later.
    """
    address = address_of(text, "the address")
    keys: set[str] = {address.key}
    tables: Counter[str] = Counter()
    folders: Counter[str] = Counter()
    shared: dict[int, SharedEmail] = {}
    is_complete = False
    for _ in range(_MOST_PASSES):
        with _reading(crm) as work:
            plan = find_all(work, address, keeps_shared=options.keeps_shared)
            wanted = _wanted(work.connection, plan, options)
        if options.never_logs:
            _never_log(crm, plan.person.keys)
        removed = copies.remove(wanted) if copies else {}
        shared |= {email.id: email for email in plan.shared}
        keys |= plan.person.keys
        folders.update(removed)
        is_complete = plan.is_empty and not removed
        if is_complete:
            break
        tables.update(_remove(crm, plan, now))
    wipe(crm.database, keys, _entries(crm, keys), OF_PEOPLE)
    addresses = tuple(sorted(keys))
    never_log = addresses if options.never_logs else ()
    return Erased(addresses, tables, folders, tuple(shared.values()), never_log, is_complete)


def _entries(crm: Crm, keys: Collection[str]) -> int:
    """Count the never-log entries with these addresses, in all accounts: they stay."""
    with crm.database.read() as connection:
        listed = among_texts(connection, col(NeverLogRow.entry), keys)
        return connection.scalar(select(func.count()).select_from(NeverLogRow).where(listed)) or 0


@contextmanager
def _reading(crm: Crm) -> Iterator[Work]:
    with crm.read() as work:
        take_your_time(work.connection)
        yield work


def _never_log(crm: Crm, keys: Collection[str]) -> None:
    with crm.begin() as work:
        account_id = work.account.id
        if not account_id:
            return
        listed = select(col(NeverLogRow.entry)).where(
            col(NeverLogRow.account_id) == account_id, among_texts(work.connection, col(NeverLogRow.entry), keys)
        )
        missing = set(keys).difference(work.connection.scalars(listed))
        insert_rows(work.connection, NeverLogRow, [{"account_id": account_id, "entry": key} for key in sorted(missing)])


def _wanted(connection: Connection, plan: Plan, options: Options) -> WantedMail:
    of_plan = among_numbers(connection, col(DecisionRow.id), plan.decisions)
    kept = frozenset(email.message_id for email in plan.shared if email.message_id)
    return WantedMail(plan.person, decided_of(connection, [of_plan]), kept if options.keeps_shared else frozenset())


def _counted_all(work: Work, plan: Plan) -> Counter[str]:
    """Count all rows that go, by table; a row that goes with its email is counted once."""
    connection, account_id = work.connection, plan.account_id
    parts = [
        *decision_parts(connection, plan.decisions),
        *decision_parts(connection, plan.verdicts, account_id),
        *event_parts(connection, account_id, plan.events),
        *email_parts(connection, account_id, plan.emails),
    ]
    going: dict[type[SQLModel], ColumnElement[bool]] = {
        row: ~among_numbers(connection, col(row.email_id), plan.emails) for row in (AssociationRow, UnmatchedRow)
    }
    of_records: list[Part] = [
        (UnmatchedRow, waits_for(work, plan.person)),
        *record_parts(connection, account_id, plan.records),
    ]
    parts += [(row, and_(condition, going.get(row, true()))) for row, condition in of_records]
    return counted(connection, parts)


def _remove(crm: Crm, plan: Plan, now: datetime) -> Counter[str]:
    """Remove what the plan names, in batches; return how many rows went, by table."""
    counts: Counter[str] = Counter()
    account_id = plan.account_id
    batches: tuple[tuple[Sequence[int], Callable[[Connection, Sequence[int]], list[Part]]], ...] = (
        (plan.decisions, decision_parts),
        (plan.verdicts, lambda connection, part: decision_parts(connection, part, account_id)),
        (plan.events, lambda connection, part: event_parts(connection, account_id, part)),
        (plan.emails, lambda connection, part: email_parts(connection, account_id, part)),
    )
    for numbers, parts in batches:
        for first in range(0, len(numbers), AT_ONCE):
            part = numbers[first : first + AT_ONCE]
            with removing(crm, account_id) as work:
                counts += deleted(work.connection, parts(work.connection, part))
                if numbers is plan.emails:
                    write_events(work.connection, [email_erased(account_id, number) for number in part], now)
    with removing(crm, account_id) as work:
        _strike_out(work, plan)
        counts += deleted(work.connection, [(UnmatchedRow, waits_for(work, plan.person))])
        if not _got_more(work, plan):
            counts += _remove_records(work, plan, now)
    return counts


def _got_more(work: Work, plan: Plan) -> bool:
    """Tell whether mail was put on the records since the plan was made: the next pass removes it first."""
    kept = [email.id for email in plan.shared]
    more = exists().where(
        col(AssociationRow.account_id) == plan.account_id,
        among_numbers(work.connection, col(AssociationRow.record_id), plan.records),
        ~among_numbers(work.connection, col(AssociationRow.email_id), kept),
    )
    return bool(work.connection.scalar(select(more)))


def _remove_records(work: Work, plan: Plan, now: datetime) -> Counter[str]:
    """Remove the records that are still there; count them with their associations and addresses."""
    author = Author(None, now)
    parts = record_parts(work.connection, plan.account_id, plan.records)
    counts = counted(work.connection, parts)
    present = set(work.connection.scalars(select(col(RecordRow.id)).where(parts[-1][1])))
    ended = [facts for number, facts in plan.records.items() if number in present]
    for facts in ended:
        end_record(work, facts.module, facts.id, author)
    write_events(work.connection, [record_deleted(plan.account_id, facts) for facts in ended], now)
    return counts


def _strike_out(work: Work, plan: Plan) -> None:
    """Replace the addresses in the text of other people's rows."""
    for place, number in plan.mentions:
        row, names = MENTIONING[place]
        table = SQLModel.metadata.tables[str(row.__tablename__)]
        one = and_(table.c.account_id == plan.account_id, table.c.id == number)
        texts = work.connection.execute(select(*(table.c[name] for name in names)).where(one)).first()
        if texts is not None:
            struck = {name: text and plan.person.struck_out(text) for name, text in zip(names, texts, strict=True)}
            work.connection.execute(update(table).where(one).values(struck))


@dataclass(frozen=True, slots=True)
class RemovedUser:
    """The counts of what went to the other user, or was erased: rows by table and messages by folder."""

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
        _close_dropbox(work, user, now)
    tables: Counter[str] = Counter()
    while moved := _hand_over_some(crm, user, other):
        tables += moved
    _forget_user(crm, user)
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
        _close_dropbox(work, user, now)
    decisions, wanted = _decisions_of(crm, user)
    folders = copies.remove(wanted) if copies else {}
    tables: Counter[str] = Counter()
    for first in range(0, len(decisions), AT_ONCE):
        with removing(crm, user.account.id) as work:
            tables += deleted(work.connection, decision_parts(work.connection, decisions[first : first + AT_ONCE]))
    while erased := _erase_some(crm, user, now):
        tables += erased
    _forget_user(crm, user)
    wipe(crm.database, (), 0, (*OF_PEOPLE, SenderRow, UserRow))
    return RemovedUser(user.login, None, tables, folders)


def _close_dropbox(work: Work, user: User, now: datetime) -> None:
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
        records = among_numbers(connection, col(RecordRow.id), connection.scalars(_records_of(user)).all())
        owned = update(RecordRow).where(work.owns(RecordRow), records)
        counts["record"] = connection.execute(owned.values(owner_id=other.id)).rowcount
        emails = connection.scalars(_emails_of(user)).all()
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
        emails = connection.scalars(_emails_of(user)).all()
        alone = connection.scalars(_emails_of(user, ~_is_owned(lambda owner: owner.user_id != user.id))).all()
        records = connection.scalars(_records_of(user)).all()
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
    """End these records, and report each end."""
    modules = select(col(RecordRow.id), col(RecordRow.module)).where(
        work.owns(RecordRow), among_numbers(work.connection, col(RecordRow.id), records)
    )
    states, author = read_states(work, records), Author(None, now)
    for number, module in work.connection.execute(modules).all():
        end_record(work, Module(module), number, author)
        facts = facts_of(number, Module(module), states[number])
        write_events(work.connection, [record_deleted(work.account.id, facts.without_address())], now)
    return +Counter({"record": len(states)})


def _forget_user(crm: Crm, user: User) -> None:
    """Take the personal data out of the user's row, which frees the login."""
    with removing(crm, user.account.id) as work:
        for row in (NoticeRow, RecordQuotaRow):
            work.connection.execute(delete(row).where(of_user(row, user)))
        name = f"removed user {user.id}"
        work.connection.execute(update(UserRow).where(of_user(UserRow, user)).values(login=name, login_key=name))


def _decisions_of(crm: Crm, user: User) -> tuple[Sequence[int], WantedMail]:
    """Find the decisions that are the user's alone, and their messages."""
    other = aliased(VerdictRow)
    of_another = exists().where(col(other.decision_id) == col(VerdictRow.decision_id), col(other.user_id) != user.id)
    query = select(col(VerdictRow.decision_id)).where(of_user(VerdictRow, user), ~of_another).distinct()
    with crm.read() as work:
        decisions = work.connection.scalars(query).all()
        decided = decided_of(work.connection, [among_numbers(work.connection, col(DecisionRow.id), decisions)])
    return decisions, WantedMail(Person(frozenset()), decided, frozenset())


def _records_of(user: User) -> Select[int]:
    this = (col(RecordRow.account_id) == user.account.id, col(RecordRow.owner_id) == user.id)
    return select(col(RecordRow.id)).where(*this).order_by(col(RecordRow.id)).limit(AT_ONCE)


def _emails_of(user: User, *more: ColumnElement[bool]) -> Select[int]:
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
