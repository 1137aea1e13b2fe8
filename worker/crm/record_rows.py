"""Rows of leads and contacts: new ones, and those that stand for an address."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, select
from sqlmodel import col

from worker.domain.addresses import Address
from worker.domain.patterns import Module
from worker.domain.records import PRIMARY, SECONDARY
from worker.store.bulk import insert_rows
from worker.store.ids import allocate
from worker.store.tables import RecordAddressRow, RecordRow


@dataclass(frozen=True, slots=True)
class RecordDraft:
    """A record as somebody typed it or a line of a file gave it; ``owner`` is a login."""

    email: Address
    last_name: str = ""
    first_name: str = ""
    secondary_email: Address | None = None
    owner: str | None = None
    source: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class OwnedDraft:
    """A draft whose owner was found (None: it shall have none)."""

    draft: RecordDraft
    owner_id: int | None


@dataclass(frozen=True, slots=True)
class Inserted:
    """The numbers of the new records in order, and by address key the one that mail waiting for it goes to."""

    ids: tuple[int, ...]
    by_address: Mapping[str, int]


def ids_at(account_id: int, address_key: str) -> Select[int]:
    """Select the records that have this address (R16, R25)."""
    return select(col(RecordAddressRow.record_id)).where(
        col(RecordAddressRow.account_id) == account_id, col(RecordAddressRow.address_key) == address_key
    )


def insert_records(
    connection: Connection, account_id: int, module: Module, drafts: Sequence[OwnedDraft], now: datetime
) -> Inserted:
    """Write the records in one statement. `attach_waiting` has to follow, in the same transaction."""
    if not drafts:
        return Inserted((), {})
    ids = allocate(connection, RecordRow, len(drafts))
    rows = [_row(account_id, record_id, module, owned, now) for record_id, owned in zip(ids, drafts, strict=True)]
    insert_rows(connection, RecordRow, rows)
    insert_rows(connection, RecordAddressRow, list(_addresses(account_id, ids, drafts)))
    return Inserted(tuple(ids), _first_by_address(ids, drafts))


def _row(account_id: int, record_id: int, module: Module, owned: OwnedDraft, now: datetime) -> dict[str, object]:
    draft = owned.draft
    return {
        "account_id": account_id,
        "id": record_id,
        "module": module.value,
        "last_name": draft.last_name or draft.email.text,
        "first_name": draft.first_name,
        "email": draft.email.text,
        "owner_id": owned.owner_id,
        "source": draft.source,
        "made_for": None,
        "created_at": now,
    }


def _addresses(account_id: int, ids: Sequence[int], drafts: Sequence[OwnedDraft]) -> Iterator[dict[str, object]]:
    for record_id, owned in zip(ids, drafts, strict=True):
        for position, address in ((PRIMARY, owned.draft.email), (SECONDARY, owned.draft.secondary_email)):
            if address and not (position == SECONDARY and address == owned.draft.email):
                yield {
                    "account_id": account_id,
                    "record_id": record_id,
                    "position": position,
                    "address_key": address.key,
                    "address": address.text,
                }


def _first_by_address(ids: Sequence[int], drafts: Sequence[OwnedDraft]) -> dict[str, int]:
    """R16: of several new records with one address the oldest gets the mail."""
    records: dict[str, int] = {}
    for record_id, owned in zip(ids, drafts, strict=True):
        records.setdefault(owned.draft.email.key, record_id)
        if owned.draft.secondary_email:
            records.setdefault(owned.draft.secondary_email.key, record_id)
    return records
