"""Keep a mailbox to one worker. The others are on standby until that one stops or crashes."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from worker.domain.errors import DatabaseUnavailable, Refused
from worker.store.database import Database
from worker.store.errors import translated
from worker.store.lease import Lease, State, failure_of
from worker.store.presence import MailboxKey, this_process

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
        self._lease: Lease | None = None
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
            raise failure_of(state)
        self._owns = state is State.OWNED
        return self._owns

    def held(self) -> bool:
        if not self._owns or self._lease is None:
            return False
        state = self._lease.check() if self._moves == self._database.moves else State.LOST
        if state is not State.OWNED:
            self.release()
            raise failure_of(state)
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
                self._lease = Lease(connection, self._key)
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
