"""Write and read UID sets of commands (RFC 9051, sequence-set)."""

from collections.abc import Collection, Iterator
from itertools import groupby

MOST_CHARACTERS = 6000
"""Longest set. Some servers drop the connection at a command of 16 KB; RFC 7162 §4 guarantees 8 KB."""


def uid_sets(uids: Collection[int], most_characters: int = MOST_CHARACTERS) -> Iterator[str]:
    """Write the UIDs as ranges, ascending, in as few sets as fit into commands."""
    held: list[str] = []
    length = 0
    for piece in _ranges(uids):
        if held and length + len(piece) + 1 > most_characters:
            yield ",".join(held)
            held, length = [], 0
        held.append(piece)
        length += len(piece) + 1
    if held:
        yield ",".join(held)


def members(uid_set: str) -> Iterator[int]:
    """Return the UIDs in a set, ascending as `uid_sets` writes them."""
    for piece in uid_set.split(","):
        first, _, last = piece.partition(":")
        yield from range(int(first), int(last or first) + 1)


def _ranges(uids: Collection[int]) -> Iterator[str]:
    for _, run in groupby(enumerate(sorted(set(uids))), key=lambda placed: placed[1] - placed[0]):
        consecutive = [uid for _, uid in run]
        first, last = consecutive[0], consecutive[-1]
        yield f"{first}:{last}" if last > first else str(first)
