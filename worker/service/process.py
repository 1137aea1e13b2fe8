"""This process: how its memory and its interpreter are tuned, and what it has done since it began."""

import ctypes
import gc
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from worker.domain.outcomes import Outcome
from worker.domain.verdicts import Filing
from worker.poll import Watcher

BOUNDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 180.0)
"""Seconds from arrival to association that are told apart; the last is R22's limit."""

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE = 1024 * 1024
_ARENAS = 2
"""One for each thread that fetches or files. By default each thread has its own, which keeps all it ever needed."""

_SWITCH_SECONDS = 0.02
"""How long a thread may keep another one waiting for the interpreter. A switch costs about 30 µs; with CPython's 5 ms
there are two per message. A thread gives way anyway whenever it waits for the mail server or the database."""

_ALLOCATIONS = 50_000
"""Allocations between two searches for reference cycles. A batch is some ten thousand objects and has hardly any cycle;
a search every 700 allocations took a tenth of the time."""

_lock = threading.Lock()
_working: list[tuple[float, tuple[int, int, int]]] = []
"""The settings before, once for each poll that runs in this process."""


def keep_little() -> None:
    """Let the C library map each piece of a megabyte or more by itself (mallopt(3)), so that it is returned when freed.

    By default glibc raises that threshold to 32 MB after the first large mail, whose copies then leave holes in the
    heap. C libraries without mallopt are left alone. Call this before there are threads.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_ARENA_MAX, _ARENAS)


@contextmanager
def at_work() -> Iterator[None]:
    """Tune the interpreter for a poll; when the last of several polls ends, restore what was set before."""
    with _lock:
        _working.append(_working[0] if _working else (sys.getswitchinterval(), gc.get_threshold()))
        sys.setswitchinterval(_SWITCH_SECONDS)
        gc.freeze()  # objects from before the poll are not searched again and again
        gc.set_threshold(_ALLOCATIONS, *gc.get_threshold()[1:])
    try:
        yield
    finally:
        with _lock:
            interval, thresholds = _working.pop()
            if not _working:
                gc.set_threshold(*thresholds)
                gc.unfreeze()
                sys.setswitchinterval(interval)


class Tally(Watcher):
    """Counts what this process has done since it began. Written by the thread that works, read by others."""

    def __init__(self) -> None:
        self.is_active = False
        """Whether this worker empties the mailbox; if not, another one does."""
        self._ends: Counter[tuple[str, str]] = Counter()
        self._within: Counter[float] = Counter()
        self._seconds = 0.0

    def filed(self, filing: Filing, seconds: float) -> None:
        """Count one message that was committed."""
        verdict = filing.deciding
        self._ends[verdict.outcome.value, verdict.reason.value if verdict.reason else ""] += 1
        if verdict.outcome is Outcome.ASSOCIATED:
            self._within[next((bound for bound in BOUNDS if seconds <= bound), float("inf"))] += 1
            self._seconds += seconds

    @property
    def ends(self) -> dict[tuple[str, str], int]:
        """Messages by outcome and reason."""
        return dict(self._ends)

    @property
    def seconds(self) -> float:
        """Seconds from arrival to association, of all associated messages together."""
        return self._seconds

    def within(self) -> list[tuple[float, int]]:
        """Return how many associated messages took no longer than each bound, infinity included."""
        counts = dict(self._within)
        total = 0
        steps = []
        for bound in (*BOUNDS, float("inf")):
            total += counts.get(bound, 0)
            steps.append((bound, total))
        return steps
