"""Connect to an SQLite file: its settings, a time limit for statements, and checkpoints beside the work."""

import errno
import math
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from worker.domain.errors import DatabaseMissing, DatabaseUnavailable
from worker.store.columns import to_json

BEGIN = "bcc_dropbox_sqlite_begin"
"""Execution option: the statement that begins a transaction."""
SYNCHRONOUS = "bcc_dropbox_sqlite_synchronous"
"""Execution option: the value of `PRAGMA synchronous` for a transaction."""
UNHURRIED = "bcc_dropbox_sqlite_unhurried"
"""Execution option: statements have no time limit. On PostgreSQL, `statement_timeout` does this."""
_CONNECTIONS = 6
"""At most: the lock, a poll that reads and writes, and the jobs beside it."""
_UNTIL = "bcc_dropbox_sqlite_until"
_STEPS = 100_000
"""Virtual machine steps between two checks of the time limit: about a millisecond."""
_LONGEST_LOG = 64 * 1024 * 1024
"""Bytes. When the log is longer, a commit itself runs a checkpoint and waits for it.

SQLite's default is less than a batch, so that each commit would wait.
"""


def prepare_file(file: Path, *, create: bool) -> None:
    """Create the file and its folder, readable by this user only: it holds other people's mail.

    An existing file is not opened: on Linux, close(2) would drop the locks of this process's other connections to it,
    and another process could then remove the log that they still write to.

    Raises:
        Unavailable: when the file cannot be created, or is missing and ``create`` is off.
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


def sqlite_engine(url: URL, statement_seconds: int) -> Engine:
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
        # These two count only for a new file. Larger pages than the usual 4 KB waste less on originals.
        cursor.execute("PRAGMA page_size = 8192")
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
        connection.exec_driver_sql(f"PRAGMA synchronous = {options.get(SYNCHRONOUS, 'FULL')}")
        connection.exec_driver_sql(options.get(BEGIN, "BEGIN"))

    return engine


class Checkpointer:
    """Runs one checkpoint of the write-ahead log at a time, on a thread that ends with it.

    Nothing depends on it: SQLite checkpoints by itself when the log has grown, but then a commit waits for it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = threading.Thread()

    def soon(self) -> None:
        """Start a checkpoint unless one is running. Call it from one thread only."""
        if not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for a running checkpoint to end."""
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with suppress(SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error):
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").close()
            finally:
                connection.close()
