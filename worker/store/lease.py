"""Hold the lock on a mailbox: a PostgreSQL session that a thread keeps alive and checks all the time."""

import threading
from enum import Enum
from uuid import uuid4

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from worker.domain.errors import DatabaseUnavailable
from worker.store.errors import SessionShared
from worker.store.postgresql import MARK
from worker.store.presence import MailboxKey, announce

SILENCE_SECONDS = 5
"""PostgreSQL ends a session and its locks after this long without a statement: the worker is cut off or stopped."""
_BEAT_SECONDS = 1.25
_FAREWELL_SECONDS = 2.0
_IDLE_TIMEOUT_SINCE = (14,)
"""Older servers have only TCP keepalive. A stalled proxy answers that for a worker that is gone."""
_LOST = "the lock on the mailbox is lost with its connection to the database"


class State(Enum):
    """What the server says about the session and the lock."""

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


class Lease:
    """Takes over a connection: from now on only the thread of this object uses it.

    Raises:
        DatabaseUnavailable: when another client uses the same session, or the server is a standby.
    """

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
            self._news.wait_for(lambda: self._is_over or self._answered >= asked, SILENCE_SECONDS)
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


def failure_of(state: State) -> DatabaseUnavailable:
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
        connection.exec_driver_sql(f"SET idle_session_timeout = '{SILENCE_SECONDS}s'")
    announce(connection, key)
    case = f"""SELECT CASE
        WHEN pg_backend_pid() <> {backend} OR current_setting('{MARK}', true) IS DISTINCT FROM '{mark}' THEN 'shared'
        WHEN pg_is_in_recovery() THEN 'read-only'
        WHEN %s THEN 'owned' ELSE 'free' END"""  # noqa: S608 - numbers, and a mark of our own
    owned = f"""EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid = 1
        AND classid = {key.high & 0xFFFF_FFFF} AND objid = {key.low & 0xFFFF_FFFF})"""
    return case % owned, case % f"pg_try_advisory_lock({key.whole})"
