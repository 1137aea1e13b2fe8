"""The header block, read one way only (RFC 5322 §2.2): every decision rests on what stands here."""

import re
from collections.abc import Iterator
from itertools import islice

from worker.domain.messages import Field, Head

MOST_OCTETS = 4 * 1024 * 1024
"""Of one header block; what follows is not read."""
MOST_LINES = 200_000
"""Of one header block; with more, only as many octets are read."""
MOST_FIELDS = 2000
"""Of one header block."""
MOST_FIELD_CHARACTERS = 256 * 1024
"""Of one field's value: room for a few thousand recipients."""

_REPLACEMENT = "\ufffd"
_BARE_CR = re.compile(rb"\r(?!\n)")
_FIELD = re.compile(r"([!-9;-~]*)[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)\n?")
_PASSED_OVER = re.compile(r"(?:From |[ \t])[^\n]*(?:\n[ \t][^\n]*)*\n?")
"""An mbox separator that some delivery agents leave in, and a first line that continues nothing."""


def read_head(raw: bytes, *, is_complete: bool = True) -> Head:
    """Read header fields, topmost first; never raises, whatever the octets.

    As in a mail server, only LF ends a line (a CR alone is a fault within its line, never the start of another field),
    ``From :`` is the obsolete spelling of ``From:`` (RFC 5322 §4.5.1), and a line that is no field ends the block.
    """
    most = MOST_OCTETS if raw.count(b"\n", 0, MOST_OCTETS) <= MOST_LINES else MOST_LINES
    block = raw[:most]
    if block.count(b"\r") != block.count(b"\r\n"):
        block = _BARE_CR.sub(_REPLACEMENT.encode(), block)
    fields = tuple(islice(_fields(block.decode("utf-8", "replace")), MOST_FIELDS + 1))
    is_whole = len(raw) <= most and len(fields) <= MOST_FIELDS
    return Head(fields[:MOST_FIELDS], is_complete=is_complete and is_whole)


def _fields(text: str) -> Iterator[Field]:
    position = 0
    while True:
        if found := _FIELD.match(text, position):
            name, value = found.groups()
            if name:
                yield Field(name.lower(), _bounded(_unfolded(value)))
        elif not (found := _PASSED_OVER.match(text, position)):
            return
        position = found.end()


def _unfolded(value: str) -> str:
    """RFC 5322 §2.2.3: what goes is the end of the line, the white space after it stays."""
    value = value.rstrip("\r")
    return value.replace("\r\n", "").replace("\n", "") if "\n" in value else value


def _bounded(value: str) -> str:
    """The mark at the end of what was cut is a fault wherever a fault matters (R12)."""
    return value if len(value) <= MOST_FIELD_CHARACTERS else value[:MOST_FIELD_CHARACTERS] + _REPLACEMENT
