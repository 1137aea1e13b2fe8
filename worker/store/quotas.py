"""Count the records that each owner's mail has made today (R13). The worker locks the account while it files mail."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import date

from sqlalchemy import Connection, case, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import col

from worker.domain.records import NewRecord
from worker.store.keys import among_numbers
from worker.store.tables import RecordQuotaRow


def made_on(connection: Connection, owners: Mapping[int, Collection[int]], day: date) -> Mapping[int, dict[int, int]]:
    """Return the counts by account and owner; ``owners`` are the ids that are asked for, by account.

    Raises:
        Unavailable: the database is down.
    """
    made: defaultdict[int, dict[int, int]] = defaultdict(dict)
    wanted = {owner for each in owners.values() for owner in each}
    if wanted:
        row = RecordQuotaRow
        query = select(col(row.account_id), col(row.user_id), col(row.made)).where(
            among_numbers(connection, col(row.account_id), owners.keys()),
            among_numbers(connection, col(row.user_id), wanted),
            col(row.day) == day,
        )
        for account, owner, count in connection.execute(query):
            made[account][owner] = count
    return made


def count_made(connection: Connection, records: Collection[NewRecord], day: date) -> None:
    """Add these records to the counts of their owners, on this transaction.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    counts = Counter((record.account_id, record.owner_id) for record in records)
    if not counts:
        return
    insert = (sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert)(RecordQuotaRow)
    before, new = col(RecordQuotaRow.made), insert.excluded
    total = case((col(RecordQuotaRow.day) == new.day, before + new.made), else_=new.made)
    rows = [
        {"account_id": account, "user_id": owner, "day": day, "made": made}
        for (account, owner), made in sorted(counts.items())
    ]
    upsert = insert.on_conflict_do_update(
        index_elements=["account_id", "user_id"], set_={"day": new.day, "made": total}
    )
    connection.execute(upsert, rows)
