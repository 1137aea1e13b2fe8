"""Who is at a mailbox: the worker that empties it, and those that stand by. PostgreSQL knows it by their sessions."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Self

from sqlalchemy import Connection, text

from worker.store.database import Database
from worker.store.waiting import LOCKS

_APPLICATION = "bcc-dropbox "
_NAME = text("SELECT set_config('application_name', :name, false)")
_COME = text("SELECT pg_advisory_lock_shared(:high, :low)")
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
"""`objsubid` tells the locks of one number (1: the right to empty the mailbox) from those of two (2: being there).

The locks of accounts have two numbers as well, the first of which is the same for all.
"""


@dataclass(frozen=True, slots=True)
class MailboxKey:
    """What stands for a mailbox in the names of locks, which are numbers: 64 bits, as one number or as two."""

    high: int
    low: int

    @classmethod
    def of(cls, mailbox: str) -> Self:
        """The key of a mailbox, by its name."""
        digest = blake2b(mailbox.encode("utf-8", "replace"), digest_size=8, person=b"bcc-dropbox").digest()
        return cls(*(int.from_bytes(half, "big", signed=True) for half in (digest[:4], digest[4:])))

    @property
    def whole(self) -> int:
        """Both halves as one number."""
        return self.high << 32 | self.low & 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Standby:
    """A worker that is ready to take a mailbox over; the times are hidden from other users of the database."""

    worker: str
    since: datetime | None
    seen_at: datetime | None


def this_process() -> str:
    """The name by which a worker is told from others."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def announce(connection: Connection, key: MailboxKey) -> None:
    """Be seen at this mailbox, by this session for as long as it lives; the server keeps 63 octets of its name."""
    connection.execute(_NAME, {"name": _APPLICATION + this_process()})
    connection.execute(_COME, {"high": key.high, "low": key.low})


def standing_by(database: Database) -> dict[MailboxKey, list[Standby]]:
    """Whoever stands by at any mailbox of this database, the longest first; on SQLite nobody ever does.

    Raises:
        Unavailable: when the database is down.
    """
    found: dict[MailboxKey, list[Standby]] = {}
    if database.is_sqlite:
        return found
    with database.read() as connection:
        for high, low, name, since, seen_at in connection.execute(_STANDING_BY, {"of_accounts": LOCKS}):
            worker = Standby(name.removeprefix(_APPLICATION), since, seen_at)
            found.setdefault(MailboxKey(high, low), []).append(worker)
    return found
