"""How much room the database takes, what takes it, and how unused room is given back."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, delete, select, text
from sqlmodel import col

from worker.store.database import Database
from worker.store.tables import RoomRow

_REMEMBERED = timedelta(days=30)
_NOTE = text("INSERT INTO room (day, used) VALUES (:day, :used) ON CONFLICT DO NOTHING")

_SERVER_PARTS = """
    SELECT relname, pg_total_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY 2 DESC
"""


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of a database."""

    used: int
    """On disk, the log of an SQLite file included."""
    unused: int | None
    """Empty pages inside, which new rows will fill; None where the database does not tell."""
    disk_free: int | None = None
    """Bytes left on the disk of an SQLite file; None for a server, whose disk only the server sees."""

    @property
    def filled(self) -> int:
        """Bytes that hold something."""
        return self.used - (self.unused or 0)


def size_of(database: Database) -> Size:
    """Return the size of the database, all tables and indexes.

    Raises:
        Unavailable: the database is down.
    """
    with database.read() as connection:
        if not database.is_sqlite:
            return Size(int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0), None)
        unused = _pragma(connection, "freelist_count") * _pragma(connection, "page_size")
    used, free = _file_bytes(database.file or Path())
    return Size(used, unused, free)


def parts_of(database: Database) -> Mapping[str, int]:
    """Return the bytes of each table, indexes included; of an SQLite file, of each table and index.

    Empty where this SQLite was built without ``dbstat``.
    """
    with database.read() as connection:
        if not database.is_sqlite:
            return dict(connection.execute(text(_SERVER_PARTS)).tuples())
        if not connection.scalar(text("SELECT count(*) FROM pragma_module_list WHERE name = 'dbstat'")):
            return {}
        sizes = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"
        return dict(connection.execute(text(sizes)).tuples())


def record_size(database: Database, now: datetime) -> None:
    """Note today's size, once a day, so that growth can be told; forget what is older than a month.

    Raises:
        Unavailable: the database is down.
    """
    today = now.date()
    with database.read() as connection:
        if connection.scalar(select(col(RoomRow.day)).where(col(RoomRow.day) == today)):
            return
    size = size_of(database)
    with database.note() as connection:
        connection.execute(delete(RoomRow).where(col(RoomRow.day) < today - _REMEMBERED))
        connection.execute(_NOTE, {"day": today.isoformat() if database.is_sqlite else today, "used": size.filled})


def growth_of(database: Database, size: Size, now: datetime) -> float | None:
    """Return the bytes by which the database grew each day since the oldest noted size; None on its first day.

    Raises:
        Unavailable: the database is down.
    """
    first = select(col(RoomRow.day), col(RoomRow.used)).where(col(RoomRow.day) < now.date()).order_by(col(RoomRow.day))
    with database.read() as connection:
        row = connection.execute(first.limit(1)).first()
    return None if row is None else (size.filled - row.used) / (now.date() - row.day).days


def _file_bytes(file: Path) -> tuple[int, int]:
    """Return the bytes of the file with its log, and those left on its disk."""
    log = file.with_name(file.name + "-wal")
    used = file.stat().st_size + (log.stat().st_size if log.exists() else 0)
    return used, shutil.disk_usage(file.parent).free


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.scalar(text(f"PRAGMA {name}")) or 0)
