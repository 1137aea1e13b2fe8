"""Keep a mailbox to one worker, by a file or a PostgreSQL session; the other workers are on standby until it stops."""

import fcntl
import os
import threading
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from worker.domain.errors import DatabaseUnavailable, Refused
from worker.store.database import Database
from worker.store.database_errors import SessionShared, translated
from worker.store.health import MailboxKey, announce, this_process
from worker.store.postgresql import MARK

_SILENCE_SECONDS = 5
"""PostgreSQL ends a session and its locks after this long without a statement: the worker is cut off or stopped."""
_BEAT_SECONDS = 1.25
_FAREWELL_SECONDS = 2.0
_IDLE_TIMEOUT_SINCE = (14,)
"""Older servers have only TCP keepalive. A stalled proxy answers that for a worker that is gone."""
_LOST = "the lock on the mailbox is lost with its connection to the database"


class State(Enum):
    """The server's answer about the session and the lock."""

    OWNED = "owned"
    """The session holds the lock."""
    FREE = "free"
    """The session is fine and does not hold the lock."""
    SHARED = "shared"
    """The session, or its lock, belongs to another client of a connection pooler."""
    READ_ONLY = "read-only"
    """The server is a standby: its locks mean nothing to a worker on the primary."""
    LOST = "lost"
    """The server did not answer in time, or the session ended."""


class _Lease:
    """Takes over a connection: from now on only the thread of this object uses it."""

    def __init__(self, connection: Connection, key: MailboxKey) -> None:
        self._connection = connection
        self._check, self._try = _prepare(connection, key)
        self._news = threading.Condition()
        self._question = self._check
        self._answer = State.LOST
        self._asked = self._answered = 0
        self._is_ending = self._is_over = False
        self._thread = threading.Thread(target=self._keep, name="lock", daemon=True)
        self._thread.start()

    def check(self) -> State:
        """Ask the server about the lock now; after one `LOST` always `LOST`."""
        return self._ask(self._check)

    def try_lock(self) -> State:
        """Take the lock if it is free, and return what came of it."""
        return self._ask(self._try)

    def end(self) -> None:
        """Close the connection. A thread that still waits for a silent server ends with the process."""
        with self._news:
            self._is_ending = True
            self._news.notify_all()
        self._thread.join(_FAREWELL_SECONDS)

    def _ask(self, question: str) -> State:
        with self._news:
            self._question = question
            self._asked += 1
            asked = self._asked
            self._news.notify_all()
            self._news.wait_for(lambda: self._is_over or self._answered >= asked, _SILENCE_SECONDS)
            self._is_over = self._is_over or self._answered < asked
            return State.LOST if self._is_over else self._answer

    def _keep(self) -> None:
        try:
            while (turn := self._next()) is not None:
                asked, question = turn
                answer = State(self._connection.scalar(text(question)))
                with self._news:
                    if asked > self._answered:  # not a beat: a caller waits for it
                        self._answered, self._answer = asked, answer
                        self._news.notify_all()
            if State(self._connection.scalar(text(self._check))) is not State.SHARED:
                self._connection.exec_driver_sql("DISCARD ALL")  # nothing is left for a pooler's next client
            self._connection.close()
        except (SQLAlchemyError, OSError):
            self._connection.invalidate()
        finally:
            with self._news:
                self._is_over = True
                self._news.notify_all()

    def _next(self) -> tuple[int, str] | None:
        """Wait for a caller, at most for one beat; None at the end."""
        with self._news:
            self._news.wait_for(lambda: self._is_ending or self._is_over or self._asked > self._answered, _BEAT_SECONDS)
            if self._is_ending or self._is_over:
                return None
            return self._asked, self._question if self._asked > self._answered else self._check


def _failure_of(state: State) -> DatabaseUnavailable:
    """Return the error that says why the lock cannot be had, or is lost."""
    if state is State.SHARED:
        return SessionShared()
    if state is State.READ_ONLY:
        return DatabaseUnavailable("database: the server is a read-only standby, and the worker needs the primary")
    return DatabaseUnavailable(_LOST)


def _prepare(connection: Connection, key: MailboxKey) -> tuple[str, str]:
    """Mark the session and limit its silence; returns the statements that check the lock, and that try to take it."""
    backend, mark = connection.execute(text(f"SELECT pg_backend_pid(), current_setting('{MARK}', true)")).one()
    if mark:
        raise SessionShared
    mark = uuid4().hex
    connection.exec_driver_sql(f"SET {MARK} = '{mark}'")
    if (connection.dialect.server_version_info or ()) >= _IDLE_TIMEOUT_SINCE:
        connection.exec_driver_sql(f"SET idle_session_timeout = '{_SILENCE_SECONDS}s'")
    announce(connection, key)
    case = f"""SELECT CASE
        WHEN pg_backend_pid() <> {backend} OR current_setting('{MARK}', true) IS DISTINCT FROM '{mark}' THEN 'shared'
        WHEN pg_is_in_recovery() THEN 'read-only'
        WHEN %s THEN 'owned' ELSE 'free' END"""  # noqa: S608 - numbers, and a mark of our own
    owned = f"""EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid = 1
        AND classid = {key.high & 0xFFFF_FFFF} AND objid = {key.low & 0xFFFF_FFFF})"""
    return case % owned, case % f"pg_try_advisory_lock({key.whole})"


_SOUND = {State.OWNED, State.FREE}


class _Lock(Protocol):
    def acquire(self) -> bool: ...

    def held(self) -> bool: ...

    def release(self) -> None: ...


class MailboxLock:
    """The right to empty this mailbox; it ends with the process, or with the connection that holds it.

    Use it from one thread only.
    """

    def __init__(self, database: Database, mailbox_name: str) -> None:
        self._lock: _Lock = (
            _FileLock(database.file, mailbox_name) if database.file else _ServerLock(database, mailbox_name)
        )

    def acquire(self) -> bool:
        """Take the right, or keep it; returns False when another worker has it.

        Raises:
            Refused: on SQLite, which serves one worker only; the text names that worker.
            Unavailable: when the database is down, a standby, or behind a pooler that shares sessions.
        """
        return self._lock.acquire()

    def held(self) -> bool:
        """Return whether this worker has the right; asks the server in one round trip.

        Raises:
            Unavailable: when this worker had the right and lost it.
        """
        return self._lock.held()

    def release(self) -> None:
        """Give up the right; never raises."""
        self._lock.release()


class _ServerLock:
    """An advisory lock of PostgreSQL, on a session of its own.

    The session stays while another worker has the lock: it shows that this worker is on standby.
    """

    def __init__(self, database: Database, mailbox_name: str) -> None:
        self._database = database
        self._key = MailboxKey.of(mailbox_name)
        self._lease: _Lease | None = None
        self._moves = 0
        self._owns = False

    def acquire(self) -> bool:
        if self._owns:
            return self.held()
        state = self._try()
        if state not in _SOUND:
            self.release()
            self._connect()
            state = self._try()
        if state not in _SOUND:
            self.release()
            raise _failure_of(state)
        self._owns = state is State.OWNED
        return self._owns

    def held(self) -> bool:
        if not self._owns or self._lease is None:
            return False
        state = self._lease.check() if self._moves == self._database.moves else State.LOST
        if state is not State.OWNED:
            self.release()
            raise _failure_of(state)
        return True

    def release(self) -> None:
        lease, self._lease = self._lease, None
        self._owns = False
        if lease is not None:
            lease.end()

    def _try(self) -> State:
        if self._lease is None or self._moves != self._database.moves:
            return State.LOST
        return self._lease.try_lock()

    def _connect(self) -> None:
        with translated():
            self._moves = self._database.moves
            connection = self._database.engine.connect()
            try:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.detach()  # the pool must not reuse it: it lives as long as the lock
                self._lease = _Lease(connection, self._key)
            finally:
                if self._lease is None:
                    connection.close()


class _FileLock:
    """A locked file beside the SQLite database; the kernel unlocks it when the process ends."""

    def __init__(self, database: Path, mailbox_name: str) -> None:
        self._file = database.with_name(database.name + ".lock")
        self._who = f"{this_process()}, for {mailbox_name}"
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode=0o600)
            try:
                self._take(descriptor)
            except BaseException:
                os.close(descriptor)  # also unlocks it, so that the next try can succeed
                raise
        except OSError as error:
            raise DatabaseUnavailable(f"database: {self._file} cannot be locked: {error.strerror}") from error
        self._descriptor = descriptor
        return True

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 500).decode("utf-8", "replace").strip() or "another process"
            raise Refused(
                f"a worker already uses this SQLite database: {holder}; for more than one worker use PostgreSQL"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{self._who}\n".encode("utf-8", "replace"))

    def held(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)
