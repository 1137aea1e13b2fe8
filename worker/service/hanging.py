"""A poll that hangs ends with its process: nothing but a new one can go on (a thread cannot be killed)."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import structlog

from worker.logs import Event
from worker.wiring import LoggingWatcher

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


class Deadline(LoggingWatcher):
    """Ends the process when a poll made no progress for so many seconds. For one poll on the main thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._progressed = time.monotonic()

    def progress(self) -> None:
        """A batch is done."""
        self._progressed = time.monotonic()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch while this block runs."""
        is_over = threading.Event()
        self.progress()
        threading.Thread(target=self._watch, args=(is_over,), name="deadline", daemon=True).start()
        try:
            yield
        finally:
            is_over.set()

    def _watch(self, is_over: threading.Event) -> None:
        while not is_over.wait(max(0.0, self._progressed + self._seconds - time.monotonic())):
            if (still := time.monotonic() - self._progressed) >= self._seconds:
                end_hung(still, self._seconds)
