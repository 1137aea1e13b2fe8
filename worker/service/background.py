"""Work beside the polls, each job on a thread of its own: it never delays a poll, and every wait in it has an end."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from worker.domain.errors import DropboxError
from worker.logs import Event
from worker.retries import Backoff

_STOP_SECONDS = 2.0
_BUG_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of background work.

    ``run`` does what is due, ends soon after its argument says so, and returns the seconds until it is due again. It
    raises a `DropboxError` when something outside is down. It then runs again after a growing pause, which `wake` does
    not end.
    """

    name: str
    run: Callable[[Callable[[], bool]], float]
    backoff: Backoff = field(default_factory=Backoff)
    is_woken: bool = True
    """`wake` lets it run before it is due."""


class Background:
    """Runs jobs from `start` to `stop`."""

    def __init__(self, *jobs: Job) -> None:
        self._jobs = jobs
        self._threads: dict[str, threading.Thread] = {}
        self._changed = threading.Condition()
        self._is_stopping = False
        self._wakes = 0

    def start(self) -> None:
        """Start each job that does not run. A job that was left behind by `stop` goes on in its old thread."""
        self._is_stopping = False
        for job in self._jobs:
            before = self._threads.get(job.name)
            if before is None or not before.is_alive():
                thread = threading.Thread(target=self._keep, args=(job,), name=job.name, daemon=True)
                self._threads[job.name] = thread
                thread.start()

    def wake(self) -> None:
        """Let every job run now, or once more after its present run: there may be something to do."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """End all jobs. One that does not end within two seconds is left behind, and ends with its present step."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        until = time.monotonic() + _STOP_SECONDS
        for thread in self._threads.values():
            thread.join(max(0.0, until - time.monotonic()))

    def _keep(self, job: Job) -> None:
        while not self._is_stopping:
            seen = self._wakes
            try:
                pause = job.run(lambda: self._is_stopping)
                job.backoff.reset()
                self._wait(pause, seen if job.is_woken else None)
            except DropboxError:  # the job or the poll has logged it
                self._wait(job.backoff.pause())
            except Exception as bug:  # noqa: BLE001 - logged; the job is tried again, and the polls go on
                structlog.get_logger().error(Event.SERVICE_FAILED, job=job.name, exc_info=bug)
                self._wait(_BUG_SECONDS, seen)

    def _wait(self, seconds: float, seen: int | None = None) -> None:
        """Wait; not so long if the service stops, or if jobs were woken since ``seen``."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or (seen is not None and self._wakes > seen), seconds)
