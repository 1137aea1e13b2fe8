"""One worker per mailbox: the others stand by until the one that empties it lets go, or dies."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from worker.domain.errors import DatabaseUnavailable, Refused
from worker.store.database import Database
from worker.store.errors import translated
from worker.store.lease import Lease
from worker.store.presence import MailboxKey, announce, this_process


class _Lock(Protocol):
    def acquire(self) -> bool: ...

    def held(self) -> bool: ...

    def release(self) -> None: ...


class MailboxLock:
    """The right to empty this mailbox; it ends with the process, or with the connection that holds it.

    Not to be shared between threads.
    """

    def __init__(self, database: Database, mailbox_name: str) -> None:
        self._lock: _Lock = (
            _FileLock(database.file, mailbox_name) if database.file else _ServerLock(database, mailbox_name)
        )

    def acquire(self) -> bool:
        """Take the right, or keep it; False when another worker has it.

        Raises:
            Refused: on SQLite, which serves one worker alone: the text says who that is.
            Unavailable: when the database is down.
        """
        return self._lock.acquire()

    def held(self) -> bool:
        """Whether it is ours; asks the server in one short round trip whether it still thinks so.

        Raises:
            Unavailable: when it was ours and is lost.
        """
        return self._lock.held()

    def release(self) -> None:
        """Let go; never raises."""
        self._lock.release()


class _ServerLock:
    """An advisory lock of PostgreSQL, on a connection of its own that holds it for as long as it lives.

    The connection stays while another worker has the lock: by it this one is seen to stand by.
    """

    def __init__(self, database: Database, mailbox_name: str) -> None:
        self._database = database
        self._key = MailboxKey.of(mailbox_name)
        self._lease: Lease | None = None
        self._owns = False

    def acquire(self) -> bool:
        if self._owns:
            return self.held()
        answer = self._try()
        if answer is None:
            self.release()
            self._connect()
            answer = self._try()
        if answer is None:
            self.release()
            raise DatabaseUnavailable("database: the connection was lost as soon as it was made")
        self._owns = answer
        return answer

    def held(self) -> bool:
        if not self._owns or self._lease is None:
            return False
        if not self._lease.holds():
            self.release()
            raise DatabaseUnavailable("the lock on the mailbox is lost with its connection to the database")
        return True

    def release(self) -> None:
        lease, self._lease = self._lease, None
        self._owns = False
        if lease is not None:
            lease.end()

    def _try(self) -> bool | None:
        """Whether the lock is ours now; None where there is no connection, or it is lost."""
        if self._lease is None:
            return None
        answer: bool | None = self._lease.ask(f"SELECT pg_try_advisory_lock({self._key.whole})")
        return answer

    def _connect(self) -> None:
        with translated():
            connection = self._database.engine.connect()
            try:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.detach()  # not the pool's any more: it ends with the lock
                Lease.prepare(connection)
                announce(connection, self._key)
                self._lease = Lease(connection)
            finally:
                if self._lease is None:
                    connection.close()


class _FileLock:
    """A locked file beside the SQLite database; the kernel lets go when the process ends, however it ends."""

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
                os.close(descriptor)  # and with it the lock, which would keep our own next try out
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
