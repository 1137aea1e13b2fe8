"""What `status` shows and a monitor asks: workers, backlog, ends of messages, webhooks, room on the disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from worker.cli.output import Cell, size_text, time_text
from worker.domain.outcomes import Outcome
from worker.store import health
from worker.store.database import Database
from worker.store.health import EndpointHealth, Ends, MailboxHealth, Standby, endpoints_health
from worker.store.room import Room, room_of

_SILENT = timedelta(minutes=5)
"""No poll for this long means that the worker is gone: twice the longest poll interval."""
_CLOCK_STEP = timedelta(seconds=10)
"""A poll that is further in the future is no sign of a worker that lives: the clock was set back since."""


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """One mailbox, who empties it, and who is ready to."""

    health: MailboxHealth
    standby: Sequence[Standby] = ()

    def state(self, now: datetime) -> str:
        """``active``, ``failing``, ``stopped`` or ``silent``."""
        if self.health.last_poll_at is not None and self.health.worker is None:
            return "stopped"
        if self.health.last_poll_at is None or not -_CLOCK_STEP < now - self.health.last_poll_at < _SILENT:
            return "silent"
        return "failing" if self.health.last_error else "active"

    def good_poll_age(self, now: datetime) -> timedelta | None:
        """Return the time since the last successful poll; None when there was none."""
        return now - self.health.last_good_poll_at if self.health.last_good_poll_at else None

    def fields(self, now: datetime) -> list[tuple[str, Cell]]:
        """Return the lines that people read."""
        found = self.health
        return [
            ("mailbox", found.name),
            ("state", ": ".join(filter(None, (self.state(now), found.worker)))),
            *(("standby", _standby_text(each, now)) for each in self.standby),
            ("backlog", _seen_then(found.backlog, found.last_good_poll_at, now)),
            ("oldest message", _with_age(found.oldest_arrived_at, now)),
            ("last poll", _with_age(found.last_poll_at, now)),
            ("last good poll", _with_age(found.last_good_poll_at, now)),
            ("last error", found.last_error),
        ]

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return the JSON fields; ages are in seconds."""
        found = self.health
        return {
            "mailbox": found.name,
            "state": self.state(now),
            "worker": found.worker,
            "standby": [
                {
                    "worker": each.worker,
                    "since": each.since,
                    "last_seen_at": each.seen_at,
                    "last_seen_age_seconds": _seconds(each.seen_at, now),
                }
                for each in self.standby
            ],
            "backlog": found.backlog,
            "backlog_at": found.last_good_poll_at,
            "oldest_arrived_at": found.oldest_arrived_at,
            "oldest_age_seconds": _seconds(found.oldest_arrived_at, now),
            "last_poll_at": found.last_poll_at,
            "last_good_poll_at": found.last_good_poll_at,
            "last_good_poll_age_seconds": _seconds(found.last_good_poll_at, now),
            "last_error": found.last_error,
        }


@dataclass(frozen=True, slots=True)
class StatusReport:
    """All that `status` shows."""

    now: datetime
    mailboxes: tuple[MailboxStatus, ...]
    today: Ends
    week: Ends
    webhooks: tuple[EndpointHealth, ...]
    room: Room

    def complaints(self, max_age: timedelta) -> list[str]:
        """Name each mailbox without a successful poll within ``max_age``, or report that there is no mailbox."""
        if not self.mailboxes:
            return ["no mailbox has been polled yet"]
        return [
            f"{mailbox.health.name}: {_too_old(age, max_age)}"
            for mailbox in self.mailboxes
            if (age := mailbox.good_poll_age(self.now)) is None or age > max_age or age < -_CLOCK_STEP
        ]

    def rows(self) -> list[tuple[Cell, ...]]:
        """Outcomes, reasons and times, side by side for today and this week."""
        today, week = self.today, self.week
        rows: list[tuple[Cell, ...]] = [
            (str(outcome), today.outcomes.get(outcome, 0), week.outcomes.get(outcome, 0)) for outcome in Outcome
        ]
        often_first = sorted(week.reasons.items(), key=lambda each: -each[1])
        rows += [(f"rejected: {reason}", today.reasons.get(reason, 0), count) for reason, count in often_first]
        half = today.median_seconds, week.median_seconds
        most = today.slowest_percent_seconds, week.slowest_percent_seconds
        rows.append(("half are associated within", *map(_seconds_text, half)))
        rows.append(("99 of 100 within", *map(_seconds_text, most)))
        return rows

    def as_json(self) -> dict[str, Any]:
        """Return the JSON fields."""
        return {
            "mailboxes": [mailbox.as_json(self.now) for mailbox in self.mailboxes],
            "webhooks": [_webhook_json(webhook, self.now) for webhook in self.webhooks],
            "database": _room_json(self.room),
            "today": _ends_json(self.today),
            "week": _ends_json(self.week),
        }


def report_of(database: Database, mailbox: str | None, now: datetime) -> StatusReport:
    """Read what `status` shows; of one mailbox only, if the settings name one.

    Raises:
        Unavailable: the database is down.
    """
    shown = tuple(MailboxStatus(each.health, each.standby) for each in health.attendance(database, mailbox))
    lately = health.lately(database, mailbox, now)
    with database.read() as connection:
        webhooks = tuple(endpoints_health(connection))
    return StatusReport(now, shown, lately.today, lately.week, webhooks, room_of(database, now))


def webhook_fields(webhook: EndpointHealth, now: datetime) -> list[tuple[str, Cell]]:
    """Return what people see of a webhook."""
    waiting = f"{webhook.backlog} events" if webhook.backlog else "nothing"
    return [
        ("webhook", f"{webhook.account}: {webhook.host}"),
        ("state", ": ".join(filter(None, (webhook.state, webhook.paused_because)))),
        (
            "waiting",
            f"{waiting}, the oldest since {_with_age(webhook.oldest_at, now)}" if webhook.oldest_at else waiting,
        ),
        ("last delivered", _with_age(webhook.last_delivered_at, now)),
        ("last failure", _with_age(webhook.last_failed_at, now)),
        ("last error", webhook.last_error),
    ]


def room_fields(room: Room) -> list[tuple[str, Cell]]:
    """Return what people see of the database's size."""
    unused = f", {size_text(room.size.unused)} of it unused" if room.size.unused else ""
    growth = "known tomorrow" if room.growth is None else f"{size_text(room.growth)} a day"
    free = "known to the database server only" if room.size.disk_free is None else f"{size_text(room.size.disk_free)}"
    lasts = "" if room.days_left is None else f", enough for {room.days_left:,.0f} days"
    return [("database size", size_text(room.size.used) + unused), ("growth", growth), ("free on disk", free + lasts)]


def _room_json(room: Room) -> dict[str, Any]:
    return {
        "size_bytes": room.size.used,
        "unused_bytes": room.size.unused,
        "growth_bytes_per_day": None if room.growth is None else round(room.growth),
        "disk_free_bytes": room.size.disk_free,
        "disk_days_left": None if room.days_left is None else round(room.days_left, 1),
    }


def _webhook_json(webhook: EndpointHealth, now: datetime) -> dict[str, Any]:
    return {
        "account": webhook.account,
        "host": webhook.host,
        "state": webhook.state.value,
        "paused_because": webhook.paused_because,
        "backlog": webhook.backlog,
        "oldest_at": webhook.oldest_at,
        "oldest_age_seconds": _seconds(webhook.oldest_at, now),
        "failing_since": webhook.failing_since,
        "last_delivered_at": webhook.last_delivered_at,
        "last_failed_at": webhook.last_failed_at,
        "last_error": webhook.last_error,
    }


def _ends_json(ends: Ends) -> dict[str, Any]:
    return {
        "outcomes": {str(outcome): ends.outcomes.get(outcome, 0) for outcome in Outcome},
        "reasons": {str(reason): count for reason, count in ends.reasons.items()},
        "p50_seconds": ends.median_seconds,
        "p99_seconds": ends.slowest_percent_seconds,
    }


def _too_old(age: timedelta | None, max_age: timedelta) -> str:
    if age is None:
        return "no poll has gone well yet"
    if age < timedelta():
        return f"the last good poll is {_age_text(-age)} in the future: was the clock set back, or do two differ?"
    return f"the last good poll was {_age_text(age)} ago, more than {_age_text(max_age)}"


def _seen_then(backlog: int, seen_at: datetime | None, now: datetime) -> str | None:
    """Name the backlog and when it was counted: only a successful poll counts it."""
    return None if seen_at is None else f"{backlog} at the last good poll, {_age_text(now - seen_at)} ago"


def _standby_text(standby: Standby, now: datetime) -> str:
    since = "" if standby.since is None else f" since {_with_age(standby.since, now)}"
    seen = "" if standby.seen_at is None else f", last sign of life {_age_text(now - standby.seen_at)} ago"
    return f"{standby.worker}{since}{seen}"


def _with_age(moment: datetime | None, now: datetime) -> str | None:
    if moment is None:
        return None
    if moment > now + _CLOCK_STEP:
        return f"{time_text(moment)} ({_age_text(moment - now)} in the future)"
    return f"{time_text(moment)} ({_age_text(now - moment)} ago)"


def _age_text(age: timedelta) -> str:
    seconds = max(0, round(age.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _seconds(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else round((now - moment).total_seconds(), 1)


def _seconds_text(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.1f} s"
