"""Recipients that wait for a record: listed by address, and assigned to a record by hand (R15, R25)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select
from sqlmodel import col

from worker.crm.record_rows import Revision, attach, author_of, insert_records, read_states, update_records
from worker.crm.records import RecordDetail, detail_of, find_record
from worker.crm.work import By, Crm, Work, address_of
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.permissions import Module
from worker.domain.records import SOURCE, RecordChange, RecordState, changed
from worker.retries import retry_on_conflict
from worker.store.tables import EmailOwnerRow, EmailRow, UnmatchedRow
from worker.store.waiting import lock


@dataclass(frozen=True, slots=True)
class UnmatchedAddress:
    """An address that waits for a record: how many emails, and when the first and the last one arrived."""

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
            .where(col(UnmatchedRow.account_id) == work.account.id)
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
    with crm.begin() as work:
        author = author_of(work, by, module)
        lock(work.connection, [work.account.id], alone=True)
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
        .where(col(UnmatchedRow.account_id) == work.account.id, col(UnmatchedRow.address_key) == address.key)
        .order_by(col(EmailOwnerRow.email_id), col(EmailOwnerRow.user_id))
    )
    return work.connection.scalar(query.limit(1))


def _is_waited_for(work: Work, address: Address) -> bool:
    waits = select(col(UnmatchedRow.email_id)).where(
        col(UnmatchedRow.account_id) == work.account.id, col(UnmatchedRow.address_key) == address.key
    )
    return work.connection.execute(waits.limit(1)).first() is not None
