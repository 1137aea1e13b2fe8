"""Insert many rows in one round trip, without SQLAlchemy's work per row, with IDs that are allocated before."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, text
from sqlalchemy import Sequence as DatabaseSequence
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from worker.store.columns import are_storable, storable_or_null
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

SEQUENCES = {name: DatabaseSequence(f"{name}_id", metadata=SQLModel.metadata) for name in NUMBERED}
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


_Bind = Callable[[Any], Any] | None


def insert_rows(
    connection: Connection, row: type[SQLModel], rows: Sequence[dict[str, Any]], *, at_once: int = 50
) -> None:
    """Insert rows that all have the same columns. Pass them sorted by key, so that workers cannot deadlock.

    ``at_once`` is the number of rows in one SQLite statement; SQLite copies the values of a statement in memory.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    if not rows:
        return
    table = SQLModel.metadata.tables[str(row.__tablename__)]
    names = tuple(rows[0])
    types = [table.c[name].type.dialect_impl(connection.dialect) for name in names]
    values = _bound(rows, names, [type_.bind_processor(connection.dialect) for type_ in types])
    if connection.dialect.name == "postgresql":
        _copy(connection, table, names, values)
    else:
        _insert(connection, table, names, list(values), at_once)


def _insert(
    connection: Connection, table: Table, names: tuple[str, ...], rows: list[tuple[Any, ...]], at_once: int
) -> None:
    """Insert many rows per statement: each SQLite statement allows a thread switch."""
    marks = f"({', '.join('?' * len(names))})"
    start = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES "  # noqa: S608 - our own names
    whole = len(rows) - len(rows) % at_once
    if whole:
        together = [tuple(chain.from_iterable(rows[first : first + at_once])) for first in range(0, whole, at_once)]
        connection.exec_driver_sql(start + ", ".join([marks] * at_once), together)
    if rows[whole:]:
        connection.exec_driver_sql(start + marks, rows[whole:])


def _bound(rows: Sequence[dict[str, Any]], names: tuple[str, ...], binds: list[_Bind]) -> Iterable[tuple[Any, ...]]:
    """Convert the values to the driver's types, column by column, which is the fastest order."""
    columns = zip(*map(itemgetter(*names), rows), strict=True)
    return zip(
        *(
            column if bind is None or (bind is storable_or_null and are_storable(column)) else map(bind, column)
            for column, bind in zip(columns, binds, strict=True)
        ),
        strict=True,
    )


def _copy(connection: Connection, table: Table, names: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert the rows by PostgreSQL's COPY; raises the errors that SQLAlchemy would raise."""
    from psycopg import Error  # noqa: PLC0415 - not where SQLite is used

    cursor: Any = connection.connection.cursor()
    statement = f"COPY {table.name} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)"
    try:
        with cursor.copy(statement) as copy:
            copy.set_types([table.c[name].type.compile(connection.dialect).lower() for name in names])
            for row in rows:
                copy.write_row(row)
    except Error as error:
        raise DBAPIError.instance(statement, None, error, Error, dialect=connection.dialect) from error
