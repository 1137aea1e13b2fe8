"""How the C library keeps memory: large pieces are given back at once."""

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD = -3
_LARGE = 1024 * 1024


def give_large_pieces_back() -> None:
    """Have each piece of a megabyte or more be mapped by itself (mallopt(3)), so that it goes when it is freed.

    Left to itself glibc moves that threshold up to 32 MB with the first large mail, whose copies then leave holes that
    stay. A C library without that has its own way.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
