"""The header block, read one way only (RFC 5322 §2.2): every decision rests on what stands here."""

import re
from email.parser import HeaderParser

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
_SPACE_BEFORE_COLON = re.compile(rb"^([!-9;-~]+)[ \t]+:", re.MULTILINE)
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_PARSER = HeaderParser()


def read_head(raw: bytes, *, is_complete: bool = True) -> Head:
    """Read header fields, topmost first; never raises, whatever the octets.

    As in a mail server, only LF ends a line (a CR alone is a fault within its line, never the start of another field),
    ``From :`` is the obsolete spelling of ``From:`` (RFC 5322 §4.5.1), and a line that is no field ends the block.
    """
    most = MOST_OCTETS if raw.count(b"\n", 0, MOST_OCTETS) <= MOST_LINES else MOST_LINES
    parsed = _PARSER.parsestr(_plain_lines(raw[:most]).decode("utf-8", "replace"), headersonly=True)
    items = list(parsed.raw_items())
    fields = tuple(Field(name.lower(), _bounded(_unfolded(value))) for name, value in items[:MOST_FIELDS])
    return Head(fields, is_complete=is_complete and len(raw) <= most and len(items) <= MOST_FIELDS)


def _plain_lines(raw: bytes) -> bytes:
    """Mend what the standard library takes for the end of a line or of the block, and mail servers do not."""
    if raw.count(b"\r") != raw.count(b"\r\n"):
        raw = _BARE_CR.sub(_REPLACEMENT.encode(), raw)
    if b" :" in raw or b"\t:" in raw:
        raw = _SPACE_BEFORE_COLON.sub(rb"\1:", raw)
    return raw


def _unfolded(value: str) -> str:
    return _FOLD.sub("", value) if "\n" in value else value


def _bounded(value: str) -> str:
    """The mark at the end of what was cut is a fault wherever a fault matters (R12)."""
    return value if len(value) <= MOST_FIELD_CHARACTERS else value[:MOST_FIELD_CHARACTERS] + _REPLACEMENT
