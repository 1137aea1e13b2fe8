"""Text from strangers, made fit to show: one line without control characters, and without dropbox tokens (R1)."""

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


ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford base32, lower case: no i, l, o, u."""

LENGTH = 26
"""Characters: 130 bits. With a local part of up to 37 bytes and the plus it fits 64 bytes (RFC 5321 §4.5.3.1.1)."""

_TOKEN = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}")
PLUS = r"(?:\+|%(?:25)*2b|=2b|\uff0b)"
"""A plus sign as systems write it: itself, encoded for a URL (perhaps twice) or in quoted-printable, full-width."""
_TAG = re.compile(rf"({PLUS})([{ALPHABET}]{{{LENGTH}}}(?![{ALPHABET}])|[{ALPHABET}]{{6,{LENGTH}}}\Z)", re.IGNORECASE)
"""At the end of a text it may have been cut."""

_BARE = re.compile(rf"(?<![{ALPHABET}])[{ALPHABET}]{{{LENGTH}}}(?=\"?@)", re.IGNORECASE)
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[bq]\?[^?]*(?:\?=)?", re.IGNORECASE)
_RUN = re.compile(rf"[{ALPHABET}]{{{LENGTH},}}", re.IGNORECASE)


def is_token(tag: str) -> bool:
    """Tell whether a plus tag, in lower case, could be a token of ours."""
    return bool(_TOKEN.fullmatch(tag))


def masked(token: str) -> str:
    """Return what a log or a trace may show of a token: its first four characters."""
    return token[:4] + "…"


def without_tokens(text: str) -> str:
    """Return the text with every plus tag that looks like a token masked. Decisions and traces hold no whole token."""
    if "+" not in text and "2" not in text and "\uff0b" not in text:
        return text
    return _TAG.sub(lambda tag: tag[1] + masked(tag[2]), text)


def address_without_tokens(text: str) -> str:
    """Return an address with a token in its local part masked, whatever is in front of the token."""
    return _BARE.sub(lambda run: masked(run[0]), without_tokens(text))


def without_anything_like_tokens(text: str) -> str:
    """Return text of any spelling without encoded words, and with every run as long as a token masked."""
    return _RUN.sub(lambda run: masked(run[0]), _ENCODED_WORD.sub("…", text))


def has_run_like_token(text: str) -> bool:
    """Tell whether a text has as many letters and digits in a row as a token."""
    return bool(_RUN.search(text))
