"""IDs for new rows, allocated before the rows are written, so that no INSERT has to return its ID."""

from sqlalchemy import BigInteger, Column, Connection, MetaData, Sequence, Table, Text, text
from sqlmodel import SQLModel

from worker.store.tables import (
    AccountRow,
    DecisionRow,
    EmailRow,
    EventRow,
    MailboxRow,
    ProfileRow,
    RecordRow,
    UserRow,
    WebhookRow,
)

NUMBERED = tuple(
    str(row.__tablename__)
    for row in (
        *(AccountRow, ProfileRow, UserRow, RecordRow, EmailRow, MailboxRow, DecisionRow),
        *(WebhookRow, EventRow),
    )
)
"""The tables whose ``id`` is allocated here."""

SEQUENCES = {name: Sequence(f"{name}_id", metadata=SQLModel.metadata) for name in NUMBERED}
"""Used on PostgreSQL: writers do not wait for each other."""

SQLITE_METADATA = MetaData()
ID_COUNTER = Table(
    "id_counter",
    SQLITE_METADATA,
    Column("table_name", Text, primary_key=True),
    Column("last_id", BigInteger, nullable=False),
)
"""Used on SQLite, which has one writer at a time anyway."""

_FROM_COUNTER = text(
    "INSERT INTO id_counter (table_name, last_id) VALUES (:name, :count)"
    " ON CONFLICT (table_name) DO UPDATE SET last_id = last_id + :count RETURNING last_id"
)
_FROM_SEQUENCE = text("SELECT nextval(CAST(:sequence AS regclass)) FROM generate_series(1, :count)")


def allocate(connection: Connection, row: type[SQLModel], count: int) -> list[int]:
    """Return ``count`` new IDs for this table, ascending, in one statement.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    if not count:
        return []
    name = str(row.__tablename__)
    if connection.dialect.name == "sqlite":
        last = connection.scalar(_FROM_COUNTER, {"name": name, "count": count})
        return list(range(last - count + 1, last + 1))
    sequence = SEQUENCES[name].name
    return sorted(connection.scalars(_FROM_SEQUENCE, {"sequence": sequence, "count": count}))
