"""The turns of the worker: reach the database, own the mailbox, poll it, store how it went; and the pauses between."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from worker.bootstrap import Parts
from worker.domain.errors import DatabaseUnavailable, DropboxError, LoginRefused, Unavailable
from worker.domain.ports import Queue
from worker.domain.verdicts import Notice
from worker.imap import Backlog, IdleState, IdleWatch
from worker.logs import Event, described
from worker.outgoing import Round
from worker.poll import PollReport, Stop
from worker.retries import Backoff
from worker.service.background import Background, Deliverer, Job, Upkeep
from worker.settings import Idle
from worker.store import health
from worker.store.health import record_end, this_process
from worker.store.schema import migrate

SLACK_SECONDS = 1.0
"""How much later than the schedule the loop polls by itself: when the clock was set back, the schedule stands still."""

_JOB = "poll"
_NOTICE_SECONDS = 60.0
"""Between two looks for notices. A poll that may have left some wakes the job at once."""


class Side(Enum):
    """A part that can be down, with the events of its beginning, of each retry, and of its end."""

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
    """The parts that are down at the moment, and the pause before the next try. For one thread."""

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


class Interval(IntervalTrigger):  # type: ignore[misc]
    """Skips missed times in one step. APScheduler lists each of them: those of years, if the clock was set forward."""

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime | None:
        """Return the first time after now."""
        later: datetime | None = super().get_next_fire_time(None, now + timedelta(microseconds=1))
        return later


class WakeUps:
    """The requests to the loop, from any thread: to poll, to read the settings again, to stop."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self.is_poll_wanted = False
        self.is_reload_wanted = False
        self.is_stopping = False

    def each(self, seconds: int) -> None:
        """Ask for a poll every so many seconds from now on."""
        trigger = Interval(seconds=seconds, timezone=UTC)
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


def _never() -> bool:
    return False


class Turns:
    """The turns of one set of parts. One thread only."""

    def __init__(self, parts: Parts, reached: Callable[[], None] = lambda: None) -> None:
        self._parts = parts
        self._reached = reached
        self._is_active: bool | None = None
        self._has_own_sessions = False

    def prepare(self, upgrading: Callable[[], None] = lambda: None) -> None:
        """Reach the database and migrate it if it is older than this program; first call ``upgrading``.

        Done before each turn: when a newer worker has migrated the database, this one has to leave the mailbox to it.

        Raises:
            Refused: the database is newer than this program, or behind a pooler that shares sessions.
            Unavailable: the database is down.
        """
        if not self._has_own_sessions:
            self._parts.database.require_own_sessions()
            self._has_own_sessions = True
        migrate(self._parts.database, upgrading)

    def take(self, stop: Stop = _never) -> PollReport | None:
        """Poll once; return None if another worker has the mailbox. ``stop`` ends the poll between two batches.

        Raises:
            Refused: the database is an SQLite file that another worker uses.
            Unavailable: nothing was polled. If an outage cuts a poll short, it is in the report instead.
        """
        if not self._own():
            return None
        queue = self._open_mailbox()
        report = self._parts.poller.poll(queue, lambda: stop() or not self._parts.lock.held())
        self._record(report)
        _log_poll(report, is_news=report.has_progressed or not report.outage)
        return report

    def send_notices(self, stop: Stop = _never) -> float:
        """Send the notices that wait, and log them; return the seconds until the next look.

        Raises:
            Unavailable: the mail server or the database is down, and nothing was sent.
        """
        if self._parts.notifier is not None:
            done = self._parts.notifier.send_waiting(stop)
            log_notices(done)
            if done.outage and not done.sent:
                raise done.outage
        return _NOTICE_SECONDS

    def leave(self) -> None:
        """Store that this worker no longer empties the mailbox, if the database is reachable."""
        if self._is_active:
            with suppress(Unavailable):
                record_end(self._parts.database, self._parts.mailbox_name, this_process())

    def _own(self) -> bool:
        """Take or keep the lock: only its holder touches the mailbox."""
        is_active = self._still_owns() or self._parts.lock.acquire()
        if is_active is not self._is_active:
            event = Event.WORKER_ACTIVE if is_active else Event.WORKER_STANDBY
            if self._is_active is not None or not is_active:  # an only worker is active without saying so
                structlog.get_logger().info(event, mailbox=self._parts.mailbox_name)
            self._is_active = is_active
        return is_active

    def _still_owns(self) -> bool:
        try:
            return bool(self._is_active) and self._parts.lock.held()
        except Unavailable:
            return False  # lost with its connection; acquired again at once, unless another worker was faster

    def _open_mailbox(self) -> Queue:
        try:
            queue = self._parts.mailbox.open()
        except Unavailable as outage:
            self._record(PollReport(outage=outage))
            raise
        self._reached()
        return queue

    def _waiting(self, report: PollReport) -> Backlog | None:
        """Ask for what is still in the queue; a poll that found nothing need not ask again."""
        if report.outage:
            return None
        return self._parts.mailbox.backlog() if report.found else Backlog(0, None)

    def _record(self, report: PollReport) -> None:
        """Store what `status` shows, if the database is reachable."""
        try:
            waiting = self._waiting(report)
            poll = health.Poll(
                mailbox=self._parts.mailbox_name,
                at=health.clock(self._parts.database),
                worker=this_process(),
                error=described(report.outage) if report.outage else None,
                backlog=waiting.messages if waiting else None,
                oldest=waiting.oldest if waiting else None,
            )
            health.record_poll(self._parts.database, poll)
        except Unavailable as outage:
            report.outage = report.outage or outage


class Worker:
    """The parts of one set of settings, and what runs beside the polls: some of it only while this worker is active."""

    def __init__(self, parts: Parts, turns: Turns, on_mail: Callable[[], None]) -> None:
        self.parts = parts
        self.turns = turns
        self.is_connected = False
        self._on_mail = on_mail
        self._idle: IdleWatch | None = None
        self._background = Background(
            Job("notices", turns.send_notices, Backoff(30.0, 900.0)),
            Job("upkeep", Upkeep(parts).run, Backoff(300.0, 900.0), is_woken=False),
        )
        self._deliverer = Deliverer(parts.settings, parts.database)
        self._deliveries = Background(Job("deliveries", self._deliverer.deliver_due, Backoff(1.0, 5.0)))

    def be_active(self) -> None:
        """Start what runs beside the polls."""
        self._background.start()
        if self._idle is None and self.parts.settings.idle is Idle.AUTO:
            self._idle = IdleWatch(self.parts.access, told=_log_idle)
            self._idle.start(self._on_mail)

    def deliver_events(self) -> None:
        """Start to deliver events. A standby worker does so too, and one that cannot reach its mailbox."""
        self._deliveries.start()

    def wake(self, report: PollReport | None) -> None:
        """Let what runs beside the polls look for what this poll has left."""
        if report is not None:
            self._background.wake()
            if report.has_progressed:
                self._deliverer.wake()
                self._deliveries.wake()

    def stand_by(self) -> None:
        """Stop what runs beside the polls."""
        if self._idle is not None:
            self._idle.stop()
        self._idle = None
        self._background.stop()

    def release_marks(self) -> None:
        """Remove the marks of the batch in work, if the database is reachable: the process ends in the middle of it."""
        with suppress(DropboxError):
            self.parts.store.release_all()

    def close(self, *, is_database_down: bool) -> None:
        """Close every connection and let another worker have the mailbox."""
        self.stand_by()
        self._deliveries.stop()
        if not is_database_down:
            self.turns.leave()
        self.parts.close()


def _log_poll(report: PollReport, *, is_news: bool) -> None:
    """Log one poll; at debug level while an outage lasts and nothing is done, for then its own lines say all."""
    counts = {str(name): count for name, count in report.counts.items()}
    log = structlog.get_logger()
    write = log.info if is_news else log.debug
    write(Event.POLL_FINISHED, **counts, seconds=round(report.seconds, 3), backlog=report.backlog)


def log_notices(done: Round) -> None:
    """Log each notice that was sent or finally refused, and an outage."""
    log = structlog.get_logger()
    for notice in done.sent:
        log.info(Event.NOTICE_SENT, **_addressed(notice))
    for notice, words in done.refused:
        log.warning(Event.NOTICE_REFUSED, **_addressed(notice), error=words)
    if done.outage is not None:
        log.warning(Event.NOTICE_DELAYED, error=described(done.outage))


def _addressed(notice: Notice) -> dict[str, str]:
    account = {"account": notice.account} if notice.account else {}
    return {"owner": notice.login.text, **account, "reason": notice.key.cause.value}


def _log_idle(state: IdleState, text: str) -> None:
    """Log a change of the IDLE connection. Losing it loses no mail: the poll reports when the server is down."""
    log = structlog.get_logger()
    if state is IdleState.ABSENT:
        log.info(Event.MAILBOX_IDLE_MISSING, message=text)
    elif state is IdleState.FAILED:
        log.warning(Event.MAILBOX_IDLE, state=state.value, message=text)
    else:
        log.debug(Event.MAILBOX_IDLE, state=state.value, message=text)
