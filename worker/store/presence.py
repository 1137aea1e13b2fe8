"""Show which workers are on standby for a mailbox. PostgreSQL knows them by their sessions."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Self

from sqlalchemy import Connection, text

from worker.store.database import Database

ACCOUNT_LOCKS = 0x62636364
"""The first of the two numbers in the advisory lock of an account (`worker.store.waiting`); the second is its ID."""
_APPLICATION = "bcc-dropbox "
_ANNOUNCE = text("SELECT set_config('application_name', :name, false), pg_advisory_lock_shared(:high, :low)")
_STANDING_BY = text("""
    SELECT here.classid::int4, here.objid::int4, application_name, backend_start, state_change
    FROM pg_locks AS here JOIN pg_stat_activity AS session USING (pid)
    WHERE here.locktype = 'advisory' AND here.objsubid = 2 AND here.granted AND here.classid::int4 <> :of_accounts
      AND here.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND NOT EXISTS (
        SELECT FROM pg_locks AS owned
        WHERE owned.locktype = 'advisory' AND owned.objsubid = 1 AND owned.granted AND owned.pid = here.pid
          AND (owned.database, owned.classid, owned.objid) = (here.database, here.classid, here.objid))
    ORDER BY backend_start, pid
""")
"""Sessions that are present at a mailbox but do not own it.

`objsubid` 1 is a lock with one number: the right to empty the mailbox. 2 is a lock with two numbers: presence.
The locks of accounts have two numbers as well; their first number is the same for all accounts.
"""


@dataclass(frozen=True, slots=True)
class MailboxKey:
    """The 64 bits that name a mailbox in advisory locks, as one number or as two."""

    high: int
    low: int

    @classmethod
    def of(cls, mailbox: str) -> Self:
        """Make the key from the mailbox's name."""
        digest = blake2b(mailbox.encode("utf-8", "replace"), digest_size=8, person=b"bcc-dropbox").digest()
        return cls(*(int.from_bytes(half, "big", signed=True) for half in (digest[:4], digest[4:])))

    @property
    def whole(self) -> int:
        """Both halves as one signed number."""
        return self.high << 32 | self.low & 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Standby:
    """A worker that is ready to take over a mailbox. PostgreSQL hides the times from other database users."""

    worker: str
    since: datetime | None
    seen_at: datetime | None


def this_process() -> str:
    """Return the name of this worker in logs and reports."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def announce(connection: Connection, key: MailboxKey) -> None:
    """Show this worker as present while the session lasts; the server keeps 63 bytes of its name.

    Raises:
        Unavailable: the database is down.
    """
    connection.execute(_ANNOUNCE, {"name": _APPLICATION + this_process(), "high": key.high, "low": key.low})


def standing_by(database: Database) -> dict[MailboxKey, list[Standby]]:
    """Return the standby workers of each mailbox, the oldest first; none on SQLite.

    Raises:
        Unavailable: when the database is down.
    """
    found: dict[MailboxKey, list[Standby]] = {}
    if database.is_sqlite:
        return found
    with database.read() as connection:
        for high, low, name, since, seen_at in connection.execute(_STANDING_BY, {"of_accounts": ACCOUNT_LOCKS}):
            worker = Standby(name.removeprefix(_APPLICATION), since, seen_at)
            found.setdefault(MailboxKey(high, low), []).append(worker)
    return found
