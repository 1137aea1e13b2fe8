"""The header block (RFC 5322 §2.2), read in one way only: every decision rests on what it says."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from worker.domain.messages import Field, Head

MOST_OCTETS = 4 * 1024 * 1024
"""Bytes of one header block that are read."""
MOST_LINES = 200_000
"""Lines of one header block. In a block with more, only as many bytes are read."""
MOST_FIELDS = 2000
"""Fields of one header block that are read."""
MOST_FIELD_CHARACTERS = 256 * 1024
"""Characters of one field's value: room for a few thousand recipients."""

_FAULT = "\x1a"
"""SUB, the control character for an error. It makes an address invalid (R12), and is never shown."""
_QUESTION_IN_UTF8 = "\ufffd".encode().decode("cp1252")
"""U+FFFD that the sender wrote: such bytes are UTF-8."""
_END_OF_FIELD = re.compile(r"\n(?![ \t])")
_NAME = re.compile(r"([!-9;-~]*)[ \t]*")
_LONGEST_NAME_KEPT = 40
_PASSED_OVER = ("From ", " ", "\t")
"""Starts of lines that are ignored: an mbox separator that some servers leave in, and a folded first line."""


def read_head(raw: bytes, *, is_complete: bool = True) -> Head:
    """Read header fields, topmost first; never raises, whatever the bytes.

    As in a mail server, only LF ends a line: a CR alone is a fault within its line, never the start of another field.
    ``From :`` is the obsolete spelling of ``From:`` (RFC 5322 §4.5.1). A line that is no field ends the block.
    """
    most = MOST_OCTETS if raw.count(b"\n", 0, MOST_OCTETS) <= MOST_LINES else MOST_LINES
    block = raw[:most].replace(b"\r\n", b"\n").replace(b"\r", _FAULT.encode())
    text = block.decode("utf-8", "replace")
    fields, is_whole = _read_fields(text)
    if "\ufffd" in text:
        guesses, _ = _read_fields(block.decode("cp1252", "replace"))
        fields = [_with_guess(*pair) for pair in zip(fields, guesses, strict=True)]
    return Head(tuple(fields), is_complete=is_complete and is_whole and len(raw) <= most)


def _read_fields(block: str) -> tuple[list[Field], bool]:
    """Return the fields, and whether these are all."""
    lines = _END_OF_FIELD.split(block, MOST_FIELDS + 1)  # the last one is what stands behind the last end
    return list(_fields(lines[:MOST_FIELDS])), len(lines) <= MOST_FIELDS + 1


def _with_guess(field: Field, guess: Field) -> Field:
    is_broken = "\ufffd" in field.value and _QUESTION_IN_UTF8 not in guess.value
    return field._replace(guess=guess.value) if is_broken else field


def _fields(lines: Iterable[str]) -> Iterator[Field]:
    for line in lines:
        stated, colon, value = line.partition(":")
        name = (_kept_name if len(stated) <= _LONGEST_NAME_KEPT else _name)(stated) if colon else None
        if name:
            yield Field(name, _unfolded(value.lstrip(" \t")))
        elif name is None and not line.startswith(_PASSED_OVER):
            return


def _name(stated: str) -> str | None:
    """Return the name in lower case, or None if it cannot be the name of a field."""
    found = _NAME.fullmatch(stated)
    return found[1].lower() if found else None


_kept_name = lru_cache(maxsize=1024)(_name)
"""Mail has the same few dozen names again and again."""


def _unfolded(value: str) -> str:
    """Drop the ends of lines, not the white space after them (RFC 5322 §2.2.3). A cut value ends in a fault."""
    value = value.replace("\n", "")
    return value if len(value) <= MOST_FIELD_CHARACTERS else value[:MOST_FIELD_CHARACTERS] + _FAULT
