"""Results of recent polls, counts of recent decisions, and the workers on standby, for `status` and monitoring."""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Self
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Connection, and_, extract, func, select, text, update
from sqlmodel import col

from worker.domain.endpoints import EndpointState
from worker.domain.outcomes import Outcome, Reason
from worker.store.columns import time_of
from worker.store.database import Database
from worker.store.inserts import allocate
from worker.store.tables import EVENT_WAITS, AccountRow, DecisionRow, EventRow, MailboxRow, VerdictRow, WebhookRow

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


@dataclass(frozen=True, slots=True)
class Poll:
    """The result of one poll. It has no ``backlog`` if the poll failed before it counted the messages."""

    mailbox: str
    at: datetime
    worker: str
    """The worker: process and host."""
    error: str | None = None
    backlog: int | None = None
    """Messages left in the queue."""
    oldest: datetime | None = None
    """Arrival time of the oldest one."""


@dataclass(frozen=True, slots=True)
class MailboxHealth:
    """The state of a mailbox as its last polls recorded it."""

    name: str
    last_poll_at: datetime | None
    last_good_poll_at: datetime | None
    last_error: str | None
    """Error of the last poll; None when it succeeded."""
    backlog: int
    oldest_arrived_at: datetime | None
    worker: str | None


@dataclass(frozen=True, slots=True)
class Attendance:
    """A mailbox, and the standby workers that are ready to take it over."""

    health: MailboxHealth
    standby: Sequence[Standby] = ()


@dataclass(frozen=True, slots=True)
class Ends:
    """Counts of messages by outcome, and the seconds from arrival to association (R22)."""

    outcomes: Mapping[Outcome, int]
    reasons: Mapping[Reason, int]
    """Of the rejected ones."""
    median_seconds: float | None
    slowest_percent_seconds: float | None
    """99th percentile, in seconds."""


@dataclass(frozen=True, slots=True)
class Lately:
    """Counts since midnight, and since midnight on Monday, in this machine's time zone."""

    today: Ends
    week: Ends


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """The state of an endpoint, as `status`, `check`, metrics and `webhook list` show it."""

    account_id: int
    account: str
    id: int
    url: str
    state: EndpointState
    paused_because: str | None
    created_at: datetime
    failing_since: datetime | None
    last_delivered_at: datetime | None
    last_failed_at: datetime | None
    last_error: str | None
    backlog: int
    oldest_at: datetime | None
    """When the oldest event that waits happened."""

    @property
    def host(self) -> str:
        """The host of the URL; the rest may hold a secret."""
        return urlsplit(self.url).netloc


def clock(database: Database) -> datetime:
    """Return the database's time, by which polls are recorded.

    Raises:
        Unavailable: the database is down.
    """
    with database.read() as connection:
        return time_of(connection)


def record_poll(database: Database, poll: Poll) -> None:
    """Store the result of this poll.

    Raises:
        Unavailable: when the database is down.
    """
    known = {"backlog": poll.backlog, "oldest_arrived_at": poll.oldest} if poll.backlog is not None else {}
    good = {"last_good_poll_at": poll.at} if poll.error is None else {}
    with database.begin() as connection:
        mailbox = col(MailboxRow.id) == mailbox_id(connection, poll.mailbox)
        connection.execute(
            update(MailboxRow)
            .where(mailbox)
            .values(last_poll_at=poll.at, last_error=poll.error, worker=poll.worker, **known, **good)
        )


def mailboxes(database: Database) -> list[MailboxHealth]:
    """Return every mailbox that was ever polled, by name.

    Raises:
        Unavailable: the database is down.
    """
    columns = [getattr(MailboxRow, field.name) for field in fields(MailboxHealth)]
    with database.read() as connection:
        rows = connection.execute(select(*columns).order_by(col(MailboxRow.name)))
        return [MailboxHealth(**row) for row in rows.mappings()]


def attendance(database: Database, mailbox: str | None) -> list[Attendance]:
    """Return all polled mailboxes with their standby workers; with ``mailbox`` only that one.

    Raises:
        Unavailable: when the database is down.
    """
    ready = standing_by(database)
    return [
        Attendance(each, ready.get(MailboxKey.of(each.name), ()))
        for each in mailboxes(database)
        if mailbox is None or each.name == mailbox
    ]


def ends_since(database: Database, since: datetime, mailbox: str | None = None) -> Ends:
    """Count the messages decided since then, of one mailbox or of all.

    Raises:
        Unavailable: the database is down.
    """
    asked = select(col(MailboxRow.id))
    if mailbox is not None:
        asked = asked.where(col(MailboxRow.name) == mailbox)
    recent = and_(col(DecisionRow.mailbox_id).in_(asked), col(DecisionRow.decided_at) >= since)
    with database.read() as connection:
        outcomes = _outcomes(connection, recent)
        total = outcomes.get(Outcome.ASSOCIATED, 0)
        return Ends(
            outcomes,
            _reasons(connection, recent),
            _nth_slowest(connection, recent, total * 50 // 100),
            _nth_slowest(connection, recent, total * 99 // 100),
        )


def lately(database: Database, mailbox: str | None, now: datetime) -> Lately:
    """Count the messages decided today and this week, of one mailbox or of all.

    Raises:
        Unavailable: the database is down.
    """
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=midnight.weekday())
    return Lately(ends_since(database, midnight, mailbox), ends_since(database, monday, mailbox))


def _outcomes(connection: Connection, recent: ColumnElement[bool]) -> dict[Outcome, int]:
    query = select(col(DecisionRow.outcome), func.count()).where(recent).group_by(col(DecisionRow.outcome))
    return {Outcome(outcome): number for outcome, number in connection.execute(query)}


def _reasons(connection: Connection, recent: ColumnElement[bool]) -> dict[Reason, int]:
    """Count the reasons of rejected messages. A message with several verdicts counts by its first one."""
    deciding = and_(col(VerdictRow.decision_id) == col(DecisionRow.id), col(VerdictRow.ordinal) == 0)
    query = (
        select(col(VerdictRow.reason), func.count())
        .join_from(DecisionRow, VerdictRow, deciding)
        .where(recent, col(DecisionRow.outcome) == Outcome.REJECTED.value)
        .group_by(col(VerdictRow.reason))
    )
    return {Reason(reason): number for reason, number in connection.execute(query) if reason is not None}


def _nth_slowest(connection: Connection, recent: ColumnElement[bool], place: int) -> float | None:
    """Return the seconds from arrival to association of the message at this place, fastest first."""
    associated = and_(recent, col(DecisionRow.outcome) == Outcome.ASSOCIATED.value)
    if connection.dialect.name == "sqlite":
        days = func.julianday(col(DecisionRow.decided_at)) - func.julianday(col(DecisionRow.arrived_at))
        seconds: ColumnElement[Any] = days * 86400
    else:
        seconds = extract("epoch", col(DecisionRow.decided_at) - col(DecisionRow.arrived_at))
    found = connection.scalar(select(seconds).where(associated).order_by(seconds).limit(1).offset(place))
    return None if found is None else round(float(found), 3)


def endpoints_health(connection: Connection, account_id: int | None = None) -> list[EndpointHealth]:
    """Return how the endpoints are doing, of one account or of all.

    Raises:
        Unavailable: the database is down.
    """
    of_endpoint = and_(col(EventRow.account_id) == col(WebhookRow.account_id), text(f"({EVENT_WAITS})"))
    backlog = select(func.count()).where(of_endpoint).correlate(WebhookRow).scalar_subquery()
    oldest = (
        select(col(EventRow.created_at))
        .where(of_endpoint)
        .order_by(col(EventRow.id))
        .limit(1)
        .correlate(WebhookRow)
        .scalar_subquery()
    )
    query = (
        select(
            *(col(WebhookRow.account_id), col(AccountRow.name), col(WebhookRow.id), col(WebhookRow.url)),
            *(col(WebhookRow.state), col(WebhookRow.paused_because), col(WebhookRow.created_at)),
            *(col(WebhookRow.failing_since), col(WebhookRow.last_delivered_at), col(WebhookRow.last_failed_at)),
            *(col(WebhookRow.last_error), backlog, oldest),
        )
        .join(AccountRow, col(AccountRow.id) == col(WebhookRow.account_id))
        .order_by(col(AccountRow.name_key))
    )
    if account_id is not None:
        query = query.where(col(WebhookRow.account_id) == account_id)
    return [_endpoint_health(*row) for row in connection.execute(query)]


def _endpoint_health(account_id: int, account: str, number: int, url: str, state: str, *rest: Any) -> EndpointHealth:
    return EndpointHealth(account_id, account, number, url, EndpointState(state), *rest)


_INSERT = text("INSERT INTO mailbox (id, name, backlog) VALUES (:id, :name, 0) ON CONFLICT DO NOTHING")


def mailbox_id(connection: Connection, name: str) -> int:
    """Return the mailbox's ID; insert its row when it is new. Safe when two workers insert it at once.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    find = select(col(MailboxRow.id)).where(col(MailboxRow.name) == name)
    found = connection.scalar(find)
    if found is None:
        connection.execute(_INSERT, {"id": allocate(connection, MailboxRow, 1)[0], "name": name})
        found = connection.execute(find).scalar_one()
    return found


def record_end(database: Database, name: str, worker: str) -> None:
    """Record that this worker stopped polling the mailbox, unless another worker polled it since.

    Raises:
        Unavailable: when the database is down.
    """
    ended = update(MailboxRow).where(col(MailboxRow.name) == name, col(MailboxRow.worker) == worker)
    with database.begin() as connection:
        connection.execute(ended.values(worker=None))
