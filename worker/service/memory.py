"""How the C library keeps memory: in few places, and large pieces are given back at once."""

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE = 1024 * 1024
_ARENAS = 2
"""The threads that fetch and that store. By default each thread has its own, and each keeps what it once needed."""


def keep_little() -> None:
    """Have each piece of a megabyte or more be mapped by itself (mallopt(3)), so that it goes when it is freed.

    Left to itself glibc moves that threshold up to 32 MB with the first large mail, whose copies then leave holes that
    stay. A C library without that has its own way. To be called before there are threads.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_ARENA_MAX, _ARENAS)
