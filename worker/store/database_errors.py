"""Translation of the database library's errors into this program's: an outage, a conflict, or else a bug.

A missing table or column counts as an outage. During a rolling upgrade the first new worker changes the schema, and no
message may get a strike for that.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from worker.domain.errors import Conflict, DatabaseUnavailable, DropboxError


class SessionShared(DatabaseUnavailable):
    """A pooler gave the worker's session to another client, or another session to the worker."""

    def __init__(self) -> None:
        super().__init__(
            "database: the connection pooler is in transaction or statement mode, which cannot keep two workers apart;"
            " set pool_mode = session for this database, or connect to PostgreSQL directly"
        )


_SQLITE_CONFLICTS = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
}
_SQLITE_OUTAGES = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_NOTADB,
}

_POSTGRESQL_CONFLICTS = {
    "23505",  # unique_violation
    "23503",  # foreign_key_violation: a row that this one refers to was deleted meanwhile
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
}
_OTHER_SCHEMA = " (its schema is not this program's: is an upgrade under way?)"
_POSTGRESQL_OTHER_SCHEMA = {
    "42P01",  # undefined_table
    "42703",  # undefined_column
}
_READ_ONLY = " (the server takes no writes: it is a standby, or read-only)"
_POSTGRESQL_READ_ONLY = {
    "25006",  # read_only_sql_transaction
    "0A000",  # feature_not_supported: a standby refuses READ WRITE so
}
_CHANGED_PLAN = "RevalidateCachedQuery"
"""The function in PostgreSQL that fails on a prepared statement whose tables were changed; also with 0A000."""
_NO_CONNECTION = {"OperationalError", "ConnectionTimeout"}
"""Classes of psycopg."""
_NO_TRANSACTIONS = "statement pooling mode"
"""Part of PgBouncer's error text when a client begins a transaction in statement mode."""
_POSTGRESQL_OUTAGES = _POSTGRESQL_READ_ONLY | {
    "08",  # connection exception
    "25P03",  # idle_in_transaction_session_timeout: this process was halted in between
    "28",  # invalid authorization
    "3D",  # no such database
    "42501",  # insufficient_privilege
    "53",  # insufficient resources: disk, memory, connections
    "55",  # lock not available in time
    "57",  # cancelled by a timeout, shut down, killed
    "58",  # the server's own disk fails
    "XX",  # its data are damaged
}


@contextmanager
def translated() -> Iterator[None]:
    """Raise `Conflict` or `Unavailable` in place of the library's errors; other errors are bugs and pass unchanged.

    Raises:
        Conflict: when somebody else wrote the same thing first.
        Unavailable: when the database is down, full, or too busy.
    """
    try:
        yield
    except DBAPIError as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        raise meaning from error
    except PoolTimeoutError as error:
        raise DatabaseUnavailable("database: all connections are busy") from error


def _meaning(error: DBAPIError) -> DropboxError | None:
    cause = error.orig
    text = f"database: {_first_line(cause)}"
    if isinstance(cause, sqlite3.Error):
        return _meaning_on_sqlite(cause, text)
    return _meaning_on_postgresql(cause, text, is_lost=error.connection_invalidated)


def _meaning_on_postgresql(cause: Any, text: str, *, is_lost: bool) -> DropboxError | None:
    if _NO_TRANSACTIONS in text:
        return SessionShared()
    state = cause.sqlstate
    if state is None:  # psycopg itself lost the connection, or never had one
        return DatabaseUnavailable(text) if is_lost or type(cause).__name__ in _NO_CONNECTION else None
    if state in _POSTGRESQL_CONFLICTS:
        return Conflict(text)
    if state in _POSTGRESQL_OTHER_SCHEMA or cause.diag.source_function == _CHANGED_PLAN:
        return DatabaseUnavailable(text + _OTHER_SCHEMA)
    if {state, state[:2]} & _POSTGRESQL_OUTAGES:
        return DatabaseUnavailable(text + (_READ_ONLY if state in _POSTGRESQL_READ_ONLY else ""))
    return None


def _meaning_on_sqlite(cause: sqlite3.Error, text: str) -> DropboxError | None:
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code in _SQLITE_CONFLICTS:
        return Conflict(text)
    if code & 0xFF in _SQLITE_OUTAGES:  # the low byte of an extended code is the primary code
        return DatabaseUnavailable(text)
    if str(cause).startswith(("no such table", "no such column")) or "has no column named" in str(cause):
        return DatabaseUnavailable(text + _OTHER_SCHEMA)
    return None


def _first_line(cause: BaseException | None) -> str:
    return (str(cause).strip().splitlines() or ["lost"])[0]
