"""How the interpreter is set while a poll has work: two threads share it, and objects come by the batch."""

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SWITCH_SECONDS = 0.02
"""How long a thread may keep another one waiting. A change of hands costs some 30 µs, and at CPython's 5 ms there are
two of them a message; either thread gives way by itself whenever it waits for the server or the database."""
_ALLOCATIONS = 50_000
"""Between two looks for cycles. A batch is some ten thousand objects and holds hardly any: looking for them at every
700 took a tenth of the time."""


_lock = threading.Lock()
_working: list[tuple[float, tuple[int, int, int]]] = []
"""What the process was set to, once for each poll that is at work in it."""


@contextmanager
def at_work() -> Iterator[None]:
    """Until the end of the block; with the last of several polls, what the process was set to comes back."""
    with _lock:
        _working.append(_working[0] if _working else (sys.getswitchinterval(), gc.get_threshold()))
        sys.setswitchinterval(_SWITCH_SECONDS)
        gc.freeze()  # what was there before is not looked at again and again
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
