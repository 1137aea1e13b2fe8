"""`bcc-dropbox status`: how the worker is doing, as the database knows it; answers monitors by its exit code."""

import signal
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Never

import typer

from worker.cli.app import Json, env_file_of, open_present, parse_duration
from worker.cli.output import Cell, note, print_fields, print_json, print_rows, size_text, time_text
from worker.domain.errors import Unavailable
from worker.domain.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.store.database import Database
    from worker.store.health import Attendance, EndpointHealth, Ends, Lately, Standby
    from worker.store.room import Room

_REFRESH_SECONDS = 2
_CLEAR = "\x1b[2J\x1b[H"


def status(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds.")] = False,
    max_age: Annotated[
        timedelta | None,
        typer.Option(
            "--max-age",
            parser=parse_duration,
            metavar="TIME",
            help="Exit 1 when the last good poll is older than this, like 5m.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the active and the standby workers, the backlog, the last poll, and recent outcomes."""
    from worker.settings import Settings

    settings = Settings.load(env_file_of(ctx))
    database = open_present(settings)
    try:
        if watch:
            _watch(database, settings.mailbox_name, as_json=as_json)
        report = _look(database, settings.mailbox_name)
    except KeyboardInterrupt:
        raise typer.Exit from None
    finally:
        database.close()
    _show(report, as_json=as_json)
    if max_age is not None and (complaints := report.complaints(max_age)):
        for complaint in complaints:
            note(complaint)
        raise typer.Exit(1)


def _watch(database: "Database", mailbox: str | None, *, as_json: bool) -> Never:
    """Show it until interrupted; show an outage, and go on when the database answers again."""
    # A shell starts background commands of a script with SIGINT ignored, and Python then leaves it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    while True:
        try:
            report = _look(database, mailbox)
        except Unavailable as outage:
            _clear()
            note(f"error: {outage}; asked again every {_REFRESH_SECONDS} seconds")
        else:
            _clear()
            _show(report, as_json=as_json)
        time.sleep(_REFRESH_SECONDS)


def _look(database: "Database", mailbox: str | None) -> "StatusReport":
    from worker.store.health import clock
    from worker.store.schema import migrate

    migrate(database)
    return report_of(database, mailbox, clock(database))


def _clear() -> None:
    typer.echo(_CLEAR if sys.stdout.isatty() else "", nl=False)


def _show(report: "StatusReport", *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_json())
        return
    if not report.mailboxes:
        typer.echo("no mailbox has been polled yet")
    for mailbox in report.mailboxes:
        print_fields(_mailbox_fields(mailbox, report.now))
        typer.echo()
    for webhook in report.webhooks:
        print_fields(_webhook_fields(webhook, report.now))
        typer.echo()
    print_fields(_room_fields(report.room))
    typer.echo()
    print_rows(("", "today", "this week"), report.rows())


_SILENT = timedelta(minutes=5)
"""No poll for this long means that the worker is gone: twice the longest poll interval."""
_CLOCK_STEP = timedelta(seconds=10)
"""A poll that is further in the future is no sign of a worker that lives: the clock was set back since."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """All that `status` shows."""

    now: datetime
    mailboxes: "Sequence[Attendance]"
    lately: "Lately"
    webhooks: "Sequence[EndpointHealth]"
    room: "Room"

    def complaints(self, max_age: timedelta) -> list[str]:
        """Name each mailbox without a successful poll within ``max_age``, or report that there is no mailbox."""
        if not self.mailboxes:
            return ["no mailbox has been polled yet"]
        return [
            f"{mailbox.health.name}: {_too_old(age, max_age)}"
            for mailbox in self.mailboxes
            if (age := _good_poll_age(mailbox, self.now)) is None or age > max_age or age < -_CLOCK_STEP
        ]

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return outcomes, reasons and times, side by side for today and this week."""
        today, week = self.lately.today, self.lately.week
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
            "mailboxes": [_mailbox_json(mailbox, self.now) for mailbox in self.mailboxes],
            "webhooks": [_webhook_json(webhook, self.now) for webhook in self.webhooks],
            "database": _room_json(self.room),
            "today": _ends_json(self.lately.today),
            "week": _ends_json(self.lately.week),
        }


def report_of(database: "Database", mailbox: str | None, now: datetime) -> StatusReport:
    """Read what `status` shows; of one mailbox only, if the settings name one.

    Raises:
        Unavailable: the database is down.
    """
    from worker.store.health import attendance, endpoints_health, lately
    from worker.store.room import room_of

    with database.read() as connection:
        webhooks = endpoints_health(connection)
    return StatusReport(
        now, attendance(database, mailbox), lately(database, mailbox, now), webhooks, room_of(database, now)
    )


def state_of(mailbox: "Attendance", now: datetime) -> str:
    """Return ``active``, ``failing``, ``stopped`` or ``silent``."""
    last = mailbox.health.last_poll_at
    if last is not None and mailbox.health.worker is None:
        return "stopped"
    if last is None or not -_CLOCK_STEP < now - last < _SILENT:
        return "silent"
    return "failing" if mailbox.health.last_error else "active"


def _good_poll_age(mailbox: "Attendance", now: datetime) -> timedelta | None:
    """Return the time since the last successful poll; None when there was none."""
    return now - mailbox.health.last_good_poll_at if mailbox.health.last_good_poll_at else None


def _mailbox_fields(mailbox: "Attendance", now: datetime) -> list[tuple[str, Cell]]:
    found = mailbox.health
    return [
        ("mailbox", found.name),
        ("state", ": ".join(filter(None, (state_of(mailbox, now), found.worker)))),
        *(("standby", _standby_text(each, now)) for each in mailbox.standby),
        ("backlog", _seen_then(found.backlog, found.last_good_poll_at, now)),
        ("oldest message", _with_age(found.oldest_arrived_at, now)),
        ("last poll", _with_age(found.last_poll_at, now)),
        ("last good poll", _with_age(found.last_good_poll_at, now)),
        ("last error", found.last_error),
    ]


def _mailbox_json(mailbox: "Attendance", now: datetime) -> dict[str, Any]:
    found = mailbox.health
    return {
        "mailbox": found.name,
        "state": state_of(mailbox, now),
        "worker": found.worker,
        "standby": [
            {
                "worker": each.worker,
                "since": each.since,
                "last_seen_at": each.seen_at,
                "last_seen_age_seconds": _seconds(each.seen_at, now),
            }
            for each in mailbox.standby
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


def _webhook_fields(webhook: "EndpointHealth", now: datetime) -> list[tuple[str, Cell]]:
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


def _room_fields(room: "Room") -> list[tuple[str, Cell]]:
    """Return what people see of the database's size."""
    unused = f", {size_text(room.size.unused)} of it unused" if room.size.unused else ""
    growth = "known tomorrow" if room.growth is None else f"{size_text(room.growth)} a day"
    free = "known to the database server only" if room.size.disk_free is None else f"{size_text(room.size.disk_free)}"
    lasts = "" if room.days_left is None else f", enough for {room.days_left:,.0f} days"
    return [("database size", size_text(room.size.used) + unused), ("growth", growth), ("free on disk", free + lasts)]


def _room_json(room: "Room") -> dict[str, Any]:
    return {
        "size_bytes": room.size.used,
        "unused_bytes": room.size.unused,
        "growth_bytes_per_day": None if room.growth is None else round(room.growth),
        "disk_free_bytes": room.size.disk_free,
        "disk_days_left": None if room.days_left is None else round(room.days_left, 1),
    }


def _webhook_json(webhook: "EndpointHealth", now: datetime) -> dict[str, Any]:
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


def _ends_json(ends: "Ends") -> dict[str, Any]:
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


def _standby_text(standby: "Standby", now: datetime) -> str:
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
