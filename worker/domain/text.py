"""Cleans text from strangers for a database column, a log line or a terminal."""

import re

_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]+"
)

_ASCII_CONTROLS = dict.fromkeys([*range(0x20), 0x7F], " ")


def clean(text: str, most: int = 998) -> str:
    """Return one line of at most ``most`` characters, without controls, bidi and zero-width characters, surrogates.

    With ANSI escapes, NUL and bidi overrides a subject attacks a terminal, PostgreSQL or a reader's eye.
    """
    if " " not in text and text.isascii() and text.isprintable():  # an address, an identifier
        return text[:most]
    found = _fit(text[: most + most // 4])
    if len(found) < most < len(text):  # much of it was unfit
        found = _fit(text[: most * 4])
    return found[:most]


def _fit(text: str) -> str:
    # An unfit character is never printable. For ASCII, a table is ten times as fast as the pattern.
    if not text.isprintable():
        text = text.translate(_ASCII_CONTROLS) if text.isascii() else _UNFIT.sub(" ", text)
    return " ".join(text.split())
