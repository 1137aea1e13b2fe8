"""Makes deleted data unreadable: in SQLite's file and log, and in PostgreSQL's tables (R29)."""

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlmodel import SQLModel

from worker.domain.errors import DatabaseUnavailable
from worker.store.database import UNHURRIED, Database
from worker.store.errors import translated

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
