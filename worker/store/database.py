"""The database as a whole: open it by its URL, an SQLite file with its settings, begin and end transactions on it."""

import errno
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from worker.domain.errors import DatabaseMissing, DatabaseUnavailable, Refused
from worker.store.columns import to_json
from worker.store.database_errors import translated
from worker.store.postgresql import MOVED, postgresql_engine, require_own_sessions

BEGIN = "bcc_dropbox_sqlite_begin"
"""Execution option: the statement that begins a transaction."""
_SYNCHRONOUS = "bcc_dropbox_sqlite_synchronous"
"""Execution option: the value of `PRAGMA synchronous` for a transaction."""
UNHURRIED = "bcc_dropbox_sqlite_unhurried"
"""Execution option: statements have no time limit. On PostgreSQL, `statement_timeout` does this."""
PAGE_SIZE = 8192
"""Bytes of a page of a new SQLite file. The usual 4 KB, and 16 KB, waste more on originals."""
_CONNECTIONS = 6
"""At most: the lock, a poll that reads and writes, and the jobs beside it."""
_UNTIL = "bcc_dropbox_sqlite_until"
_STEPS = 100_000
"""Virtual machine steps between two checks of the time limit: about a millisecond."""
_LONGEST_LOG = 64 * 1024 * 1024
"""Bytes. When the log is longer, a commit itself runs a checkpoint and waits for it.

SQLite's default is less than a batch, so that each commit would wait.
"""


def _prepare_file(file: Path, *, create: bool) -> None:
    """Create the file and its folder, readable by this user only: it holds other people's mail.

    An existing file is not opened: on Linux, close(2) would drop the locks of this process's other connections to it,
    and another process could then remove the log that they still write to.
    """
    if not create and not file.exists():
        raise DatabaseMissing(f"database: there is no file {file}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600))
        if not os.access(file, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise DatabaseUnavailable(f"database: {file} cannot be opened: {error.strerror}") from error


def _sqlite_engine(url: URL, statement_seconds: int) -> Engine:
    """Make the engine; each connection gets its settings when it is opened."""
    engine = create_engine(
        url,
        connect_args={"timeout": statement_seconds},
        pool_size=_CONNECTIONS,
        pool_timeout=statement_seconds,
        json_serializer=to_json,
        hide_parameters=True,  # an error's text goes to the log, and parameters are people's mail
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info[_UNTIL] = math.inf
        connection.set_progress_handler(lambda: time.monotonic() > record.info[_UNTIL], _STEPS)
        connection.isolation_level = None  # the driver begins no transaction by itself
        connection.create_function("from_hex", 1, bytes.fromhex, deterministic=True)
        cursor = connection.cursor()
        # These two count only for a new file.
        cursor.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        # A container may have no folder for temporary files; a statement that changes eight pages would need one.
        cursor.execute("PRAGMA temp_store = MEMORY")
        cursor.execute("PRAGMA cache_size = -4000")  # 4 MB for each connection
        (page_size,) = cursor.execute("PRAGMA page_size").fetchone()
        cursor.execute(f"PRAGMA wal_autocheckpoint = {_LONGEST_LOG // page_size}")
        cursor.execute(f"PRAGMA journal_size_limit = {_LONGEST_LOG}")
        cursor.close()

    @event.listens_for(engine, "before_cursor_execute")
    def start_clock(connection: Connection, *_statement: object) -> None:
        """Set the time limit: the driver's own timeout covers only the wait for a lock."""
        is_unhurried = UNHURRIED in connection.get_execution_options()
        connection.info[_UNTIL] = math.inf if is_unhurried else time.monotonic() + statement_seconds

    @event.listens_for(engine, "checkin")
    def stop_clock(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info[_UNTIL] = math.inf

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        # commit, then move: what is committed must survive a power cut
        connection.exec_driver_sql(f"PRAGMA synchronous = {options.get(_SYNCHRONOUS, 'FULL')}")
        connection.exec_driver_sql(options.get(BEGIN, "BEGIN"))

    return engine


def widen_cache(connection: Connection) -> None:
    """Let SQLite keep 16 MB of its file in memory on this connection, for work that reaches all over an index."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA cache_size = -16000")


__all__ = ["UNHURRIED", "Database", "parse_url"]
_EXPECTED = "sqlite:///folder/file.db or postgresql+psycopg://user:password@host/database"


class Database:
    """An SQLite file or a PostgreSQL database; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writing: Engine = engine
        self._reading: Engine = engine
        self._noting: Engine = engine
        self.moves = 0
        """How often the database's name led to a server that takes no writes; every connection is replaced then."""
        if self.is_sqlite:
            # Take the write lock first: a reader that begins to write later is refused at once instead of waiting.
            self._writing = engine.execution_options(**{BEGIN: "BEGIN IMMEDIATE"})
            self._noting = self._writing.execution_options(**{_SYNCHRONOUS: "NORMAL"})
        else:
            # Each statement sees what was committed while it waited for a lock, whatever the server's default is.
            self._writing = self._noting = engine.execution_options(isolation_level="READ COMMITTED")
            self._reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            event.listen(engine, "handle_error", self._leave_standby)

    @classmethod
    def open(cls, url: str, *, statement_seconds: int = 30, create: bool = True) -> Self:
        """Prepare the database at this URL. Creates an SQLite file; connects to a server when it is first needed.

        Raises:
            Refused: when this program cannot use a database with this URL.
            Unavailable: when the file cannot be created, or is missing and ``create`` is off.
        """
        parsed = parse_url(url)
        if parsed.drivername == "sqlite":
            _prepare_file(_file_of(parsed), create=create)
            return cls(_sqlite_engine(parsed, statement_seconds))
        return cls(postgresql_engine(parsed, statement_seconds))

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for PostgreSQL."""
        return _file_of(self.engine.url) if self.is_sqlite else None

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Begin a transaction that may write; commits at the end, rolls back on any exception.

        Raises:
            Conflict: when another process wrote the same thing first.
            Unavailable: when the database is down, full, or too busy to answer in time.
        """
        with translated(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def note(self) -> Iterator[Connection]:
        """Begin a transaction whose commit does not wait for the disk: it survives a crash, but not a power cut.

        The next ordinary commit brings it to the disk, too.

        Raises:
            Conflict, Unavailable: as for `begin`.
        """
        with translated(), self._noting.begin() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a transaction that only reads; all statements see the same moment.

        Raises:
            Unavailable: when the database is down or too busy to answer in time.
        """
        with translated(), self._reading.begin() as connection:
            yield connection

    def require_own_sessions(self) -> None:
        """Refuse a pooler that lends PostgreSQL sessions for one transaction or statement.

        Raises:
            Refused: when the pooler is not in session mode.
            Unavailable: when the database is down.
        """
        if not self.is_sqlite:
            require_own_sessions(self.engine)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _leave_standby(self, context: ExceptionContext) -> None:
        """Replace all connections when one leads to a standby; new ones may lead to the primary."""
        if getattr(context.original_exception, "sqlstate", None) in MOVED:
            context.is_disconnect = True
            self.moves += 1


def parse_url(url: str) -> URL:
    """Parse the URL of a database.

    Raises:
        Refused: when this program cannot use such a database.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise Refused(f"not a database URL; expected {_EXPECTED}") from error
    if parsed.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise Refused(f"no database of the kind {parsed.drivername!r} can be used; expected {_EXPECTED}")
    if parsed.database in {None, "", ":memory:"}:
        raise Refused(f"a database in memory would lose mail; expected {_EXPECTED}")
    return parsed.set(drivername="sqlite")


def _file_of(url: URL) -> Path:
    return Path(url.database or "")
