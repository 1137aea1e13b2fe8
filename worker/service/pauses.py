"""The pauses between polls: how long one lasts while something is down, and what ends it early.

The beginning and the end of an outage leave one line each in the log.
"""

import threading
import time
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from worker.domain.errors import DatabaseUnavailable, LoginRefused, Unavailable
from worker.logs import Event
from worker.retries import Backoff

SLACK_SECONDS = 1.0
"""How much later than the schedule the loop polls by itself: when the clock was set back, the schedule stands still."""

_JOB = "poll"


class Side(Enum):
    """What is down, with the events of its beginning, of each retry, and of its end."""

    MAILBOX = (Event.MAILBOX_LOST, Event.MAILBOX_RETRYING, Event.MAILBOX_CONNECTED)
    LOGIN = (Event.MAILBOX_LOGIN_REFUSED, Event.MAILBOX_RETRYING, Event.MAILBOX_CONNECTED)
    DATABASE = (Event.DATABASE_UNAVAILABLE, Event.DATABASE_RETRYING, Event.DATABASE_RECOVERED)

    @classmethod
    def of(cls, error: Unavailable) -> "Side":
        """Return the side that raised the error."""
        match error:
            case LoginRefused():
                return cls.LOGIN
            case DatabaseUnavailable():
                return cls.DATABASE
            case _:
                return cls.MAILBOX


class Outages:
    """What is down at the moment, and how long to wait before the next try. One thread only."""

    def __init__(self) -> None:
        self._began: dict[Side, float] = {}
        self._backoffs = {Side.MAILBOX: Backoff(), Side.LOGIN: Backoff.of_login(), Side.DATABASE: Backoff()}
        self._attempts = 0

    @property
    def lasts(self) -> bool:
        """Tell whether something is down."""
        return bool(self._began)

    @property
    def is_of_database(self) -> bool:
        """Tell whether the database is down."""
        return Side.DATABASE in self._began

    def failed(self, error: Unavailable, *, progressed: bool = False) -> float:
        """Count one more failure; return the seconds to wait before the next try.

        ``progressed``: messages were filed before it failed, so the pauses start short again.
        """
        side = Side.of(error)
        if progressed:
            self._reset()
        pause = self._backoffs[side].pause()
        self._attempts += 1
        began, retrying, _ = side.value
        log: Any = structlog.get_logger()
        if side not in self._began:
            self._began[side] = time.monotonic()
            log.warning(began, error=str(error))
        else:
            log.debug(retrying, error=str(error), attempt=self._attempts, pause=round(pause, 1))
        return pause

    def ended(self) -> None:
        """Note that everything answers again; log one line for each side that was down."""
        now = time.monotonic()
        ends: dict[Event, float] = {}
        for side, began in self._began.items():
            _, _, end = side.value
            ends[end] = max(ends.get(end, 0.0), now - began)
        for end, seconds in ends.items():
            structlog.get_logger().info(end, seconds_down=round(seconds, 1), attempts=self._attempts)
        self._began.clear()
        self._reset()
        self._attempts = 0

    def _reset(self) -> None:
        for backoff in self._backoffs.values():
            backoff.reset()


class _Interval(IntervalTrigger):  # type: ignore[misc]
    """Skips missed times in one step. APScheduler lists each of them: those of years, if the clock was set forward."""

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime | None:
        later: datetime | None = super().get_next_fire_time(None, now + timedelta(microseconds=1))
        return later


class WakeUps:
    """What the loop is asked for, from any thread: to poll, to read the settings again, to stop."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self.is_poll_wanted = False
        self.is_reload_wanted = False
        self.is_stopping = False

    def each(self, seconds: int) -> None:
        """Ask for a poll every so many seconds from now on."""
        trigger = _Interval(seconds=seconds, timezone=UTC)
        self._scheduler.add_job(self.poll, trigger, id=_JOB, replace_existing=True, misfire_grace_time=None)
        if not self._scheduler.running:
            self._scheduler.start()

    def poll(self) -> None:
        """Ask for a poll: at once, or once more right after the one that is running."""
        with self._changed:
            self.is_poll_wanted = True
            self._changed.notify_all()

    def reload(self) -> None:
        """Ask for the settings to be read again, after the batch in work."""
        with self._changed:
            self.is_reload_wanted = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Ask for the end, after the batch in work."""
        with self._changed:
            self.is_stopping = True
            self._changed.notify_all()

    def wait(self, seconds: float, *, for_poll: bool) -> bool:
        """Wait until something is wanted, but only ``for_poll`` for a poll; return False if nothing was in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self.is_stopping or self.is_reload_wanted or (for_poll and self.is_poll_wanted), seconds
            )

    def close(self) -> None:
        """End the schedule."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
