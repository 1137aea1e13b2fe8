"""One worker per mailbox: the others stand by until the one that empties it lets go, or dies."""

import fcntl
import os
import socket
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from sqlalchemy import text

from worker.domain.errors import DatabaseUnavailable, Refused
from worker.store.database import Database
from worker.store.errors import translated
from worker.store.lease import Lease


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
    """An advisory lock of PostgreSQL, on a connection of its own that holds it for as long as it lives."""

    def __init__(self, database: Database, mailbox_name: str) -> None:
        self._database = database
        digest = blake2b(mailbox_name.encode("utf-8", "replace"), digest_size=8, person=b"bcc-dropbox")
        self._key = int.from_bytes(digest.digest(), "big", signed=True)
        self._lease: Lease | None = None

    def acquire(self) -> bool:
        if self._lease is not None:
            return self.held()
        with translated():
            connection = self._database.engine.connect()
            try:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.detach()  # not the pool's any more: it ends with the lock
                Lease.prepare(connection)
                if connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}):
                    self._lease = Lease(connection)
            finally:
                if self._lease is None:
                    connection.close()
        return self._lease is not None

    def held(self) -> bool:
        if self._lease is None:
            return False
        if not self._lease.holds():
            self.release()
            raise DatabaseUnavailable("the lock on the mailbox is lost with its connection to the database")
        return True

    def release(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.end()


class _FileLock:
    """A locked file beside the SQLite database; the kernel lets go when the process ends, however it ends."""

    def __init__(self, database: Path, mailbox_name: str) -> None:
        self._file = database.with_name(database.name + ".lock")
        self._who = f"process {os.getpid()} on {socket.gethostname()}, for {mailbox_name}"
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode=0o600)
        except OSError as error:
            raise DatabaseUnavailable(f"database: {self._file} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 500).decode("utf-8", "replace").strip() or "another process"
            os.close(descriptor)
            raise Refused(
                f"a worker already uses this SQLite database: {holder}; for more than one worker use PostgreSQL"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{self._who}\n".encode("utf-8", "replace"))
        self._descriptor = descriptor
        return True

    def held(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)
