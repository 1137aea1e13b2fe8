"""How much room the database takes, how it is given back, and how deleted data is made unreadable (R29)."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, select, text
from sqlmodel import SQLModel, col

from worker.domain.errors import DatabaseUnavailable
from worker.store.database import UNHURRIED, Database
from worker.store.database_errors import translated
from worker.store.tables import RoomRow

_INCREMENTAL = 2
"""The value of SQLite's ``auto_vacuum`` with which unused pages can be given back some at a time."""
_SHORTEN_LOG = "PRAGMA wal_checkpoint(TRUNCATE)"
"""Brings SQLite's log into its file, which only then becomes shorter."""
_PAGES = 64
"""Given back in one transaction: half a megabyte, some milliseconds."""
_REST_SECONDS = 0.02
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


@dataclass(frozen=True, slots=True)
class Room:
    """The size of a database, and for how long its disk lasts at the present growth."""

    size: Size
    growth: float | None
    """Bytes a day; None on the first day."""

    @property
    def days_left(self) -> float | None:
        """Days until the disk is full; None where growth or disk is unknown, or where the database does not grow."""
        if self.size.disk_free is None or self.growth is None or self.growth <= 0:
            return None
        return (self.size.disk_free + (self.size.unused or 0)) / self.growth


def room_of(database: Database, now: datetime) -> Room:
    """Return how much room the database takes.

    Raises:
        Unavailable: the database is down.
    """
    size = size_of(database)
    return Room(size, _growth(database, size, now))


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

    Raises:
        Unavailable: the database is down.
    """
    with database.read() as connection:
        if not database.is_sqlite:
            return dict(connection.execute(text(_SERVER_PARTS)).all())
        if not connection.scalar(text("SELECT count(*) FROM pragma_module_list WHERE name = 'dbstat'")):
            return {}
        sizes = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"
        return dict(connection.execute(text(sizes)).all())


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


def _growth(database: Database, size: Size, now: datetime) -> float | None:
    """Return the bytes by which the database grew each day since the oldest noted size."""
    first = select(col(RoomRow.day), col(RoomRow.used)).where(col(RoomRow.day) < now.date()).order_by(col(RoomRow.day))
    with database.read() as connection:
        row = connection.execute(first.limit(1)).first()
    return None if row is None else (size.filled - row.used) / (now.date() - row.day).days


class Vacuum:
    """Gives the room of removed rows back to the disk, in small steps: the worker goes on.

    An SQLite file of an early release cannot do so in steps (`can_step`) until it is rewritten once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def can_step(self) -> bool:
        """Return False for an SQLite file that does not keep track of its unused pages.

        Raises:
            Unavailable: the database is down.
        """
        with self._database.read() as connection:
            return not self._database.is_sqlite or _pragma(connection, "auto_vacuum") == _INCREMENTAL

    def steps(self) -> Iterator[tuple[int, int]]:
        """Yield how many pages (SQLite) or tables (PostgreSQL) are done, and of how many.

        Raises:
            Unavailable: the database is down.
        """
        return self._pages() if self._database.is_sqlite else self._tables()

    def rewrite(self) -> None:
        """Rewrite the whole SQLite file, so that it can give room back in steps. Other writers wait meanwhile.

        Raises:
            Unavailable: the disk is full, or other processes keep the file busy.
        """
        self._run("PRAGMA temp_store = DEFAULT", f"PRAGMA auto_vacuum = {_INCREMENTAL}", "VACUUM", _SHORTEN_LOG)

    def _pages(self) -> Iterator[tuple[int, int]]:
        with self._database.read() as connection:
            total = left = _pragma(connection, "freelist_count")
        while left > 0:
            with self._database.note() as connection:
                # The driver takes one step of a statement for one page, until all rows are fetched.
                connection.connection.cursor().execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
                still = _pragma(connection, "freelist_count")
            if still >= left:
                break
            left = still
            yield max(0, total - left), total
            time.sleep(_REST_SECONDS)
        self._run(_SHORTEN_LOG)

    def _tables(self) -> Iterator[tuple[int, int]]:
        tables = [table.name for table in SQLModel.metadata.sorted_tables]
        for done, table in enumerate(tables, 1):
            self._run("SET statement_timeout = 0", f"VACUUM {table}")
            yield done, len(tables)

    def _run(self, *statements: str) -> None:
        """Run statements that allow no transaction and may take their time, on a connection that is then closed."""
        end_of_transaction = ("COMMIT",) if self._database.is_sqlite else ()  # the engine has begun one
        with translated(), self._database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT", **{UNHURRIED: True})
            for statement in (*end_of_transaction, *statements):
                connection.exec_driver_sql(statement)
            connection.invalidate()


def _file_bytes(file: Path) -> tuple[int, int]:
    """Return the bytes of the file with its log, and those left on its disk."""
    log = file.with_name(file.name + "-wal")
    used = file.stat().st_size + (log.stat().st_size if log.exists() else 0)
    return used, shutil.disk_usage(file.parent).free


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.scalar(text(f"PRAGMA {name}")) or 0)


_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.1
_AT_ONCE = 4 * 1024 * 1024
"""Bytes of the file that are searched at a time."""
_PLACES_OF_AN_ENTRY = 2
"""A never-log entry is in the table and in the index of its primary key."""


def take_your_time(connection: Connection) -> None:
    """Let the statements of this transaction read whole tables.

    Raises:
        Unavailable: the database is down.
    """
    if connection.dialect.name == "sqlite":
        connection.execution_options(**{UNHURRIED: True})
    else:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def wipe_what_is_deleted(connection: Connection) -> None:
    """Let SQLite overwrite with zeros what this connection deletes.

    Raises:
        Unavailable: the database is down.
    """
    take_your_time(connection)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def wipe(database: Database, texts: Collection[str], entries: int, tables: Iterable[type[SQLModel]]) -> None:
    """Overwrite the remains of deleted rows. Call it after the last commit.

    ``texts`` are what was erased; ``entries`` counts the never-log entries that hold one of them and stay.

    Raises:
        Unavailable: when the database is down, or other connections have read for too long.
    """
    if database.file is None:
        _vacuum_tables(database, tables)
        return
    _empty_log(database)
    if texts and _occurrences(database.file, texts) > entries * _PLACES_OF_AN_ENTRY:
        # SQLite leaves bytes in the free room of pages that it splits, also with secure_delete.
        _vacuum_file(database)
        _empty_log(database)


def _vacuum_tables(database: Database, tables: Iterable[type[SQLModel]]) -> None:
    with translated(), database.engine.connect() as connection:
        autocommitting = connection.execution_options(isolation_level="AUTOCOMMIT")
        limit = autocommitting.exec_driver_sql("SHOW statement_timeout").scalar()
        autocommitting.exec_driver_sql("SET statement_timeout = 0")
        for table in tables:  # the planner's statistics hold samples of what was stored
            autocommitting.exec_driver_sql(f"VACUUM (ANALYZE) {table.__tablename__}")
        autocommitting.exec_driver_sql(f"SET statement_timeout = '{limit}'")


def _empty_log(database: Database) -> None:
    """Bring all of the write-ahead log into the file, and cut the log to nothing."""
    _persevere(database, lambda driver: driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)


def _vacuum_file(database: Database) -> None:
    def vacuum(driver: Any) -> bool:
        driver.execute("PRAGMA temp_store = DEFAULT")  # the copy of the whole file does not fit into memory
        return driver.execute("VACUUM").fetchone() is None

    _persevere(database, vacuum)


def _persevere(database: Database, is_done: Callable[[Any], bool]) -> None:
    """Try again while others read or write. SQLAlchemy would begin a transaction, in which neither step can run."""
    until = time.monotonic() + _PATIENCE_SECONDS
    pooled = database.engine.raw_connection()
    try:
        while not _is_done(pooled.driver_connection, is_done):
            if time.monotonic() > until:
                raise DatabaseUnavailable(
                    "database: others use it all the time, so its file may still hold erased data: run this again"
                )
            time.sleep(_PAUSE_SECONDS)
    finally:
        pooled.close()


def _is_done(driver: Any, step: Callable[[Any], bool]) -> bool:
    try:
        return step(driver)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return False
        raise DatabaseUnavailable(f"database: {error}") from error


def _occurrences(file: Path, texts: Collection[str]) -> int:
    """Count how often the texts are in the file, in any case."""
    sought = [text.lower().encode() for text in texts]
    overlap = max(map(len, sought)) - 1
    count, kept = 0, b""
    with file.open("rb") as stream:
        while block := stream.read(_AT_ONCE):
            window = kept + block.lower()
            count += sum(window.count(each) - kept.count(each) for each in sought)
            kept = window[-overlap:]
    return count
