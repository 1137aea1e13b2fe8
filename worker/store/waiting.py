"""Mail that waits for a record (R15), and the lock that keeps records and waiting mail consistent.

The first record added for the address gets the mail: a person, an import or another mail may add it. Both sides search
under a lock of the account until their commit, so the second one finds what the first one wrote. Several people may add
records at the same time. Mail is filed under an exclusive lock: the later of two mails to a new address finds the
record that the earlier one made (R17).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, select, text
from sqlmodel import col

from worker.domain.permissions import Module
from worker.domain.records import NewRecord
from worker.store.columns import among_numbers, among_texts, among_wanted, values
from worker.store.event_log import attached, write_events
from worker.store.health import ACCOUNT_LOCKS
from worker.store.inserts import insert_rows
from worker.store.tables import AccountRow, AssociationRow, EmailOwnerRow, ProfileRow, UnmatchedRow, UserRow

_LOCK = (
    "SELECT pg_advisory_xact_lock{how}(:locks, account) FROM unnest(CAST(:accounts AS integer[])) AS wanted(account)"
)
_ASSOCIATION = ("account_id", "email_id", "record_id", "created", "direction", "claimed")
_LOCK_ALONE, _LOCK_TOGETHER = (text(_LOCK.format(how=how)) for how in ("", "_shared"))


def attach_waiting(
    connection: Connection, account_id: int, module: Module, records: Mapping[str, int], now: datetime
) -> int:
    """Put waiting emails on these records (IDs by address key); return how many. The caller should commit soon.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    lock(connection, [account_id], alone=False)
    if not _with_waiting(connection, [account_id]):
        return 0
    return _attach(connection, account_id, module, records, now)


def attach_to_made(
    connection: Connection, made: Mapping[NewRecord, int], standing: AbstractSet[tuple[int, int, int]], now: datetime
) -> None:
    """Put waiting emails on records that mail made. The caller holds the exclusive lock of their accounts (`lock`).

    ``standing``: account, email and record of the associations that were just written. Their emails wait no longer.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    waiting = _with_waiting(connection, {record.account_id for record in made})
    records: defaultdict[tuple[int, Module], dict[str, int]] = defaultdict(dict)
    for record, number in made.items():
        if record.account_id in waiting:
            records[record.account_id, record.module][record.address.key] = number
    for (account_id, module), numbers in sorted(records.items()):
        _attach(connection, account_id, module, numbers, now, standing)


def _with_waiting(connection: Connection, accounts: Collection[int]) -> set[int]:
    """Return the accounts in which any email waits for a record."""
    if not accounts:
        return set()
    dialect = connection.dialect.name
    return set(connection.scalars(_with_waiting_statement(dialect), values(dialect, accounts)))


@cache
def _with_waiting_statement(dialect: str) -> Select[int]:
    return select(col(AccountRow.id)).where(
        among_wanted(dialect, col(AccountRow.id)), exists().where(col(UnmatchedRow.account_id) == col(AccountRow.id))
    )


def _attach(  # noqa: PLR0913, PLR0917 - what is attached, and to what
    connection: Connection,
    account_id: int,
    module: Module,
    records: Mapping[str, int],
    now: datetime,
    standing: AbstractSet[tuple[int, int, int]] = frozenset(),
) -> int:
    """Delete what waits, then attach what was deleted: of two records made at once only one gets the email."""
    taken = connection.execute(
        delete(UnmatchedRow)
        .where(
            col(UnmatchedRow.account_id) == account_id,
            among_texts(connection, col(UnmatchedRow.address_key), records),
            _is_of_somebody_with(module),
        )
        .returning(
            *(col(UnmatchedRow.email_id), col(UnmatchedRow.address_key)),
            *(col(UnmatchedRow.direction), col(UnmatchedRow.claimed)),
        )
    )
    places = {(row.email_id, records[row.address_key]): (row.direction, row.claimed) for row in taken}
    present = standing | _associated(connection, account_id, places)
    found = sorted(place for place in places if (account_id, *place) not in present)
    rows = [
        dict(zip(_ASSOCIATION, (account_id, email, record, False, *places[email, record]), strict=True))
        for email, record in found
    ]
    insert_rows(connection, AssociationRow, rows)
    write_events(connection, attached(connection, account_id, found), now)
    return len(rows)


def _associated(
    connection: Connection, account_id: int, wanted: Collection[tuple[int, int]]
) -> set[tuple[int, int, int]]:
    """Return the associations of these emails: a record may have the email already, by another address."""
    if not wanted:
        return set()
    columns = (col(AssociationRow.account_id), col(AssociationRow.email_id), col(AssociationRow.record_id))
    query = select(*columns).where(
        col(AssociationRow.account_id) == account_id,
        among_numbers(connection, col(AssociationRow.email_id), {email for email, _ in wanted}),
    )
    return {(account, email, record) for account, email, record in connection.execute(query)}


def lock(connection: Connection, accounts: Collection[int], *, alone: bool) -> None:
    """Lock the accounts until the end of the transaction: exclusively if ``alone``, else shared.

    SQLite has one writer at a time anyway.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    if accounts and connection.dialect.name != "sqlite":
        keys = sorted(account_id % 2**31 for account_id in accounts)
        connection.execute(_LOCK_ALONE if alone else _LOCK_TOGETHER, {"locks": ACCOUNT_LOCKS, "accounts": keys})


def _is_of_somebody_with(module: Module) -> ColumnElement[bool]:
    """Return the condition that an owner of the email has the permission for the module (R10)."""
    return exists().where(
        and_(
            col(EmailOwnerRow.account_id) == col(UnmatchedRow.account_id),
            col(EmailOwnerRow.email_id) == col(UnmatchedRow.email_id),
            col(UserRow.account_id) == col(EmailOwnerRow.account_id),
            col(UserRow.id) == col(EmailOwnerRow.user_id),
            col(ProfileRow.account_id) == col(UserRow.account_id),
            col(ProfileRow.id) == col(UserRow.profile_id),
            col(getattr(ProfileRow, module.permission.value)),
        )
    )
