"""Leads and contacts that people add by hand, and their lists (R16, R17)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlmodel import col

from worker.crm.accounts import make_first_account
from worker.crm.record_rows import OwnedDraft, RecordDraft, ids_at, insert_records
from worker.crm.work import Crm, address_of, retry_on_conflict
from worker.domain.patterns import Module
from worker.store.tables import RecordRow, UserRow
from worker.store.waiting import attach_waiting


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """A record as a list shows it; ``owner`` is a login."""

    id: int
    email: str | None
    last_name: str
    owner: str | None
    source: str


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records a list is about; ``email`` finds one by its secondary email too, ``owner`` is a login."""

    module: Module
    email: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class AddedRecord:
    """A new record, and how many waiting emails it was given."""

    record: RecordSummary
    attached: int


@retry_on_conflict
def add_record(crm: Crm, module: Module, draft: RecordDraft, *, now: datetime) -> AddedRecord:
    """Make one record and give it the mail that waits for its address.

    Raises:
        Refused: when the owner does not exist.
    """
    with crm.begin() as work:
        make_first_account(work, now)
        owner = work.user(draft.owner) if draft.owner else None
        owned = OwnedDraft(draft, owner.id if owner else None)
        inserted = insert_records(work.connection, work.account.id, module, [owned], now)
        attached = attach_waiting(work.connection, work.account.id, module, inserted.by_address, now)
    last_name = draft.last_name or draft.email.text
    record = RecordSummary(inserted.ids[0], draft.email.text, last_name, owner.login if owner else None, draft.source)
    return AddedRecord(record, attached)


def list_records(crm: Crm, wanted: RecordFilter, *, limit: int | None) -> list[RecordSummary]:
    """List the account's records, newest first."""
    query = (
        select(
            col(RecordRow.id),
            col(RecordRow.email),
            col(RecordRow.last_name),
            col(UserRow.login),
            col(RecordRow.source),
        )
        .join_from(RecordRow, UserRow, isouter=True)
        .order_by(col(RecordRow.id).desc())
        .limit(limit)
    )
    with crm.read() as work:
        query = query.where(col(RecordRow.account_id) == work.account.id, col(RecordRow.module) == wanted.module.value)
        if wanted.email is not None:
            at_address = ids_at(work.account.id, address_of(wanted.email, "the email").key)
            query = query.where(col(RecordRow.id).in_(at_address))
        if wanted.owner is not None:
            query = query.where(col(RecordRow.owner_id) == work.user(wanted.owner).id)
        return [RecordSummary(*row) for row in work.connection.execute(query)]
