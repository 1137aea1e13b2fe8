"""The database as a whole: where it is, how long it may take, and how a transaction on it begins and ends."""

import errno
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from worker.domain.errors import DatabaseMissing, DatabaseUnavailable, Refused
from worker.store.checkpoint import Checkpointer
from worker.store.columns import to_json
from worker.store.errors import translated

_EXPECTED = "sqlite:///folder/file.db or postgresql+psycopg://user:password@host/database"
_APPLICATION = "bcc-dropbox"
_SQLITE_BEGIN = "bcc_dropbox_sqlite_begin"
_SQLITE_SYNCHRONOUS = "bcc_dropbox_sqlite_synchronous"
_SQLITE_UNTIL = "bcc_dropbox_sqlite_until"
UNHURRIED = "bcc_dropbox_sqlite_unhurried"
"""An option of a connection whose statements may take their time, on SQLite; PostgreSQL has a setting for it."""
_SQLITE_STEPS = 100_000
"""Of SQLite's machine between two looks at the clock: about a millisecond."""
_SQLITE_LONGEST_LOG = 64 * 1024 * 1024
"""Octets. Beyond them a commit itself brings into the file whatever `much_was_written` has left, and waits for that.

SQLite's own bound is less than a batch: each commit waited.
"""
_CONNECTIONS = 5
_LONGEST_SILENCE = 8000
"""Milliseconds between two statements of one transaction."""
_CHECKS_CLIENTS_SINCE = 140000


class Database:
    """An SQLite file or a PostgreSQL database; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writing: Engine = engine
        self._reading: Engine = engine
        self._noting: Engine = engine
        self._checkpointer = Checkpointer(engine)
        if self.is_sqlite:
            # Taking the write lock first: a reader that turns writer later could only be refused, not made to wait.
            self._writing = engine.execution_options(**{_SQLITE_BEGIN: "BEGIN IMMEDIATE"})
            self._noting = self._writing.execution_options(**{_SQLITE_SYNCHRONOUS: "NORMAL"})
        else:
            # After the wait for a lock each statement sees what was committed meanwhile, whatever the server's default.
            self._writing = self._noting = engine.execution_options(isolation_level="READ COMMITTED")
            self._reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @classmethod
    def open(cls, url: str, *, statement_seconds: int = 30, create: bool = True) -> Self:
        """Prepare the database at this URL; a server is connected to when first needed, a file is made here.

        Raises:
            Refused: when the URL is not of a database that this program can use.
            Unavailable: when the file cannot be made, or is missing and ``create`` is off.
        """
        parsed = parse_url(url)
        if parsed.drivername == "sqlite":
            _prepare_file(_file_of(parsed), create=create)
            return cls(_sqlite_engine(parsed, statement_seconds))
        return cls(_postgresql_engine(parsed, statement_seconds))

    @property
    def file(self) -> Path | None:
        """The SQLite file; None on a server."""
        return _file_of(self.engine.url) if self.is_sqlite else None

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction that may write; commits at the end, rolls back on any exception.

        Raises:
            Conflict: when somebody else wrote the same thing first.
            Unavailable: when the database is down, full, or too busy to answer in time.
        """
        with translated(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def note(self) -> Iterator[Connection]:
        """The same for what has to outlive this process, but not a power cut: the end does not wait for the disk.

        Whatever is committed after it carries it to the disk, too.

        Raises:
            Conflict, Unavailable: as `begin`.
        """
        with translated(), self._noting.begin() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that only reads, all of it as of one moment.

        Raises:
            Unavailable: when the database is down or too busy to answer in time.
        """
        with translated(), self._reading.begin() as connection:
            yield connection

    def much_was_written(self) -> None:
        """Let SQLite bring it from its log into its file now, while nobody waits for that."""
        if self.is_sqlite:
            self._checkpointer.soon()

    def close(self) -> None:
        """Give all connections back."""
        self._checkpointer.close()
        self.engine.dispose()


def parse_url(url: str) -> URL:
    """Read the URL of a database. Raises `Refused` where this program cannot use it."""
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


def _prepare_file(file: Path, *, create: bool) -> None:
    """Make the file, and its folder, for this user alone: it holds other people's mail.

    A file that is there is not opened: closing it would drop the locks of this process's other connections to it
    (close(2) on Linux does so), and the last reader elsewhere would then remove the log that they still write to.
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
        record.info[_SQLITE_UNTIL] = math.inf
        connection.set_progress_handler(lambda: time.monotonic() > record.info[_SQLITE_UNTIL], _SQLITE_STEPS)
        connection.isolation_level = None  # the driver begins nothing by itself
        connection.create_function("from_hex", 1, bytes.fromhex, deterministic=True)
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA cache_size = -4000")  # 4 MB, of each connection
        (page_size,) = cursor.execute("PRAGMA page_size").fetchone()
        cursor.execute(f"PRAGMA wal_autocheckpoint = {_SQLITE_LONGEST_LOG // page_size}")
        cursor.execute(f"PRAGMA journal_size_limit = {_SQLITE_LONGEST_LOG}")
        cursor.close()

    @event.listens_for(engine, "before_cursor_execute")
    def start_clock(connection: Connection, *_statement: object) -> None:
        """The driver's own timeout is only of waiting for a lock."""
        is_unhurried = UNHURRIED in connection.get_execution_options()
        connection.info[_SQLITE_UNTIL] = math.inf if is_unhurried else time.monotonic() + statement_seconds

    @event.listens_for(engine, "checkin")
    def stop_clock(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info[_SQLITE_UNTIL] = math.inf

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        # commit, then move: what is committed must survive a power cut
        connection.exec_driver_sql(f"PRAGMA synchronous = {options.get(_SQLITE_SYNCHRONOUS, 'FULL')}")
        connection.exec_driver_sql(options.get(_SQLITE_BEGIN, "BEGIN"))

    return engine


def _postgresql_engine(url: URL, statement_seconds: int) -> Engine:
    defaults = postgresql_parameters(statement_seconds)
    engine = create_engine(
        url,
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
        pool_size=2,
        max_overflow=_CONNECTIONS - 2,
        pool_timeout=statement_seconds,
        pool_pre_ping=True,
        json_serializer=to_json,
        hide_parameters=True,  # an error's text goes to the log, and parameters are people's mail
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        """Let the server end a statement whose worker was killed, and so the locks on its rows."""
        if connection.info.server_version >= _CHECKS_CLIENTS_SINCE:
            connection.autocommit = True
            with suppress(engine.dialect.loaded_dbapi.Error):  # not every system that PostgreSQL runs on can
                connection.execute("SET client_connection_check_interval = '2s'")
            connection.autocommit = False

    return engine


def postgresql_parameters(statement_seconds: int) -> dict[str, Any]:
    """What every connection asks of libpq and of the server: that nothing waits for a cut network.

    Either side notices it within ten seconds, a statement has an end, and a transaction whose worker fell silent keeps
    no rows from the next worker.
    """
    milliseconds = statement_seconds * 1000
    idle_milliseconds = min(2 * milliseconds, _LONGEST_SILENCE)
    return {
        "application_name": _APPLICATION,
        "connect_timeout": 5,
        "keepalives": 1,
        "keepalives_idle": 4,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": 8000,
        "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
        f" -c idle_in_transaction_session_timeout={idle_milliseconds} -c TimeZone=UTC"
        " -c tcp_keepalives_idle=4 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2 -c tcp_user_timeout=8000",
    }
