"""Leads and contacts by the hundred thousand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlmodel import col

from worker.crm.accounts import make_first_account
from worker.crm.record_rows import OwnedDraft, RecordDraft, insert_records
from worker.crm.work import Account, Crm, Work, retry_on_conflict
from worker.domain.addresses import Address, NotAnAddress
from worker.domain.patterns import Module
from worker.domain.text import clean
from worker.store.tables import UserRow
from worker.store.waiting import attach_waiting

AT_ONCE = 5000
"""How many records are written between two steps of the progress bar."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that was skipped, and why."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of an import; ``attached`` counts the waiting emails that found their record."""

    records: int
    attached: int
    bad: tuple[BadRow, ...]


@retry_on_conflict
def import_records(
    crm: Crm,
    module: Module,
    drafts: Sequence[RecordDraft],
    *,
    now: datetime,
    progress: Callable[[int], None],
) -> Imported:
    """Make all records whose owner exists, in one transaction: an import that broke off can be repeated whole.

    ``progress`` is told how many drafts are done.
    """
    bad: list[BadRow] = []
    records = 0
    by_address: dict[str, int] = {}
    with crm.begin() as work:
        make_first_account(work, now)
        account = work.account
        owner_ids = _owner_ids(work)
        for start in range(0, len(drafts), AT_ONCE):
            chunk = drafts[start : start + AT_ONCE]
            owned = [_owned(draft, owner_ids, account) for draft in chunk]
            bad += [row for row in owned if isinstance(row, BadRow)]
            good = [row for row in owned if isinstance(row, OwnedDraft)]
            inserted = insert_records(work.connection, account.id, module, good, now)
            records += len(inserted.ids)
            for address, record_id in inserted.by_address.items():
                by_address.setdefault(address, record_id)  # R16: the oldest gets the mail
            progress(start + len(chunk))
        # Last, for the worker may have to wait from here to the commit.
        attached = attach_waiting(work.connection, account.id, module, by_address, now)
    return Imported(records, attached, tuple(bad))


def _owner_ids(work: Work) -> dict[str, int]:
    query = select(col(UserRow.login_key), col(UserRow.id)).where(col(UserRow.account_id) == work.account.id)
    return {row.login_key: row.id for row in work.connection.execute(query)}


def _owned(draft: RecordDraft, owner_ids: Mapping[str, int], account: Account) -> OwnedDraft | BadRow:
    if not draft.owner:
        return OwnedDraft(draft, None)
    try:
        owner_id = owner_ids.get(Address.parse(draft.owner).key)
    except NotAnAddress:
        owner_id = None
    if owner_id is None:
        return BadRow(draft.line, f"the owner {clean(draft.owner, 80)} is no user of account {account.name}")
    return OwnedDraft(draft, owner_id)
