"""Runs the work on a thread of its own, while the main thread takes signals, watches deadlines and talks to systemd."""

import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from types import TracebackType
from typing import NoReturn, Self, TypeVar

import structlog

from worker.logs import Event
from worker.poll import Watcher

EXIT_HUNG = 75
"""EX_TEMPFAIL of sysexits(3): try again."""

_STOP = frozenset({signal.SIGTERM, signal.SIGINT})
_RELOAD = signal.SIGHUP
_GRACE_SECONDS = 7.0
"""How long a stop waits for the batch in work; with what comes after, the whole stop takes less than ten seconds."""
_LAST_SECONDS = 2.0
_LATE_SECONDS = 30.0
"""A rest that lasts so much longer than announced is a failure of this program: systemd may restart it."""

T = TypeVar("T")


class Systemd:
    """Sends messages to systemd by its datagram protocol (sd_notify(3)); does nothing if systemd did not start us."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        # sd_watchdog_enabled(3) asks for two messages per interval. We send far more, so that systemd acts after a
        # whole interval without progress and not sooner: a poll that hangs ends by its own deadline, which is logged.
        self._pause = int(os.environ.get("WATCHDOG_USEC") or 0) / 40_000_000
        self._fed_at = 0.0
        self.is_ready = False
        """This process has reached all that it needs, at least once."""
        self._status = ""

    def ready(self) -> None:
        """Report that the start is complete; sent once."""
        if not self.is_ready:
            self.is_ready = True
            self._send("READY=1")

    def stopping(self) -> None:
        """Report that the stop has begun; progress is not reported from then on."""
        self._pause = 0.0
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def feed_watchdog(self) -> None:
        """Report progress; may be called at any rate."""
        now = time.monotonic()
        if self._pause and now - self._fed_at >= self._pause:
            self._fed_at = now
            self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(1)
            sender.sendto(text.encode(), self._address)


class Progress(Watcher):
    """When the work last made progress, or until when it rests. Written by the work, read by the main thread."""

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd
        self._last: float | None = None
        self._rests_until = float("inf")

    @property
    def seconds_still(self) -> float:
        """Seconds without progress; 0 while the work rests."""
        last = self._last
        return 0.0 if last is None else time.monotonic() - last

    @property
    def is_resting(self) -> bool:
        """Tell whether the work rests, and no longer than it announced."""
        return self._last is None and time.monotonic() < self._rests_until + _LATE_SECONDS

    def progress(self) -> None:
        """Note that the work has begun again, or that a batch is done."""
        self._last = time.monotonic()
        self._systemd.feed_watchdog()

    def rest(self, seconds: float = float("inf")) -> None:
        """Note that the work waits for so long, or does something that may take any time."""
        self._rests_until = time.monotonic() + seconds
        self._last = None


class _Signals:
    """While entered (on the main thread), signals do nothing but end a `wait`."""

    def __enter__(self) -> Self:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.settimeout(0)
        self._sender.settimeout(0)
        self._before = {number: signal.signal(number, lambda *_: None) for number in (*_STOP, _RELOAD)}
        self._wakeup_before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._sender.close()
        self._receiver.close()

    def wait(self, seconds: float) -> set[int]:
        """Return the signals that came, as soon as one does; an empty set after so many seconds."""
        readable, _, _ = select.select([self._receiver], [], [], seconds)
        return set(self._receiver.recv(4096)) if readable else set()

    def wake(self) -> None:
        """End a `wait` from another thread."""
        with suppress(OSError):
            self._sender.send(b"\0")


class Supervisor:
    """Supervises one piece of work: a poll, or the loop of the service."""

    def __init__(self, deadline_seconds: float) -> None:
        self.deadline_seconds = deadline_seconds
        self.systemd = Systemd()
        self.progress = Progress(self.systemd)
        self._signals = _Signals()

    def run(
        self,
        work: Callable[[], T],
        *,
        stop: Callable[[str], None],
        overdue: Callable[[], None],
        reload: Callable[[], None] = lambda: None,
    ) -> T:
        """Run ``work`` on another thread and return its result. On the main thread only.

        SIGTERM and SIGINT call ``stop`` with the signal's name, SIGHUP calls ``reload``. If the work does not end in
        time after ``stop``, then ``overdue`` is called and has to end the process. So does the supervisor itself if the
        work makes no progress for ``deadline_seconds``: a thread cannot be killed, and only a new process can go on.
        """
        result: Future[T] = Future()
        with self._signals:
            threading.Thread(target=self._work, args=(work, result), name="work", daemon=True).start()
            while not result.done():
                came = self._signals.wait(1.0)
                if number := min(came & _STOP, default=None):
                    self.systemd.stopping()
                    stop(signal.Signals(number).name)
                    break
                if _RELOAD in came:
                    reload()
                self._look_after()
            if not wait([result], _GRACE_SECONDS).done:
                overdue()
            return result.result()

    def _work(self, work: Callable[[], T], result: Future[T]) -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again on the main thread
            result.set_exception(error)
        finally:
            self._signals.wake()

    def _look_after(self) -> None:
        if (still := self.progress.seconds_still) > self.deadline_seconds:
            structlog.get_logger().error(Event.POLL_HUNG, seconds=round(still), deadline=self.deadline_seconds)
            end_process(EXIT_HUNG)
        if self.progress.is_resting:
            self.systemd.feed_watchdog()


def do_in_time(last: Callable[[], None]) -> None:
    """Do this last thing before `end_process`, for two seconds at most."""
    thread = threading.Thread(target=last, name="last", daemon=True)
    thread.start()
    thread.join(_LAST_SECONDS)


def end_process(code: int) -> NoReturn:
    """End the process at once. The next process does again what was not committed."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


_ALLOCATIONS = 50_000
"""Allocations between two searches for reference cycles, instead of 700: a batch is some ten thousand objects and has
hardly any cycle."""


def pace_collector() -> None:
    """Let Python search for reference cycles rarely, and never among what is loaded already. Call it once at the start.

    Without it a drain takes 8 % longer.
    """
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, *gc.get_threshold()[1:])
