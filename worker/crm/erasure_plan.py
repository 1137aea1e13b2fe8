"""Finds what there is of a person (R29)."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, union
from sqlmodel import SQLModel, col

from worker.crm.decision_search import may_name, text_may_name
from worker.crm.record_rows import ids_at
from worker.crm.work import Crm, Work
from worker.domain.addresses import Address
from worker.domain.erasure import Person, texts_in
from worker.domain.errors import Refused
from worker.domain.events import RecordFacts
from worker.domain.permissions import Module
from worker.domain.recipients import MOST_NAMED
from worker.mime import read_head
from worker.store.columns import among_numbers, among_texts
from worker.store.originals import read_original
from worker.store.room import wipe_what_is_deleted
from worker.store.tables import (
    AssociationRow,
    DecisionRow,
    EmailRow,
    EventRow,
    FormerRecordRow,
    RecordAddressRow,
    RecordRow,
    SenderRow,
    UnmatchedRow,
    UserRow,
    VerdictRow,
)
from worker.store.traces import trace_json
from worker.store.waiting import lock

MENTIONING: tuple[tuple[type[SQLModel], tuple[str, ...]], ...] = (
    (EmailRow, ("subject", "snippet")),
    (RecordRow, ("last_name", "first_name", "source")),
    (FormerRecordRow, ("external_id",)),
)
"""Where other people's rows may name the person: the table and its columns of text."""

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
    return and_(work.owns(UnmatchedRow), among_texts(work.connection, col(UnmatchedRow.address_key), person.keys))


@dataclass(frozen=True, slots=True)
class SharedEmail:
    """An email that is also on other people's records, or waits for other people."""

    id: int
    message_id: str
    subject: str
    records: tuple[tuple[str, int], ...]
    """Module and ID of each of these records."""
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows that an erasure removes: their numbers, each table's in order."""

    account_id: int
    person: Person
    records: Mapping[int, RecordFacts]
    emails: tuple[int, ...]
    shared: tuple[SharedEmail, ...]
    decisions: tuple[int, ...]
    verdicts: tuple[int, ...]
    """Decisions of several accounts, of which only this account's verdicts go."""
    events: tuple[int, ...]
    mentions: tuple[tuple[int, int], ...]
    """Other people's rows that have the address in their text, where it is replaced: place in `MENTIONING`, and ID."""
    waits: int
    """Entries of the unmatched list for these addresses."""

    @property
    def is_empty(self) -> bool:
        """Nothing in the database is left to remove."""
        found = (self.records, self.emails, self.decisions, self.verdicts, self.events, self.mentions, self.waits)
        return not any(found)


def find_all(work: Work, address: Address, *, keeps_shared: bool) -> Plan:
    """Find all that there is of the person with this address.

    Raises:
        Refused: when a user sends from the address.
    """
    _refuse_users_address(work, address)
    records = _records(work, address)
    person = Person(frozenset({address.key, *_other_addresses(work, records)}))
    found = _emails(work, person, records)
    shared = tuple(_shared(work, person, records, found))
    kept = {email.id for email in shared} if keeps_shared else set()
    emails = tuple(number for number in found if number not in kept)
    decisions, verdicts = _decisions(work, person, emails)
    return Plan(
        work.account.id,
        person,
        {number: _without_address(facts, person) for number, facts in records.items()},
        emails,
        shared,
        decisions,
        verdicts,
        _events(work, person, records, emails),
        tuple(_mentions(work, person, {EmailRow: found, RecordRow: records})),
        work.connection.scalar(select(func.count()).select_from(UnmatchedRow).where(waits_for(work, person))) or 0,
    )


def _refuse_users_address(work: Work, address: Address) -> None:
    """Refuse to erase a user: all mail of a user names the user."""
    owner = work.connection.scalar(
        select(col(UserRow.login))
        .outerjoin(SenderRow, and_(*_same_user()))
        .where(
            work.owns(UserRow), or_(col(UserRow.login_key) == address.key, col(SenderRow.address_key) == address.key)
        )
    )
    if owner is not None:
        raise Refused(f"{address} is an address of the user {owner}", "address_of_user", login=owner)


def _same_user() -> tuple[ColumnElement[bool], ...]:
    return col(SenderRow.account_id) == col(UserRow.account_id), col(SenderRow.user_id) == col(UserRow.id)


def _records(work: Work, address: Address) -> dict[int, RecordFacts]:
    columns = (col(RecordRow.id), col(RecordRow.module), col(RecordRow.email), col(RecordRow.external_id))
    query = select(*columns).where(
        work.owns(RecordRow),
        or_(
            col(RecordRow.id).in_(ids_at(work.account.id, address.key)),
            func.lower(col(RecordRow.email)) == address.key,
            col(RecordRow.made_for) == address.key,
        ),
    )
    rows = work.connection.execute(query.order_by(col(RecordRow.id)))
    return {number: RecordFacts(number, Module(module), email, key) for number, module, email, key in rows}


def _other_addresses(work: Work, records: Collection[int]) -> set[str]:
    """Return the addresses of the records, except addresses that other records or users have too."""
    this = work.owns(RecordAddressRow)
    of_records = among_numbers(work.connection, col(RecordAddressRow.record_id), records)
    keys = set(work.connection.scalars(select(col(RecordAddressRow.address_key)).where(this, of_records)))
    if not keys:
        return keys
    taken = union(
        select(col(RecordAddressRow.address_key)).where(
            this, ~of_records, among_texts(work.connection, col(RecordAddressRow.address_key), keys)
        ),
        select(col(SenderRow.address_key)).where(work.owns(SenderRow)),
        select(col(UserRow.login_key)).where(work.owns(UserRow)),
    )
    return keys.difference(work.connection.scalars(taken))


def _emails(work: Work, person: Person, records: Collection[int]) -> dict[int, None]:
    """Find the emails on these records, emails that wait for the person, and emails from or to the person."""
    connection, account_id = work.connection, work.account.id
    on_records = select(col(AssociationRow.email_id)).where(
        col(AssociationRow.account_id) == account_id, among_numbers(connection, col(AssociationRow.record_id), records)
    )
    waiting = select(col(UnmatchedRow.email_id)).where(waits_for(work, person))
    found = set(connection.scalars(union(on_records, waiting)))
    may_be = (
        select(col(EmailRow.id), col(EmailRow.sender), col(EmailRow.recipients))
        .where(
            col(EmailRow.account_id) == account_id,
            or_(
                may_name(connection, col(EmailRow.sender), person.keys, '"'),
                may_name(connection, col(EmailRow.recipients), person.keys),
                func.json_array_length(col(EmailRow.recipients)) >= MOST_NAMED,
            ),
        )
        .order_by(col(EmailRow.id))
    )
    cut = []
    for number, sender, recipients in _rows(connection, may_be):
        if person.is_named_in([sender, *recipients]):
            found.add(number)
        elif len(recipients) >= MOST_NAMED:
            cut.append(number)
    found.update(number for number in cut if number not in found and _original_names(work, number, person))
    return dict.fromkeys(sorted(found))


def _original_names(work: Work, number: int, person: Person) -> bool:
    """Read the original's own head: a stored list of recipients ends after `MOST_NAMED`."""
    raw = read_original(work.connection, work.account.id, number)
    return raw is not None and person.takes_part_in(read_head(raw))


def _shared(work: Work, person: Person, records: Collection[int], emails: Collection[int]) -> Iterator[SharedEmail]:
    """Find which of the emails are also on other records, or wait for other people."""
    connection, account_id = work.connection, work.account.id
    on_others = (
        select(col(AssociationRow.email_id), col(RecordRow.module), col(RecordRow.id))
        .join_from(AssociationRow, RecordRow)
        .where(
            col(AssociationRow.account_id) == account_id,
            among_numbers(connection, col(AssociationRow.email_id), emails),
            ~among_numbers(connection, col(AssociationRow.record_id), records),
        )
    )
    for_others = select(col(UnmatchedRow.email_id), col(UnmatchedRow.address)).where(
        col(UnmatchedRow.account_id) == account_id,
        among_numbers(connection, col(UnmatchedRow.email_id), emails),
        ~among_texts(connection, col(UnmatchedRow.address_key), person.keys),
    )
    listed: dict[int, list[tuple[str, int]]] = {}
    for email, module, record in connection.execute(on_others.order_by(col(RecordRow.id))):
        listed.setdefault(email, []).append((module, record))
    waiting: dict[int, list[str]] = {}
    for email, address in connection.execute(for_others):
        waiting.setdefault(email, []).append(address)
    query = select(col(EmailRow.id), col(EmailRow.message_id), col(EmailRow.subject)).where(
        col(EmailRow.account_id) == account_id, among_numbers(connection, col(EmailRow.id), {*listed, *waiting})
    )
    for number, message_id, subject in connection.execute(query.order_by(col(EmailRow.id))):
        yield SharedEmail(number, message_id, subject, tuple(listed.get(number, ())), tuple(waiting.get(number, ())))


def _decisions(work: Work, person: Person, emails: Collection[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the decisions that go, and those of which only this account's verdicts go."""
    connection = work.connection
    of_emails = select(col(VerdictRow.decision_id)).where(
        work.owns(VerdictRow), among_numbers(connection, col(VerdictRow.email_id), emails)
    )
    found = set(connection.scalars(of_emails))
    heads = select(
        col(DecisionRow.id), col(DecisionRow.sender), col(DecisionRow.recipients), col(DecisionRow.subject)
    ).where(
        or_(
            *(may_name(connection, column, person.keys, '"') for column in (DecisionRow.sender, DecisionRow.subject)),
            may_name(connection, DecisionRow.recipients, person.keys),
        )
    )
    found |= {
        number
        for number, sender, recipients, subject in _rows(connection, heads)
        if person.is_named_in([sender, subject, *recipients])
    }
    traces = select(col(VerdictRow.decision_id), col(VerdictRow.trace), col(VerdictRow.packed)).where(
        or_(may_name(connection, VerdictRow.trace, person.keys), col(VerdictRow.packed).is_not(None))
    )
    found |= {
        number
        for number, trace, packed in _rows(connection, traces)
        if packed is None or text_may_name(packed, person.keys)
        if person.is_named_in(texts_in(trace_json(trace, packed)))
    }
    return by_account(work, found)


def by_account(work: Work, decisions: Collection[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the decisions that go, and those of which this account's verdicts go. One without an owner goes."""
    verdicts = select(col(VerdictRow.decision_id), col(VerdictRow.account_id)).where(
        among_numbers(work.connection, col(VerdictRow.decision_id), decisions)
    )
    accounts: dict[int, set[int | None]] = {number: set() for number in decisions}
    for number, account_id in work.connection.execute(verdicts):
        accounts[number].add(account_id)
    ours = {None, work.account.id}
    whole = sorted(number for number, among in accounts.items() if among <= ours)
    partly = sorted(number for number, among in accounts.items() if not among <= ours and work.account.id in among)
    return tuple(whole), tuple(partly)


def _events(work: Work, person: Person, records: Collection[int], emails: Collection[int]) -> tuple[int, ...]:
    connection = work.connection
    of_these = or_(
        among_numbers(connection, col(EventRow.record_id), records),
        among_numbers(connection, col(EventRow.merged_id), records),
        among_numbers(connection, col(EventRow.email_id), emails),
    )
    may_be = or_(of_these, may_name(connection, EventRow.data, person.keys), col(EventRow.packed).is_not(None))
    columns = (col(EventRow.id), func.coalesce(of_these, False), col(EventRow.data), col(EventRow.packed))
    query = select(*columns).where(work.owns(EventRow), may_be)
    rows = _rows(connection, query)
    return tuple(
        sorted(number for number, is_theirs, data, packed in rows if is_theirs or _event_names(person, packed or data))
    )


def _event_names(person: Person, data: str) -> bool:
    return text_may_name(data, person.keys) and person.is_named_in(texts_in(json.loads(data)))


def _mentions(
    work: Work, person: Person, theirs: Mapping[type[SQLModel], Collection[int]]
) -> Iterator[tuple[int, int]]:
    """Find other people's rows that name the person."""
    for place, (row, names) in enumerate(MENTIONING):
        table = SQLModel.metadata.tables[str(row.__tablename__)].c
        query = select(table.id, *(table[name] for name in names)).where(
            table.account_id == work.account.id,
            or_(*(may_name(work.connection, table[name], person.keys, '"') for name in names)),
        )
        for number, *texts in _rows(work.connection, query.order_by(table.id)):
            if number not in theirs.get(row, ()) and any(text and person.struck_out(text) != text for text in texts):
                yield place, number


def _rows(connection: Connection, query: Any) -> Iterable[Any]:
    return connection.execute(query, execution_options={"yield_per": AT_ONCE})


def _without_address(facts: RecordFacts, person: Person) -> RecordFacts:
    """Return what the event of the deletion may say."""
    key = facts.external_id
    return RecordFacts(facts.id, facts.module, None, None if key and person.is_named_in([key]) else key)
