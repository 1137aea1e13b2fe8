"""The running service: schedule, wake-ups, signals, deadlines. One thread works, the main one watches it."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from worker import __version__
from worker.bootstrap import start_log, verify, warn_of_forgery
from worker.domain.errors import DropboxError, Refused
from worker.logs import Event, catch_uncaught
from worker.service.deliveries import Deliveries
from worker.service.hanging import end_hung, end_process
from worker.service.notify import Systemd
from worker.service.signals import RELOAD, STOP, Signals
from worker.service.tally import Tally
from worker.service.work import Work
from worker.settings import Settings
from worker.settings.values import ListenAddress

if TYPE_CHECKING:
    from worker.service.metrics import MetricsServer

_JOB = "poll"
_GRACE_SECONDS = 7.0
"""What a stop waits for the batch in hand; with what comes after, the whole stays below ten."""
_CLOSE_SECONDS = 2.0
_OVERDUE = timedelta(seconds=30)


class Service:
    """Runs until it is told to stop; ``load`` reads the settings again (SIGHUP)."""

    def __init__(self, settings: Settings, load: Callable[[], Settings]) -> None:
        self._settings = settings
        self._load = load
        self._systemd = Systemd()
        self._signals = Signals()
        self._tally = Tally()
        self._metrics: MetricsServer | None = None
        self._deliveries = Deliveries(settings)
        self._work = Work(settings, self._systemd, self._tally, wake=self._wake, filed=self._deliveries.wake)
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._state = threading.Lock()
        self._is_wanted = False
        self._resting = threading.Event()
        self._resting.set()
        self._failure: DropboxError | None = None

    def run(self) -> int:
        """Work until a signal or something that no retry can mend; gives the exit code. On the main thread only.

        Raises:
            Refused: when METRICS_ADDRESS cannot be listened on.
        """
        catch_uncaught()
        self._show_metrics(self._settings.metrics_address)
        with self._signals:
            self._announce()
            self._start_schedule()
            self._deliveries.start()
            while self._failure is None:
                came = self._signals.wait(1.0)
                if stop := came & STOP:
                    return self._stop(min(stop))
                if RELOAD in came:
                    self._reload()
                self._look_after()
            structlog.get_logger().error(Event.SERVICE_FAILED, error=str(self._failure))
            return self._stop(None)

    def _announce(self) -> None:
        log = structlog.get_logger()
        database = self._settings.database_url.get_secret_value().partition(":")[0].partition("+")[0]
        log.info(
            Event.SERVICE_STARTED,
            version=__version__,
            mailbox=self._settings.mailbox_name,
            database=database,
            poll_seconds=self._settings.poll_seconds,
        )
        warn_of_forgery(self._settings)

    def _start_schedule(self) -> None:
        self._scheduler.add_listener(lambda _event: self._wake(), EVENT_JOB_MAX_INSTANCES)
        self._scheduler.add_job(
            self._turn,
            "interval",
            id=_JOB,
            seconds=self._settings.poll_seconds,
            next_run_time=datetime.now(UTC),
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )
        self._scheduler.start()

    def _wake(self) -> None:
        """Poll at once, or once more right after the poll that is running; not while something is down."""
        with self._state:
            self._is_wanted = True
            is_due = self._resting.is_set() and not self._work.pauses
        if is_due:
            self._schedule(0)

    def _schedule(self, seconds: float) -> None:
        with suppress(JobLookupError):  # the schedule is gone: the end came in between
            self._scheduler.modify_job(_JOB, next_run_time=datetime.now(UTC) + timedelta(seconds=seconds))

    def _turn(self) -> None:
        """What the scheduler starts: a poll, and once more if something asked for one meanwhile."""
        self._resting.clear()
        if self._work.is_stopping:  # asked only now: whoever stops asks first and then waits for our rest
            self._resting.set()
            return
        try:
            pause = self._work_through()
        except DropboxError as failure:
            self._resting.set()
            self._failure = failure
            self._signals.wake()
            return
        if pause is not None and not self._work.is_stopping:
            self._schedule(pause)

    def _work_through(self) -> float | None:
        while True:
            with self._state:
                self._is_wanted = False
            pause = self._work.once()
            with self._state:  # a wake-up comes before this and is seen here, or after it and finds us resting
                if pause is not None or self._work.is_stopping or not self._is_wanted:
                    self._resting.set()
                    return pause

    def _look_after(self) -> None:
        """What only another thread can see: a poll that hangs, a schedule that stands still."""
        if (still := self._work.seconds_still) > self._settings.poll_deadline_seconds:
            end_hung(still, self._settings.poll_deadline_seconds)
        job = self._scheduler.get_job(_JOB)
        if self._resting.is_set() and job and job.next_run_time > datetime.now(UTC) - _OVERDUE:
            self._systemd.feed_watchdog()

    def _reload(self) -> None:
        """Take new settings over between two polls; what is wrong with them is told and changes nothing."""
        try:
            settings = self._load()
            verify(settings)
            if settings.metrics_address != self._settings.metrics_address:
                self._show_metrics(settings.metrics_address)
            start_log(settings)
        except DropboxError as error:
            structlog.get_logger().error(Event.SETTINGS_REFUSED, problems=str(error).splitlines())
            return
        self._settings = settings
        structlog.get_logger().info(Event.SETTINGS_RELOADED)
        warn_of_forgery(self._settings)
        self._work.change(settings)
        self._deliveries.change(settings)
        self._scheduler.reschedule_job(_JOB, trigger="interval", seconds=settings.poll_seconds)
        with self._state:
            self._is_wanted = True
        self._schedule(0)

    def _show_metrics(self, address: ListenAddress | None) -> None:
        """Listen there, and no more where we did before: both at once may not go, as one may be a part of the other.

        Raises:
            Refused: when nobody can listen there; then all is as before.
        """
        before, self._metrics = self._metrics, None
        if before is not None:
            before.close()
        try:
            self._metrics = self._metrics_at(address)
        except Refused:
            if before is not None:
                with suppress(Refused):
                    self._metrics = self._metrics_at(self._settings.metrics_address)
            raise

    def _metrics_at(self, address: ListenAddress | None) -> "MetricsServer | None":
        if address is None:
            return None
        from worker.service.metrics import MetricsServer  # noqa: PLC0415 - costs the start more than most parts

        return MetricsServer(address, lambda: self._settings, self._tally)

    def _stop(self, signal_number: int | None) -> int:
        """Let the batch in hand end, whatever the backlog; a batch that takes too long is left untouched."""
        log = structlog.get_logger()
        code = 0 if signal_number is not None else 1
        reason = {"signal": signal.Signals(signal_number).name} if signal_number is not None else {}
        log.info(Event.SERVICE_STOPPING, **reason)
        self._systemd.stopping()
        self._work.stop()
        self._deliveries.stop()
        is_clean = self._resting.wait(_GRACE_SECONDS)
        is_clean = _ends_in_time(self._work.close if is_clean else self._work.let_go) and is_clean
        self._deliveries.join()
        self._scheduler.shutdown(wait=False)
        log.info(Event.SERVICE_STOPPED)
        if not is_clean:
            end_process(code)
        return code


def _ends_in_time(last: Callable[[], None]) -> bool:
    """Do the last thing, unless it takes too long."""
    thread = threading.Thread(target=last, name="end", daemon=True)
    thread.start()
    thread.join(_CLOSE_SECONDS)
    return not thread.is_alive()
