"""Stored emails: a record's lists, one in full, its original (R18 to R20, R28); recipients that wait for a record."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlmodel import col

from worker.crm.record_life import changing
from worker.crm.record_lists import RecordDetail, detail_of, find_listed, find_record
from worker.crm.record_rows import Revision, attach, insert_records, read_states, update_records
from worker.crm.work import By, Crm, Work, address_of
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.permissions import Module
from worker.domain.records import SOURCE, Direction, RecordChange, RecordState, changed
from worker.retries import retry_on_conflict
from worker.store.columns import among_numbers
from worker.store.tables import AssociationRow, EmailOwnerRow, EmailRow, RecordRow, UnmatchedRow, UserRow


@dataclass(frozen=True, slots=True)
class EmailRecord:
    """A record that lists the email.

    ``created``: this email made the record. ``claimed``: only the owner says so, by a forward (R28).
    """

    module: Module
    id: int
    email: str | None
    created: bool
    direction: Direction = Direction.SENT
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class EmailSummary:
    """An email as a list shows it."""

    id: int
    message_id: str
    subject: str
    sender: str
    sent_at: datetime
    is_arrival: bool
    """The mail has no Date that can be read: ``sent_at`` is when it arrived."""
    verified: bool
    """Our own mail server vouched for the sender (R13)."""
    owners: tuple[str, ...]
    records: tuple[EmailRecord, ...]
    direction: Direction
    """On the list that was asked for, else on that of the first record."""
    claimed: bool


@dataclass(frozen=True, slots=True)
class EmailDetail:
    """One email in full, without its original."""

    summary: EmailSummary
    unmatched: tuple[str, ...]
    thread_id: str
    recipients: Sequence[str]
    attachments: Sequence[dict[str, Any]]
    snippet: str
    arrived_at: datetime
    stored_at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class EmailFilter:
    """The emails that a list is about: those of a record, named as in `find_records`, of an owner, or that wait."""

    module: Module | None = None
    record: str | None = None
    owner: str | None = None
    waits: bool = False
    """Only those of which a recipient waits for a record (R15)."""


def list_emails(crm: Crm, wanted: EmailFilter, *, limit: int | None) -> list[EmailSummary]:
    """List the account's emails that fit the filter, the last stored first. An address without a record has none.

    Raises:
        Refused: there is no such account or user, no record has the ID or key, or the text is no name of a record.
        Unavailable: the database is down.
    """
    with crm.read() as work:
        records = None
        if wanted.module is not None and wanted.record is not None:
            records = find_listed(work, wanted.module, wanted.record)
        rows = work.connection.execute(_latest_first(work, wanted, records).limit(limit)).all()
        return _summaries(work, [tuple(row) for row in rows], records or ())


def show_email(crm: Crm, email_id: int) -> EmailDetail:
    """Show one email.

    Raises:
        Refused: when no email has that number.
    """
    details = (
        *(col(EmailRow.thread_id), col(EmailRow.recipients), col(EmailRow.attachments), col(EmailRow.snippet)),
        *(col(EmailRow.arrived_at), col(EmailRow.stored_at), col(EmailRow.size)),
    )
    with crm.read() as work:
        of_email = (work.owns(EmailRow), col(EmailRow.id) == email_id)
        row = work.connection.execute(select(*_SUMMARY, *details).where(*of_email)).first()
        if row is None:
            raise _no_email(work, email_id)
        waiting = select(col(UnmatchedRow.address)).where(
            work.owns(UnmatchedRow), col(UnmatchedRow.email_id) == email_id
        )
        (summary,) = _summaries(work, [tuple(row)[: len(_SUMMARY)]])
        return EmailDetail(summary, tuple(work.connection.scalars(waiting)), *row[len(_SUMMARY) :])


def original_of(crm: Crm, email_id: int) -> bytes:
    """Return the message as it arrived, byte for byte (R20).

    Raises:
        Refused: when no email has that number.
        Damaged: when the stored bytes are not the message that was filed.
    """
    from worker.store.originals import read_original  # noqa: PLC0415 - its compression takes long to load

    with crm.read() as work:
        raw = read_original(work.connection, work.account.id, email_id)
        if raw is None:
            raise _no_email(work, email_id)
    return raw


_SUMMARY = (
    col(EmailRow.id),
    col(EmailRow.message_id),
    col(EmailRow.subject),
    col(EmailRow.sender),
    func.coalesce(col(EmailRow.sent_at), col(EmailRow.arrived_at)),
    col(EmailRow.sent_at).is_(None),
    col(EmailRow.verified),
)


def _latest_first(work: Work, wanted: EmailFilter, records: Sequence[int] | None) -> Select[*tuple[Any, ...]]:
    """Select the emails, newest first. One owner's emails come from the owner's own index."""
    query = select(*_SUMMARY).where(work.owns(EmailRow))
    number = col(EmailRow.id)
    if wanted.owner is not None:
        number = col(EmailOwnerRow.email_id)
        owner = work.user(wanted.owner)
        query = query.join(EmailOwnerRow).where(work.owns(EmailOwnerRow), col(EmailOwnerRow.user_id) == owner.id)
    if records is not None:
        on_record = select(col(AssociationRow.email_id)).where(
            work.owns(AssociationRow), col(AssociationRow.record_id).in_(records)
        )
        query = query.where(number.in_(on_record))
    if wanted.waits:
        waiting = select(col(UnmatchedRow.email_id)).where(work.owns(UnmatchedRow))
        query = query.where(number.in_(waiting))
    return query.order_by(number.desc())


def _summaries(work: Work, rows: Sequence[tuple[Any, ...]], asked: Collection[int] = ()) -> list[EmailSummary]:
    """Add the owners and the records; ``asked`` are the records whose lists are shown."""
    owners: dict[int, list[str]] = defaultdict(list)
    records: dict[int, list[EmailRecord]] = defaultdict(list)
    waiting: dict[int, tuple[Direction, bool]] = {}
    ids = [row[0] for row in rows]
    for email_id, login in _of(work, _OWNERS, EmailOwnerRow, ids):
        owners[email_id].append(login)
    for email_id, module, record_id, email, created, direction, claimed in _of(work, _RECORDS, AssociationRow, ids):
        record = EmailRecord(Module(module), record_id, email, created, Direction(direction), claimed)
        records[email_id].append(record)
    on_no_list = [number for number in ids if number not in records]
    for email_id, direction, claimed in _of(work, _WAITING, UnmatchedRow, on_no_list):
        waiting[email_id] = Direction(direction), claimed
    summaries = []
    for row in rows:
        on = records[row[0]]
        shown = next((record for record in on if record.id in asked), on[0] if on else None)
        direction, claimed = (shown.direction, shown.claimed) if shown else waiting.get(row[0], (Direction.SENT, False))
        summaries.append(EmailSummary(*(*row, tuple(owners[row[0]]), tuple(on), direction, claimed)))
    return summaries


def _of(work: Work, query: Select[*tuple[Any, ...]], table: Any, emails: Sequence[int]) -> Iterable[Any]:
    if not emails:
        return ()
    return work.connection.execute(
        query.where(work.owns(table), among_numbers(work.connection, col(table.email_id), emails))
    )


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
        col(AssociationRow.direction),
        col(AssociationRow.claimed),
    )
    .join_from(AssociationRow, RecordRow)
    .order_by(col(RecordRow.id))
)


_WAITING = select(col(UnmatchedRow.email_id), col(UnmatchedRow.direction), col(UnmatchedRow.claimed))


def _no_email(work: Work, email_id: int) -> Refused:
    return Refused(f"no email {email_id} in account {work.account.name}", "email_unknown")


@dataclass(frozen=True, slots=True)
class UnmatchedAddress:
    """An address that waits for a record, by the names of the JSON fields: the times are those of arrival."""

    address: str
    emails: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class AssignedMail:
    """A record, how many emails it got, and whether others wait on: those whose owner has no permission (R10)."""

    record: RecordDetail
    attached: int
    is_waited_for: bool


def list_unmatched(crm: Crm, *, limit: int | None) -> list[UnmatchedAddress]:
    """List the addresses that wait for a record; the one that waits longest comes first.

    Raises:
        Refused: there is no such account, or there are several and none is named.
        Unavailable: the database is down.
    """
    first, last = func.min(col(EmailRow.arrived_at)), func.max(col(EmailRow.arrived_at))
    with crm.read() as work:
        query = (
            select(func.min(col(UnmatchedRow.address)), func.count(), first, last)
            .join_from(UnmatchedRow, EmailRow)
            .where(work.owns(UnmatchedRow))
            .group_by(col(UnmatchedRow.address_key))
            .order_by(first, col(UnmatchedRow.address_key))
            .limit(limit)
        )
        return [UnmatchedAddress(*row) for row in work.connection.execute(query)]


@retry_on_conflict
def assign_unmatched(crm: Crm, text: str, module: Module, by: By, *, to: str | None) -> AssignedMail:
    """Put the emails that wait for an address on a record, which matches by the address from now on.

    ``to`` names the record. None makes a new one as mail would have made it (R17): its owner is the acting user, else
    the owner of the first email that waits.

    Raises:
        Refused: when nothing waits for the address, there is no such record, or the acting user may not.
    """
    address = address_of(text, "the address")
    with changing(crm, by, module) as (work, author):
        if not _is_waited_for(work, address):
            raise Refused(f"no email waits for {address} in account {work.account.name}", "nothing_waits")
        if to is None:
            owner = author.user_id or _owner_of_first(work, address)
            state = changed(RecordState(), RecordChange(email=address, source=SOURCE), owner)
            (number,) = insert_records(work, module, [state], author)
        else:
            number = find_record(work, module, to)
            before = read_states(work, [number])[number]
            state = changed(before, RecordChange(add=(address,)), before.owner_id)
            if not state.is_written_as(before):
                update_records(work, module, [Revision(number, before, state)], author)
        attached = attach(work, module, [(number, state)], author)
        return AssignedMail(detail_of(work, module, number), attached, _is_waited_for(work, address))


def _owner_of_first(work: Work, address: Address) -> int | None:
    """Return the user whose dropbox the first waiting email came through."""
    query = (
        select(col(EmailOwnerRow.user_id))
        .join(
            UnmatchedRow,
            and_(
                col(UnmatchedRow.account_id) == col(EmailOwnerRow.account_id),
                col(UnmatchedRow.email_id) == col(EmailOwnerRow.email_id),
            ),
        )
        .where(work.owns(UnmatchedRow), col(UnmatchedRow.address_key) == address.key)
        .order_by(col(EmailOwnerRow.email_id), col(EmailOwnerRow.user_id))
    )
    return work.connection.scalar(query.limit(1))


def _is_waited_for(work: Work, address: Address) -> bool:
    waits = select(col(UnmatchedRow.email_id)).where(
        work.owns(UnmatchedRow), col(UnmatchedRow.address_key) == address.key
    )
    return work.connection.execute(waits.limit(1)).first() is not None
