"""Stored emails: a record's "Sent Emails from CRM", one email in full, its original bytes (R18 to R20)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlmodel import col

from worker.crm.record_rows import ids_at
from worker.crm.work import Crm, Work, address_of
from worker.domain.errors import Refused
from worker.domain.patterns import Module
from worker.store.keys import among_numbers
from worker.store.tables import (
    AssociationRow,
    EmailContentRow,
    EmailOwnerRow,
    EmailRow,
    RecordRow,
    UnmatchedRow,
    UserRow,
)


@dataclass(frozen=True, slots=True)
class EmailRecord:
    """A record that the email stands on; ``created``: this email made it."""

    module: Module
    id: int
    email: str | None
    created: bool


@dataclass(frozen=True, slots=True)
class EmailSummary:
    """An email as a list shows it."""

    id: int
    message_id: str
    subject: str
    sender: str
    sent_at: datetime | None
    owners: tuple[str, ...]
    records: tuple[EmailRecord, ...]


@dataclass(frozen=True, slots=True)
class EmailDetail:
    """One email in full, without its original."""

    summary: EmailSummary
    thread_id: str
    recipients: tuple[str, ...]
    unmatched: tuple[str, ...]
    attachments: tuple[dict[str, Any], ...]
    snippet: str
    arrived_at: datetime
    stored_at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class EmailFilter:
    """Which emails a list is about: those of a record (by module and address) or of an owner."""

    module: Module | None = None
    record: str | None = None
    owner: str | None = None


def list_emails(crm: Crm, wanted: EmailFilter, *, limit: int | None) -> list[EmailSummary]:
    """List the account's emails that fit the filter, the last stored first."""
    with crm.read() as work:
        rows = work.connection.execute(_latest_first(work, wanted).limit(limit)).all()
        return _summaries(work, [tuple(row) for row in rows])


def show_email(crm: Crm, email_id: int) -> EmailDetail:
    """Show one email.

    Raises:
        Refused: when there is none of that number.
    """
    details = (
        col(EmailRow.thread_id),
        col(EmailRow.recipients),
        col(EmailRow.attachments),
        col(EmailRow.snippet),
        col(EmailRow.arrived_at),
        col(EmailRow.stored_at),
        col(EmailRow.size),
    )
    with crm.read() as work:
        of_email = (col(EmailRow.account_id) == work.account.id, col(EmailRow.id) == email_id)
        row = work.connection.execute(select(*_SUMMARY, *details).where(*of_email)).first()
        if row is None:
            raise _no_email(work, email_id)
        waiting = select(col(UnmatchedRow.address)).where(
            col(UnmatchedRow.account_id) == work.account.id, col(UnmatchedRow.email_id) == email_id
        )
        (summary,) = _summaries(work, [tuple(row)[: len(_SUMMARY)]])
        return EmailDetail(
            summary=summary,
            thread_id=row.thread_id,
            recipients=tuple(row.recipients),
            unmatched=tuple(work.connection.scalars(waiting)),
            attachments=tuple(row.attachments),
            snippet=row.snippet,
            arrived_at=row.arrived_at,
            stored_at=row.stored_at,
            size=row.size,
        )


def original_of(crm: Crm, email_id: int) -> bytes:
    """Return the message as it arrived, byte for byte (R20).

    Raises:
        Refused: when there is none of that number.
    """
    with crm.read() as work:
        of_email = (col(EmailContentRow.account_id) == work.account.id, col(EmailContentRow.email_id) == email_id)
        original = work.connection.scalar(select(col(EmailContentRow.original)).where(*of_email))
        if original is None:
            raise _no_email(work, email_id)
        return bytes(original)


_SUMMARY = (
    col(EmailRow.id),
    col(EmailRow.message_id),
    col(EmailRow.subject),
    col(EmailRow.sender),
    col(EmailRow.sent_at),
)


def _latest_first(work: Work, wanted: EmailFilter) -> Select[*tuple[Any, ...]]:
    """Select the emails, newest first. One owner's emails come from the owner's own index."""
    query = select(*_SUMMARY).where(col(EmailRow.account_id) == work.account.id)
    number = col(EmailRow.id)
    if wanted.owner is not None:
        number = col(EmailOwnerRow.email_id)
        owner = work.user(wanted.owner)
        query = query.join(EmailOwnerRow).where(
            col(EmailOwnerRow.account_id) == work.account.id, col(EmailOwnerRow.user_id) == owner.id
        )
    if wanted.record is not None:
        key = address_of(wanted.record, "the record's email").key
        records = select(col(RecordRow.id)).where(
            col(RecordRow.account_id) == work.account.id,
            col(RecordRow.module) == wanted.module,
            col(RecordRow.id).in_(ids_at(work.account.id, key)),
        )
        on_record = select(col(AssociationRow.email_id)).where(
            col(AssociationRow.account_id) == work.account.id, col(AssociationRow.record_id).in_(records)
        )
        query = query.where(number.in_(on_record))
    return query.order_by(number.desc())


def _summaries(work: Work, rows: Sequence[tuple[Any, ...]]) -> list[EmailSummary]:
    owners: dict[int, list[str]] = defaultdict(list)
    records: dict[int, list[EmailRecord]] = defaultdict(list)
    ids = [row[0] for row in rows]
    owned = _OWNERS.where(
        col(EmailOwnerRow.account_id) == work.account.id,
        among_numbers(work.connection, col(EmailOwnerRow.email_id), ids),
    )
    associated = _RECORDS.where(
        col(AssociationRow.account_id) == work.account.id,
        among_numbers(work.connection, col(AssociationRow.email_id), ids),
    )
    for email_id, login in work.connection.execute(owned):
        owners[email_id].append(login)
    for email_id, module, record_id, email, created in work.connection.execute(associated):
        records[email_id].append(EmailRecord(Module(module), record_id, email, created))
    return [EmailSummary(*(*row, tuple(owners[row[0]]), tuple(records[row[0]]))) for row in rows]


_OWNERS = (
    select(col(EmailOwnerRow.email_id), col(UserRow.login)).join_from(EmailOwnerRow, UserRow).order_by(col(UserRow.id))
)

_RECORDS = (
    select(
        col(AssociationRow.email_id),
        col(RecordRow.module),
        col(RecordRow.id),
        col(RecordRow.email),
        col(AssociationRow.created),
    )
    .join_from(AssociationRow, RecordRow)
    .order_by(col(RecordRow.id))
)


def _no_email(work: Work, email_id: int) -> Refused:
    return Refused(f"no email {email_id} in account {work.account.name}", "email_unknown")
