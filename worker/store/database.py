"""The database as a whole: open it by its URL, begin and end transactions on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import URL, Connection, Engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError

from worker.domain.errors import Refused
from worker.store.errors import translated
from worker.store.postgresql import MOVED, postgresql_engine, require_own_sessions
from worker.store.sqlite import BEGIN, SYNCHRONOUS, UNHURRIED, Checkpointer, prepare_file, sqlite_engine

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
        self._checkpointer = Checkpointer(engine)
        self.moves = 0
        """How often the database's name led to a server that takes no writes; every connection is replaced then."""
        if self.is_sqlite:
            # Take the write lock first: a reader that begins to write later is refused at once instead of waiting.
            self._writing = engine.execution_options(**{BEGIN: "BEGIN IMMEDIATE"})
            self._noting = self._writing.execution_options(**{SYNCHRONOUS: "NORMAL"})
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
            prepare_file(_file_of(parsed), create=create)
            return cls(sqlite_engine(parsed, statement_seconds))
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

    def much_was_written(self) -> None:
        """Start a checkpoint on SQLite, so that no later commit has to wait for one."""
        if self.is_sqlite:
            self._checkpointer.soon()

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
        self._checkpointer.close()
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
