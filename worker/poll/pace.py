"""How the interpreter is set while a poll has work: two threads share it, and objects come by the batch."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SWITCH_SECONDS = 0.0005
"""What the fetching thread waits for its turn after each read of the socket, and it reads twice a message; with
CPython's 5 ms the storing thread would keep it from fetching at all."""
_ALLOCATIONS = 10_000
"""Between two looks for cycles. A batch is some ten thousand objects and holds hardly any: looking for them at every
700 took a tenth of the time."""


@contextmanager
def at_work() -> Iterator[None]:
    """Until the end of the block; what the process was set to comes back."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()  # what was there before is not looked at again and again
    gc.set_threshold(_ALLOCATIONS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        sys.setswitchinterval(interval)
