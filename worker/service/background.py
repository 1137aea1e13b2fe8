"""Work beside the polls, each job on a thread of its own: it never delays a poll, and every wait in it has an end."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from worker.logs import Event

_STOP_SECONDS = 2.0
_BUG_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of background work.

    ``run`` does what is due, ends soon after its argument says so, and returns the seconds until it is due again.
    """

    name: str
    run: Callable[[Callable[[], bool]], float]


class Background:
    """Runs jobs from `start` to `stop`: while this worker is the one that empties the mailbox."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = tuple(jobs)
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
        for thread in self._threads.values():
            thread.join(_STOP_SECONDS)

    def _keep(self, job: Job) -> None:
        while not self._is_stopping:
            seen = self._wakes
            pause = self._run(job)
            self._wait(pause, seen)

    def _wait(self, seconds: float, seen: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or self._wakes > seen, seconds)

    def _run(self, job: Job) -> float:
        try:
            return job.run(lambda: self._is_stopping)
        except Exception as bug:  # noqa: BLE001 - logged; the job is tried again, and the polls go on
            structlog.get_logger().error(Event.SERVICE_FAILED, job=job.name, exc_info=bug)
            return _BUG_SECONDS
