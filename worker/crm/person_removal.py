"""Erases a person (R29): the plan, then all of it in batches that a crash can interrupt at any step.

The never-log entries come first, so that no poll brings the person back; the records come last, because they lead to
the other addresses of the person. So the same command, given again, finds the rest and finishes the work.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select, true, update
from sqlmodel import SQLModel, col

from worker.crm.decisions import decided_of
from worker.crm.erasure_plan import AT_ONCE, MENTIONING, Plan, SharedEmail, find_all, removing, waits_for
from worker.crm.record_life import end_record
from worker.crm.record_rows import Author
from worker.crm.work import Crm, Work, address_of
from worker.domain.erasure import WantedMail
from worker.domain.events import email_erased, record_deleted
from worker.store.columns import among_numbers, among_texts
from worker.store.event_log import write_events
from worker.store.inserts import insert_rows
from worker.store.retention import (
    OF_PEOPLE,
    Part,
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
    NeverLogRow,
    RecordRow,
    UnmatchedRow,
)

_MOST_PASSES = 20
"""A poll may file mail of the person while the erasure runs; each pass finds what came during the one before."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a person is erased."""

    keeps_shared: bool = False
    """Emails that are other people's too stay."""
    never_logs: bool = True
    """An entry in the never-log list is left for each address."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was removed, or would be: rows by table and messages by folder."""

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
        if plan.is_empty and not removed:
            wipe(crm.database, keys, _entries(crm, keys), OF_PEOPLE)
            return _erased(keys, tables, folders, shared, options, is_complete=True)
        tables.update(_remove(crm, plan, now))
    wipe(crm.database, keys, _entries(crm, keys), OF_PEOPLE)
    return _erased(keys, tables, folders, shared, options, is_complete=False)


def _erased(  # noqa: PLR0913 - the parts of the result
    keys: Collection[str],
    tables: Mapping[str, int],
    folders: Mapping[str, int],
    shared: Mapping[int, SharedEmail],
    options: Options,
    *,
    is_complete: bool,
) -> Erased:
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
    for place, number in plan.mentions:
        row, names = MENTIONING[place]
        table = SQLModel.metadata.tables[str(row.__tablename__)]
        one = and_(table.c.account_id == plan.account_id, table.c.id == number)
        texts = work.connection.execute(select(*(table.c[name] for name in names)).where(one)).first()
        if texts is not None:
            struck = {name: text and plan.person.struck_out(text) for name, text in zip(names, texts, strict=True)}
            work.connection.execute(update(table).where(one).values(struck))
