"""The header block, read one way only (RFC 5322 §2.2): every decision rests on what stands here."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from worker.domain.messages import Field, Head

MOST_OCTETS = 4 * 1024 * 1024
"""Of one header block; what follows is not read."""
MOST_LINES = 200_000
"""Of one header block; with more, only as many octets are read."""
MOST_FIELDS = 2000
"""Of one header block."""
MOST_FIELD_CHARACTERS = 256 * 1024
"""Of one field's value: room for a few thousand recipients."""

_FAULT = "\x1a"
"""SUB, the control character for what is in error: it is a fault wherever a fault matters (R12), and is never shown."""
_END_OF_FIELD = re.compile(r"\n(?![ \t])")
_NAME = re.compile(r"([!-9;-~]*)[ \t]*")
_LONGEST_NAME_KEPT = 40
_PASSED_OVER = ("From ", " ", "\t")
"""An mbox separator that some delivery agents leave in, and a first line that continues nothing."""


def read_head(raw: bytes, *, is_complete: bool = True) -> Head:
    """Read header fields, topmost first; never raises, whatever the octets.

    As in a mail server, only LF ends a line (a CR alone is a fault within its line, never the start of another field),
    ``From :`` is the obsolete spelling of ``From:`` (RFC 5322 §4.5.1), and a line that is no field ends the block.
    """
    most = MOST_OCTETS if raw.count(b"\n", 0, MOST_OCTETS) <= MOST_LINES else MOST_LINES
    block = raw[:most].replace(b"\r\n", b"\n").replace(b"\r", _FAULT.encode())
    lines = _END_OF_FIELD.split(block.decode("utf-8", "replace"), MOST_FIELDS + 1)
    is_whole = len(raw) <= most and len(lines) <= MOST_FIELDS + 1  # the last one is what stands behind the last end
    return Head(tuple(_fields(lines[:MOST_FIELDS])), is_complete=is_complete and is_whole)


def _fields(lines: Iterable[str]) -> Iterator[Field]:
    for line in lines:
        stated, colon, value = line.partition(":")
        name = (_kept_name if len(stated) <= _LONGEST_NAME_KEPT else _name)(stated) if colon else None
        if name:
            yield Field(name, _unfolded(value.lstrip(" \t")))
        elif name is None and not line.startswith(_PASSED_OVER):
            return


def _name(stated: str) -> str | None:
    """In lower case; None if it cannot be the name of a field."""
    found = _NAME.fullmatch(stated)
    return found[1].lower() if found else None


_kept_name = lru_cache(maxsize=1024)(_name)
"""Mail has the same few dozen names again and again."""


def _unfolded(value: str) -> str:
    """RFC 5322 §2.2.3: the end of the line goes, the white space after it stays. What is cut ends in a fault."""
    value = value.replace("\n", "")
    return value if len(value) <= MOST_FIELD_CHARACTERS else value[:MOST_FIELD_CHARACTERS] + _FAULT
