"""Tunes the memory and the interpreter of this process."""

import ctypes
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

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
