"""Leads and contacts as people look at them: lists, one in full, and duplicates."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from worker.crm.record_rows import ids_at, ids_by_external_id, read_states
from worker.crm.work import MOST_NAMED, Crm, Work, address_of
from worker.domain.errors import Refused
from worker.domain.permissions import Module
from worker.domain.text import clean
from worker.store.tables import FormerRecordRow, RecordAddressRow, RecordRow, UserRow

_BY_EXTERNAL_ID = "external:"
"""What a record's name begins with where it is the CRM's own key."""


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """A record as a list shows it, by the names of the JSON fields; ``owner`` is a login."""

    id: int
    external_id: str | None
    email: str | None
    last_name: str
    first_name: str
    owner: str | None
    source: str


@dataclass(frozen=True, slots=True)
class RecordDetail:
    """One record in full; the users are logins."""

    summary: RecordSummary
    module: Module
    addresses: tuple[str, ...]
    """All that it matches by, the primary one first."""
    secondary_email: str | None
    created_at: datetime
    created_by: str | None
    changed_at: datetime | None
    changed_by: str | None


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """The records that a list is about; ``email`` is any of their addresses, ``owner`` is a login."""

    module: Module
    email: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two records of one module with the same address; ``id`` is the older one."""

    address: str
    id: int
    duplicate_id: int


def list_records(crm: Crm, wanted: RecordFilter, *, limit: int | None) -> list[RecordSummary]:
    """List the account's records, newest first.

    Raises:
        Refused: when the owner does not exist, or the text is no address.
    """
    with crm.read() as work:
        query = _SUMMARIES.where(work.owns(RecordRow))
        query = query.where(col(RecordRow.module) == wanted.module.value)
        if wanted.email is not None:
            at_address = ids_at(work.account.id, address_of(wanted.email, "the email").key)
            query = query.where(col(RecordRow.id).in_(at_address))
        if wanted.owner is not None:
            query = query.where(col(RecordRow.owner_id) == work.user(wanted.owner).id)
        newest_first = query.order_by(col(RecordRow.id).desc()).limit(limit)
        return [RecordSummary(*row) for row in work.connection.execute(newest_first)]


def show_record(crm: Crm, module: Module, name: str) -> RecordDetail:
    """Show one record.

    Raises:
        Refused: when no record is named so, or several are.
    """
    with crm.read() as work:
        return detail_of(work, module, find_record(work, module, name))


def list_duplicates(crm: Crm, module: Module, *, limit: int | None) -> list[Duplicate]:
    """List pairs of records that share an address. Merged in this order, of each address one record is left.

    It reads every address of the account.

    Raises:
        Refused: there is no such account, or there are several and none is named.
        Unavailable: the database is down.
    """
    into: dict[int, int] = {}
    found: list[Duplicate] = []
    with crm.read() as work:
        pairs = work.connection.execute(_sharing_an_address(work, module), execution_options={"yield_per": 100})
        for address, *pair in pairs:
            older, newer = sorted({_left_of(number, into) for number in pair} | {0})[-2:]
            if not older:  # the pairs before have merged both into one
                continue
            into[newer] = older
            found.append(Duplicate(address, older, newer))
            if limit and len(found) >= limit:
                break
    return found


def find_record(work: Work, module: Module, name: str) -> int:
    """Find a record by its number, by an address that only it has, or by ``external:KEY``; returns the number.

    Raises:
        Refused: when no record of the module is named so, or several are.
    """
    numbers = find_records(work, module, name)
    if not numbers:
        raise _no_record(work, module, name)
    if len(numbers) > 1:
        ids = ", ".join(map(str, numbers[:MOST_NAMED])) + (", …" if len(numbers) > MOST_NAMED else "")
        raise Refused(f"{len(numbers)} {module}s have the address {clean(name, 80)}: {ids}", "record_ambiguous")
    return numbers[0]


def find_records(work: Work, module: Module, name: str) -> list[int]:
    """Find every record of the module that is named so, in the ways of `find_record`.

    Raises:
        Refused: the text is no name of a record.
        Unavailable: the database is down.
    """
    text = name.strip()
    if text.startswith(_BY_EXTERNAL_ID):
        return list(ids_by_external_id(work, module, [text.removeprefix(_BY_EXTERNAL_ID)]).values())
    number = int(text) if text.isdecimal() and len(text) < _MOST_DIGITS else None
    if number is None and "@" not in text:
        raise Refused(
            f"a {module} is named by its ID, by its address or by external:KEY, not {clean(text, 80)!r}",
            "record_unnamed",
        )
    ids: Any = [number] if number is not None else ids_at(work.account.id, address_of(text, f"the {module}").key)
    query = select(col(RecordRow.id)).where(
        work.owns(RecordRow), col(RecordRow.module) == module.value, col(RecordRow.id).in_(ids)
    )
    return list(work.connection.scalars(query.order_by(col(RecordRow.id))))


def find_listed(work: Work, module: Module, name: str) -> list[int]:
    """Find the records on whose lists to look, in the ways of `find_record`: all that have an address, or none.

    Raises:
        Refused: when no record of the module has the number or the key.
    """
    numbers = find_records(work, module, name)
    if not numbers and ("@" not in name or name.strip().startswith(_BY_EXTERNAL_ID)):
        raise _no_record(work, module, name)
    return numbers


def detail_of(work: Work, module: Module, number: int) -> RecordDetail:
    """Read a record that exists.

    Raises:
        Unavailable: the database is down.
    """
    state = read_states(work, [number])[number]
    query = _SUMMARIES.add_columns(
        *(col(RecordRow.created_at), _login_of(RecordRow, RecordRow.created_by)),
        *(col(RecordRow.changed_at), _login_of(RecordRow, RecordRow.changed_by)),
    )
    of_record = (work.owns(RecordRow), col(RecordRow.id) == number)
    row = tuple(work.connection.execute(query.where(*of_record)).one())
    created_at, created_by, changed_at, changed_by = row[-4:]
    return RecordDetail(
        RecordSummary(*row[:-4]),
        module,
        tuple(address.text for address in state.addresses()),
        state.secondary_email.text if state.secondary_email else None,
        created_at,
        created_by,
        changed_at,
        changed_by,
    )


_MOST_DIGITS = 19
"""Of a record's number: more than these fit no BIGINT."""

_SUMMARIES: Select[*tuple[Any, ...]] = select(
    *(col(RecordRow.id), col(RecordRow.external_id), col(RecordRow.email)),
    *(col(RecordRow.last_name), col(RecordRow.first_name), col(UserRow.login), col(RecordRow.source)),
).join_from(RecordRow, UserRow, isouter=True)


def _login_of(row: Any, user_id: Any) -> Any:
    """Return a column ``login`` of the user with that number, in the account of the row."""
    user = aliased(UserRow)
    query = select(col(user.login)).where(col(user.account_id) == row.account_id, col(user.id) == user_id)
    return query.scalar_subquery().label("login")


def _sharing_an_address(work: Work, module: Module) -> Select[*tuple[Any, ...]]:
    """Select address and record numbers of each pair, in the order of the index of addresses."""
    one, other = aliased(RecordAddressRow), aliased(RecordAddressRow)
    first, second = aliased(RecordRow), aliased(RecordRow)
    return (
        select(col(one.address), col(one.record_id), col(other.record_id))
        .join_from(
            one,
            other,
            and_(
                col(other.account_id) == col(one.account_id),
                col(other.address_key) == col(one.address_key),
                col(other.record_id) > col(one.record_id),
            ),
        )
        .join(first, onclause=_is_of(first, one))
        .join(second, onclause=_is_of(second, other))
        .where(work.owns(one), col(first.module) == module.value, col(second.module) == module.value)
        .order_by(col(one.address_key), col(one.record_id), col(other.record_id))
    )


def _is_of(record: Any, address: Any) -> Any:
    return and_(record.account_id == address.account_id, record.id == address.record_id)


def _left_of(number: int, into: dict[int, int]) -> int:
    """Return the record that this one is merged into by then."""
    while number in into:
        number = into[number]
    return number


def _no_record(work: Work, module: Module, name: str) -> Refused:
    text = name.strip()
    if text.isdecimal() and len(text) < _MOST_DIGITS:
        return _no_record_with_id(work, module, int(text))
    return Refused(f"no {module} {clean(text, 80)} in account {work.account.name}", "record_unknown", module=module)


def _no_record_with_id(work: Work, module: Module, number: int) -> Refused:
    """Tell what became of it, where that is known."""
    query = select(col(RecordRow.module)).where(work.owns(RecordRow), col(RecordRow.id) == number)
    if other := work.connection.scalar(query):
        return Refused(f"{number} is a {other}, not a {module}", "record_of_other_module", module=other, id=number)
    former = select(FormerRecordRow.__table__, _login_of(FormerRecordRow, FormerRecordRow.ended_by)).where(  # type: ignore[attr-defined]
        work.owns(FormerRecordRow), col(FormerRecordRow.id) == number
    )
    row = work.connection.execute(former).first()
    if row is None:
        return Refused(f"no {module} {number} in account {work.account.name}", "record_unknown", module=module)
    end = f"was merged into record {row.merged_into}" if row.merged_into else "was deleted"
    by = f" by {row.login}" if row.login else ""
    return Refused(f"{row.module} {number} {end} on {row.ended_at:%Y-%m-%d}{by}", "record_gone")
