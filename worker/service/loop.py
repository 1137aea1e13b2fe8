"""The service: one loop that polls and rests; the schedule, new mail and signals only wake it."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from worker import __version__
from worker.bootstrap import Parts, compose, start_log, verify, warn_of_forgery
from worker.domain.errors import Conflict, DatabaseUnavailable, DropboxError, Outdated, Refused, Unavailable
from worker.domain.verdicts import Filing
from worker.logs import Event, catch_uncaught
from worker.poll import PollReport, Watcher
from worker.service.background import Upkeep, deliver_once
from worker.service.supervisor import Supervisor, do_in_time, end_process
from worker.service.turns import SLACK_SECONDS, Outages, Turns, WakeUps, Worker
from worker.settings import Settings
from worker.settings.variables import ListenAddress

if TYPE_CHECKING:
    from worker.service.metrics import Figures, MetricsServer


_THIS_WORKER = uuid4().hex
"""The name under which the marks of this process are stored."""

_STANDBY_SECONDS = 3.0
"""Between two tries for a mailbox that another worker has: it is taken over within ten seconds."""

_BUG_SECONDS = 60.0
_LONGEST_POLL_SECONDS = 60.0
"""After so long, a poll ends so that `status` is stored; the rest of the backlog follows at once."""


class _Metrics(Watcher):
    """Counts from the first time that METRICS_ADDRESS is set, and shows the counts where it says so."""

    def __init__(self) -> None:
        self.is_active = False
        """This worker empties the mailbox."""
        self._figures: Figures | None = None
        self._server: MetricsServer | None = None
        self._settings: Settings | None = None

    def filed(self, filing: Filing, seconds: float) -> None:
        """Count a message that was committed."""
        if self._figures is not None:
            self._figures.filed(filing, seconds)

    def show(self, settings: Settings) -> None:
        """Listen where these settings say. Close the old listener first: the addresses may overlap."""
        before, self._settings = self._settings, settings
        if before is not None and before.metrics_address == settings.metrics_address:
            return
        if self._server is not None:
            self._server.close()
        try:
            self._server = self._listening(settings.metrics_address)
        except Refused:
            self._settings = before
            if before is not None:
                with suppress(Refused):
                    self._server = self._listening(before.metrics_address)
            raise

    def _listening(self, address: ListenAddress | None) -> "MetricsServer | None":
        self._server = None
        if address is None:
            return None
        from worker.service.metrics import Figures, MetricsServer  # noqa: PLC0415 - slow to import

        self._figures = self._figures or Figures(self._current, lambda: self.is_active)
        return MetricsServer(address, self._figures)

    def _current(self) -> Settings:
        assert self._settings is not None  # noqa: S101 - set before the server listens
        return self._settings


class Service:
    """Polls until a signal stops it, or only once. ``load`` reads the settings again (SIGHUP)."""

    def __init__(self, settings: Settings, load: Callable[[], Settings] | None = None) -> None:
        self._settings = settings
        self._load = load or (lambda: settings)
        self._supervisor = Supervisor(settings.poll_deadline_seconds)
        self._wakeups = WakeUps()
        self._outages = Outages()
        self._metrics = _Metrics()
        self._worker: Worker | None = None

    def run(self) -> int:
        """Work until a signal, or until something fails that no retry can repair; return the exit code.

        On the main thread only.

        Raises:
            Refused: METRICS_ADDRESS cannot be listened on.
        """
        catch_uncaught()
        self._metrics.show(self._settings)
        code = self._supervisor.run(
            self._loop, stop=self._stop, reload=self._wakeups.reload, overdue=lambda: self._give_up(0)
        )
        structlog.get_logger().info(Event.SERVICE_STOPPED)
        return code

    def poll(self) -> PollReport | None:
        """Poll once and send what the poll has left; return None if another worker has the mailbox.

        On the main thread only.

        Raises:
            SettingsError: a setting that the mailbox needs is missing.
            Refused: the database is newer than this program, or an SQLite file that another worker uses.
            Unavailable: nothing was polled.
        """
        return self._supervisor.run(
            self._poll_once, stop=lambda _name: self._wakeups.stop(), overdue=lambda: self._give_up(1)
        )

    def _poll_once(self) -> PollReport | None:
        parts = self._compose()
        turns = Turns(parts, reached=lambda: warn_of_forgery(self._settings))
        self._worker = Worker(parts, turns, on_mail=self._wakeups.poll)
        try:
            self._prepare(self._worker)
            report = self._worker.turns.take(lambda: self._wakeups.is_stopping)
            if report is not None:
                with suppress(Unavailable):
                    self._worker.turns.send_notices(lambda: self._wakeups.is_stopping)
                deliver_once(self._settings, parts.database, lambda: self._wakeups.is_stopping)
                Upkeep(parts).once(lambda: self._wakeups.is_stopping)
            return report
        finally:
            parts.close()

    def _loop(self) -> int:
        """Poll and rest until the end; return the exit code."""
        self._announce()
        try:
            self._wakeups.each(self._settings.poll_seconds)
            while not self._wakeups.is_stopping:
                if self._wakeups.is_reload_wanted:
                    self._reload()
                self._rest(self._turn())
        except DropboxError as failure:
            structlog.get_logger().error(Event.SERVICE_FAILED, error=str(failure))
            self._supervisor.systemd.stopping()
            structlog.get_logger().info(Event.SERVICE_STOPPING)
            return 1
        finally:
            self._supervisor.progress.progress()
            self._wakeups.close()
            self._close()
        return 0

    def _rest(self, pause: float | None) -> None:
        """Wait for the next poll that is due; or, if there is a ``pause``, for its seconds.

        The clock that counts here is the monotonic one: nobody can set it.
        """
        seconds = self._settings.poll_seconds + SLACK_SECONDS if pause is None else pause
        self._supervisor.progress.rest(seconds)
        was_woken = self._wakeups.wait(seconds, for_poll=pause is None)
        if pause is None and not was_woken:
            self._wakeups.each(self._settings.poll_seconds)

    def _turn(self) -> float | None:
        """Take one turn; return the seconds to pause, or None to leave that to the schedule."""
        self._wakeups.is_poll_wanted = False
        ends_at = time.monotonic() + _LONGEST_POLL_SECONDS
        try:
            worker = self._composed()
            self._prepare(worker)
            worker.deliver_events()
            report = worker.turns.take(lambda: self._is_interrupted or time.monotonic() > ends_at)
            worker.wake(report)
        except Unavailable as outage:
            return self._wait_out(outage)
        except Conflict as contention:
            return self._wait_out(DatabaseUnavailable(str(contention)))
        except Outdated as newer:
            return self._step_aside(newer)
        except DropboxError:
            raise
        except Exception as bug:  # noqa: BLE001 - logged; the service goes on
            structlog.get_logger().error(Event.SERVICE_FAILED, exc_info=bug)
            return _BUG_SECONDS
        pause = self._stand_by() if report is None else self._pause_after(report)
        return 0.0 if pause is None and time.monotonic() > ends_at else pause

    def _pause_after(self, report: PollReport) -> float | None:
        if report.outage is not None:
            return self._wait_out(report.outage, progressed=report.has_progressed)
        self._outages.ended()
        self._supervisor.systemd.status(_status_of(report))
        return None

    @property
    def _is_interrupted(self) -> bool:
        return self._wakeups.is_stopping or self._wakeups.is_reload_wanted

    def _prepare(self, worker: Worker) -> None:
        progress = self._supervisor.progress
        progress.progress()
        worker.turns.prepare(upgrading=progress.rest)
        progress.progress()

    def _composed(self) -> Worker:
        if self._worker is None:
            parts = self._compose()
            self._worker = Worker(parts, Turns(parts, reached=self._reached), on_mail=self._wakeups.poll)
        return self._worker

    def _compose(self) -> Parts:
        return compose(self._settings, self._metrics, self._supervisor.progress, worker=_THIS_WORKER)

    def _reached(self) -> None:
        """Note that database, schema and mailbox have answered, and start what runs beside the polls."""
        self._supervisor.systemd.ready()
        self._metrics.is_active = True
        if worker := self._worker:
            if not worker.is_connected and not self._outages.lasts:
                structlog.get_logger().info(Event.MAILBOX_CONNECTED, mailbox=worker.parts.mailbox_name)
            worker.is_connected = True
            worker.be_active()

    def _stand_by(self) -> float:
        self._outages.ended()
        self._metrics.is_active = False
        if self._worker is not None:
            self._worker.stand_by()
        self._supervisor.systemd.ready()
        self._supervisor.systemd.status("standby: another worker empties this mailbox")
        return _STANDBY_SECONDS

    def _step_aside(self, newer: Outdated) -> float:
        """Leave the mailbox to the newer worker that has migrated the database, and wait for an upgrade or a stop."""
        if not self._supervisor.systemd.is_ready:
            raise newer
        self._close()
        return self._wait_out(DatabaseUnavailable(str(newer)))

    def _wait_out(self, outage: Unavailable, *, progressed: bool = False) -> float:
        if self._wakeups.is_reload_wanted:
            return 0.0
        self._supervisor.systemd.status(f"waiting: {outage}")
        return self._outages.failed(outage, progressed=progressed)

    def _reload(self) -> None:
        """Use new settings from now on. If they have an error, log it and keep the old ones."""
        self._wakeups.is_reload_wanted = False
        try:
            settings = self._load()
            verify(settings)
            self._metrics.show(settings)
            start_log(settings)
        except DropboxError as error:
            structlog.get_logger().error(Event.SETTINGS_REFUSED, problems=str(error).splitlines())
            return
        self._settings = settings
        self._supervisor.deadline_seconds = settings.poll_deadline_seconds
        structlog.get_logger().info(Event.SETTINGS_RELOADED)
        warn_of_forgery(self._settings)
        self._close()
        self._wakeups.each(settings.poll_seconds)

    def _announce(self) -> None:
        database = self._settings.database_url.get_secret_value().partition(":")[0].partition("+")[0]
        structlog.get_logger().info(
            Event.SERVICE_STARTED,
            version=__version__,
            mailbox=self._settings.mailbox_name,
            database=database,
            poll_seconds=self._settings.poll_seconds,
        )
        warn_of_forgery(self._settings)

    def _stop(self, signal_name: str) -> None:
        structlog.get_logger().info(Event.SERVICE_STOPPING, signal=signal_name)
        self._wakeups.stop()

    def _close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close(is_database_down=self._outages.is_of_database)

    def _give_up(self, code: int) -> None:
        """End the process although a batch is in work. Remove its marks, so that no message gets a strike."""
        if (worker := self._worker) is not None:
            do_in_time(worker.release_marks)
        if code == 0:
            structlog.get_logger().info(Event.SERVICE_STOPPED)
        end_process(code)


def _status_of(report: PollReport) -> str:
    done = ", ".join(f"{count} {name}" for name, count in report.counts.items() if count) or "nothing new"
    return f"{report.backlog} waiting; last poll at {time.strftime('%H:%M:%S')}: {done}"
