"""What the service does each time it is due: one turn, and what follows from how it went."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import structlog

from worker.bootstrap import LoggingWatcher, Parts, compose
from worker.domain.errors import Conflict, DatabaseUnavailable, DropboxError, Unavailable
from worker.domain.verdicts import Filing
from worker.imap import IdleState, IdleWatch
from worker.logs import Event
from worker.poll import PollReport
from worker.service.hanging import Progress
from worker.service.notify import Systemd
from worker.service.outage import Outage
from worker.service.tally import Tally
from worker.service.turns import Turns
from worker.settings import Idle, Settings

_STANDBY_SECONDS = 3.0
"""Between two tries for a mailbox that another worker has: taken over well within ten seconds."""
_BUG_SECONDS = 60.0
_LONGEST_POLL_SECONDS = 60.0
"""Then what `status` shows is written down, and notices are sent; the rest of the backlog comes at once after it."""


class _Watcher(LoggingWatcher):
    """Real progress feeds the watchdog, and is counted."""

    def __init__(self, systemd: Systemd, tally: Tally, progress: Progress) -> None:
        self._systemd = systemd
        self._tally = tally
        self._progress = progress

    def filed(self, filing: Filing, seconds: float) -> None:
        """A message was committed."""
        super().filed(filing, seconds)
        self._tally.filed(filing, seconds)

    def progress(self) -> None:
        """A batch is done."""
        self._progress.made()
        self._systemd.feed_watchdog()


class Work:
    """The parts of the present settings, and the turns that they take. Only `once` works on them, on one thread."""

    def __init__(
        self,
        settings: Settings,
        systemd: Systemd,
        tally: Tally,
        wake: Callable[[], None],
        filed: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._systemd = systemd
        self._tally = tally
        self._wake = wake
        self._filed = filed
        self._name = uuid4().hex
        self._has_changed = False
        self._stopping = threading.Event()
        self._outage = Outage()
        self._parts: Parts | None = None
        self._turns: Turns | None = None
        self._idle: IdleWatch | None = None
        self._is_connected = False
        self._progress = Progress()
        self._began = 0.0

    @property
    def pauses(self) -> bool:
        """Whether something is down, so that only the pause may end the waiting."""
        return self._outage.lasts

    @property
    def is_stopping(self) -> bool:
        """Whether the end has begun."""
        return self._stopping.is_set()

    @property
    def seconds_still(self) -> float:
        """For how long the poll that runs has made no progress; 0 between polls."""
        return self._progress.seconds_ago

    def change(self, settings: Settings) -> None:
        """Work by these settings from the next turn on; a poll that runs ends after its batch."""
        self._settings = settings
        self._has_changed = True

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopping.set()

    def let_go(self) -> None:
        """Nobody is to blame for what is in hand: the process is stopped, whatever it waits for."""
        parts = self._parts
        if parts is not None:
            with suppress(DropboxError):
                parts.store.release_all()

    def close(self) -> None:
        """Give everything back."""
        self._stop_watching()
        if self._turns is not None and not self._outage.is_of_database:
            self._turns.leave()
        if self._parts is not None:
            self._parts.close()
        self._parts = self._turns = None

    def once(self) -> float | None:
        """One turn; gives the seconds until the next one, None to leave that to the schedule.

        Raises:
            DropboxError: what no retry can mend.
        """
        try:
            report = self._take_turn()
        except Unavailable as outage:
            return self._wait_out(outage)
        except Conflict as contention:
            return self._wait_out(DatabaseUnavailable(str(contention)))
        except DropboxError:
            raise
        except Exception as bug:  # noqa: BLE001 - the service outlives what is wrong with one turn, and says so
            structlog.get_logger().error(Event.SERVICE_FAILED, exc_info=bug)
            return _BUG_SECONDS
        finally:
            self._progress.over()
            self._systemd.feed_watchdog()
        if report is None:
            return self._stand_by()
        if report.has_progressed:
            self._filed()
        if report.outage is not None:
            return self._wait_out(report.outage, progressed=report.has_progressed)
        self._outage.ended()
        self._systemd.status(_status_of(report))
        return None

    def _take_turn(self) -> PollReport | None:
        turns = self._composed()
        self._progress.made()
        turns.prepare(upgrading=self._progress.over)
        self._began = time.monotonic()
        self._progress.made()
        return turns.take(self._should_stop, self._is_long)

    def _composed(self) -> Turns:
        if self._turns is None or self._has_changed:
            self._has_changed = False
            self.close()
            self._is_connected = False
            self._parts = compose(self._settings, _Watcher(self._systemd, self._tally, self._progress), self._name)
            self._turns = Turns(self._parts, reached=self._reached)
        return self._turns

    def _should_stop(self) -> bool:
        return self.is_stopping or self._has_changed

    def _is_long(self) -> bool:
        """A backlog that takes long is worked off in several polls."""
        is_long = time.monotonic() - self._began > _LONGEST_POLL_SECONDS
        if is_long:
            self._wake()
        return is_long

    def _reached(self) -> None:
        """Database, schema and mailbox have answered."""
        self._systemd.ready()
        self._tally.is_active = True
        if not self._is_connected and not self._outage.lasts and self._parts:
            structlog.get_logger().info(Event.MAILBOX_CONNECTED, mailbox=self._parts.mailbox_name)
        self._is_connected = True
        if self._idle is None and self._settings.idle is Idle.AUTO and self._parts:
            self._idle = IdleWatch(self._parts.access, told=_tell_of_idle)
            self._idle.start(self._wake)

    def _stop_watching(self) -> None:
        if self._idle is not None:
            self._idle.stop()
        self._idle = None

    def _stand_by(self) -> float:
        self._outage.ended()
        self._tally.is_active = False
        self._stop_watching()
        self._systemd.ready()
        self._systemd.status("standby: another worker empties this mailbox")
        return _STANDBY_SECONDS

    def _wait_out(self, outage: Unavailable, *, progressed: bool = False) -> float:
        if self._has_changed:
            return 0.0
        self._systemd.status(f"waiting: {outage}")
        return self._outage.failed(outage, progressed=progressed)


def _status_of(report: PollReport) -> str:
    done = ", ".join(f"{count} {name}" for name, count in report.counts.items() if count) or "nothing new"
    return f"{report.backlog} waiting; last poll at {time.strftime('%H:%M:%S')}: {done}"


def _tell_of_idle(state: IdleState, text: str) -> None:
    """Losing this connection loses no mail: the poll says when the server is down."""
    if state is IdleState.ABSENT:
        structlog.get_logger().info(Event.MAILBOX_IDLE_MISSING, message=text)
    elif state is IdleState.FAILED:
        structlog.get_logger().warning(Event.MAILBOX_IDLE, state=state.value, message=text)
    else:
        structlog.get_logger().debug(Event.MAILBOX_IDLE, state=state.value, message=text)
