"""The rows of leads and contacts: how they are found, read and written, many at a time."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, bindparam, delete, select, update
from sqlmodel import col

from worker.crm.work import By, Work
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.events import RecordFacts, record_created, record_updated
from worker.domain.permissions import Module
from worker.domain.records import FIRST_OTHER, PRIMARY, SECONDARY, RecordState
from worker.store.columns import among_numbers, among_texts
from worker.store.event_log import write_events
from worker.store.inserts import allocate, insert_rows
from worker.store.tables import FormerRecordRow, RecordAddressRow, RecordRow, UserRow
from worker.store.waiting import attach_waiting

_COLUMNS = (
    *(col(RecordRow.id), col(RecordRow.external_id), col(RecordRow.last_name), col(RecordRow.first_name)),
    *(col(RecordRow.owner_id), col(RecordRow.source)),
)
_UPDATE = update(RecordRow).where(
    col(RecordRow.account_id) == bindparam("of_account"), col(RecordRow.id) == bindparam("of_id")
)


@dataclass(frozen=True, slots=True)
class Author:
    """The user who changes records, and the time. Without a user it is the operator."""

    user_id: int | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Holder:
    """A record that has an address, and the address's position there."""

    record_id: int
    position: int
    external_id: str | None


@dataclass(frozen=True, slots=True)
class Revision:
    """A record before and after a change."""

    record_id: int
    before: RecordState
    after: RecordState

    def changed_fields(self) -> list[str]:
        """Return the names of the columns that change."""
        names = ("external_id", "last_name", "first_name", "source", "email", "secondary_email")
        found = [name for name in names if getattr(self.before, name) != getattr(self.after, name)]
        if self.before.owner_id != self.after.owner_id:
            found.append("owner")
        if self.moves_addresses:
            found.append("addresses")
        return found

    @property
    def moves_addresses(self) -> bool:
        """An address came, went, or has another position or spelling."""
        return (self.before.email, self.before.secondary_email) != (
            self.after.email,
            self.after.secondary_email,
        ) or self.before.spelling() != self.after.spelling()


def author_of(work: Work, by: By, *modules: Module) -> Author:
    """Return who changes records of these modules; without a user named it is the operator, who may.

    Raises:
        Refused: when the user is disabled, or has no permission for one of the modules.
    """
    if by.login is None:
        return Author(None, by.now)
    user = work.user(by.login)
    if not user.enabled:
        raise Refused(f"{user.login} is disabled", "acting_user_disabled")
    for module in modules:
        if module.permission not in user.permissions:
            raise Refused(
                f"{user.login} may not change {module}s: the profile {user.profile} lacks {module.permission}",
                "module_not_permitted",
            )
    return Author(user.id, by.now)


def facts_of(number: int, module: Module, state: RecordState) -> RecordFacts:
    """Return the record as events describe it."""
    return RecordFacts(number, module, state.email.text if state.email else None, state.external_id)


def ids_at(account_id: int, address_key: str) -> Select[int]:
    """Select the records that have this address (R16, R25)."""
    return select(col(RecordAddressRow.record_id)).where(
        col(RecordAddressRow.account_id) == account_id, col(RecordAddressRow.address_key) == address_key
    )


def ids_by_external_id(work: Work, module: Module, external_ids: Collection[str]) -> dict[str, int]:
    """Find records by the CRM's own keys.

    Raises:
        Unavailable: the database is down.
    """
    if not external_ids:
        return {}
    query = select(col(RecordRow.external_id), col(RecordRow.id)).where(
        *_in_module(work, module),
        col(RecordRow.external_id).is_not(None),
        among_texts(work.connection, col(RecordRow.external_id), external_ids),
    )
    return {str(external_id): number for external_id, number in work.connection.execute(query).all()}


def merged_by_external_id(work: Work, module: Module, external_ids: Collection[str]) -> dict[str, tuple[Module, int]]:
    """Find the records that replaced others with these keys, by the lost key; one that was deleted is left out.

    Raises:
        Unavailable: the database is down.
    """
    if not external_ids:
        return {}
    query = select(col(FormerRecordRow.external_id), col(FormerRecordRow.merged_into)).where(
        work.owns(FormerRecordRow),
        col(FormerRecordRow.module) == module.value,
        col(FormerRecordRow.external_id).is_not(None),
        among_texts(work.connection, col(FormerRecordRow.external_id), external_ids),
    )
    ends = work.connection.execute(query).all()
    return {str(row.external_id): left for row in ends if (left := _survivor(work, row.merged_into)) is not None}


def _survivor(work: Work, number: int | None) -> tuple[Module, int] | None:
    """Follow the merges of a record to the one that is left; None if that was deleted."""
    record, former = RecordRow, FormerRecordRow
    while number is not None:
        left = select(col(record.module)).where(work.owns(record), col(record.id) == number)
        if module := work.connection.scalar(left):
            return Module(module), number
        end = select(col(former.merged_into)).where(work.owns(former), col(former.id) == number)
        number = work.connection.scalar(end)
    return None


def holders(work: Work, module: Module, address_keys: Collection[str]) -> dict[str, list[Holder]]:
    """Find the records of a module that have these addresses, by address key, the oldest record first.

    Raises:
        Unavailable: the database is down.
    """
    found: defaultdict[str, list[Holder]] = defaultdict(list)
    if not address_keys:
        return found
    query = (
        select(
            col(RecordAddressRow.address_key),
            *(col(RecordAddressRow.record_id), col(RecordAddressRow.position), col(RecordRow.external_id)),
        )
        .join_from(RecordAddressRow, RecordRow)
        .where(
            work.owns(RecordAddressRow),
            among_texts(work.connection, col(RecordAddressRow.address_key), address_keys),
            col(RecordRow.module) == module.value,
        )
        .order_by(col(RecordAddressRow.address_key), col(RecordAddressRow.record_id))
    )
    for key, number, position, external_id in work.connection.execute(query).all():
        found[key].append(Holder(number, position, external_id))
    return found


def read_states(work: Work, record_ids: Collection[int]) -> dict[int, RecordState]:
    """Read records by their numbers; deleted ones are absent.

    Raises:
        Unavailable: the database is down.
    """
    if not record_ids:
        return {}
    records = select(*_COLUMNS).where(
        work.owns(RecordRow), among_numbers(work.connection, col(RecordRow.id), record_ids)
    )
    columns = (col(RecordAddressRow.record_id), col(RecordAddressRow.position))
    addresses = (
        select(*columns, col(RecordAddressRow.address_key), col(RecordAddressRow.address))
        .where(work.owns(RecordAddressRow), among_numbers(work.connection, col(RecordAddressRow.record_id), record_ids))
        .order_by(*columns)
    )
    places: defaultdict[int, dict[int, Address]] = defaultdict(dict)
    for number, position, key, text in work.connection.execute(addresses).all():
        places[number][position] = Address(key, text)
    return {number: _state(row, places[number]) for number, *row in work.connection.execute(records).all()}


def _state(row: Sequence[Any], places: dict[int, Address]) -> RecordState:
    external_id, last_name, first_name, owner_id, source = row
    return RecordState(
        *(external_id, last_name, first_name, owner_id, source),
        email=places.get(PRIMARY),
        secondary_email=places.get(SECONDARY),
        others=tuple(address for position, address in places.items() if position >= FIRST_OTHER),
    )


def insert_records(
    work: Work, module: Module, states: Sequence[RecordState], author: Author, *, tells: bool = True
) -> list[int]:
    """Write new records; returns their numbers in the same order. `attach` has to follow.

    ``tells``: each leaves an event.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    ids = allocate(work.connection, RecordRow, len(states))
    new = {
        "account_id": work.account.id,
        "module": module.value,
        "created_at": author.now,
        "created_by": author.user_id,
    }
    rows = [{**new, "id": number, **_columns(state)} for number, state in zip(ids, states, strict=True)]
    insert_rows(work.connection, RecordRow, rows)
    addresses = _addresses(work.account.id, zip(ids, states, strict=True))
    # In the order of their index: of a large one, each page is then written once.
    insert_rows(work.connection, RecordAddressRow, sorted(addresses, key=itemgetter("address_key")))
    if not tells:
        return ids
    logins = _logins(work, {state.owner_id for state in states if state.owner_id is not None})
    events = [
        record_created(
            work.account.id, facts_of(number, module, state), owner=logins.get(state.owner_id or 0), source=state.source
        )
        for number, state in zip(ids, states, strict=True)
    ]
    write_events(work.connection, events, author.now)
    return ids


def update_records(
    work: Work, module: Module, revisions: Sequence[Revision], author: Author, *, tells: bool = True
) -> None:
    """Write changed records. `attach` has to follow where addresses came. ``tells``: each leaves an event.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    if not revisions:
        return
    values = [
        {
            "of_account": work.account.id,
            "of_id": revision.record_id,
            **_columns(revision.after),
            "changed_at": author.now,
            "changed_by": author.user_id,
        }
        for revision in revisions
    ]
    events = [
        record_updated(work.account.id, facts_of(each.record_id, module, each.after), each.changed_fields())
        for each in revisions
    ]
    write_events(work.connection, events if tells else [], author.now)
    columns: dict[str, Any] = {name: bindparam(name) for name in values[0] if not name.startswith("of_")}
    work.connection.execute(_UPDATE.values(columns), values)
    moved = [revision for revision in revisions if revision.moves_addresses]
    if moved:
        remove_addresses(work, [revision.record_id for revision in moved])
        work.connection.execute(
            update(RecordRow)
            .where(
                work.owns(RecordRow),
                among_numbers(work.connection, col(RecordRow.id), [revision.record_id for revision in moved]),
            )
            .values(made_for=None)
        )
        rows = _addresses(work.account.id, ((revision.record_id, revision.after) for revision in moved))
        insert_rows(work.connection, RecordAddressRow, list(rows))


def remove_addresses(work: Work, record_ids: Collection[int]) -> None:
    """Delete every address of these records.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    work.connection.execute(
        delete(RecordAddressRow).where(
            work.owns(RecordAddressRow), among_numbers(work.connection, col(RecordAddressRow.record_id), record_ids)
        )
    )


def attach(work: Work, module: Module, gained: Iterable[tuple[int, RecordState]], author: Author) -> int:
    """Put waiting mail on records that gained these addresses, the oldest first; returns how many emails.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    records: dict[str, int] = {}
    for number, state in sorted(gained, key=lambda pair: pair[0]):
        for address in state.addresses():
            records.setdefault(address.key, number)
    return attach_waiting(work.connection, work.account.id, module, records, author.now) if records else 0


def _logins(work: Work, user_ids: Collection[int]) -> dict[int, str]:
    query = select(col(UserRow.id), col(UserRow.login)).where(
        work.owns(UserRow), among_numbers(work.connection, col(UserRow.id), user_ids)
    )
    return {row.id: row.login for row in work.connection.execute(query)} if user_ids else {}


def _columns(state: RecordState) -> Mapping[str, Any]:
    return {
        "external_id": state.external_id,
        "last_name": state.last_name,
        "first_name": state.first_name,
        "email": state.email.text if state.email else None,
        "owner_id": state.owner_id,
        "source": state.source,
    }


def _addresses(account_id: int, records: Iterable[tuple[int, RecordState]]) -> Iterator[dict[str, Any]]:
    for number, state in records:
        places = ((PRIMARY, state.email), (SECONDARY, state.secondary_email), *enumerate(state.others, FIRST_OTHER))
        for position, address in places:
            if address:
                yield {
                    "account_id": account_id,
                    "record_id": number,
                    "position": position,
                    "address_key": address.key,
                    "address": address.text,
                }


def _in_module(work: Work, module: Module) -> tuple[Any, ...]:
    return work.owns(RecordRow), col(RecordRow.module) == module.value
