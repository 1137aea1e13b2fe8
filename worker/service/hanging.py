"""A poll that makes no progress ends with its process: nothing but a new one can go on (a thread cannot be killed)."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import structlog

from worker.bootstrap import LoggingWatcher
from worker.logs import Event

EXIT_HUNG = 75
"""EX_TEMPFAIL of sysexits(3): try again."""


def end_process(code: int) -> NoReturn:
    """At once, whatever threads do. What was not committed is done again by the next process."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def end_hung(seconds: float, deadline: float) -> NoReturn:
    """Say that the poll hangs, and end the process."""
    structlog.get_logger().error(Event.POLL_HUNG, seconds=round(seconds), deadline=deadline)
    end_process(EXIT_HUNG)


class Progress:
    """When the poll that runs made the last progress: however long it takes, with that it does not hang.

    Written by the thread that works, read by the one that watches it.
    """

    def __init__(self) -> None:
        self._last: float | None = None

    @property
    def seconds_ago(self) -> float:
        """0 between polls."""
        last = self._last
        return 0.0 if last is None else time.monotonic() - last

    def made(self) -> None:
        """A poll has begun, or a batch of it is done."""
        self._last = time.monotonic()

    def over(self) -> None:
        """No poll is running."""
        self._last = None


class Deadline(LoggingWatcher):
    """Ends the process when a poll made no progress for so many seconds. For one poll on the main thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._progress = Progress()

    def progress(self) -> None:
        """A batch is done."""
        self._progress.made()

    def pause(self) -> None:
        """What is done now may take any time, until the next progress."""
        self._progress.over()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch while this block runs."""
        is_over = threading.Event()
        self._progress.made()
        threading.Thread(target=self._watch, args=(is_over,), name="deadline", daemon=True).start()
        try:
            yield
        finally:
            is_over.set()

    def _watch(self, is_over: threading.Event) -> None:
        while not is_over.wait(max(0.0, self._seconds - self._progress.seconds_ago)):
            if (still := self._progress.seconds_ago) >= self._seconds:
                end_hung(still, self._seconds)
