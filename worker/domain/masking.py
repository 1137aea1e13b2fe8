"""Masks dropbox tokens in every text that is stored, logged or shown (R1)."""

import re

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford base32, lower case: no i, l, o, u."""

LENGTH = 26
"""Characters: 130 bits. With a local part of up to 37 bytes and the plus it fits 64 bytes (RFC 5321 §4.5.3.1.1)."""

_TOKEN = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}")
_TAG = re.compile(rf"(?<=\+)(?:[{ALPHABET}]{{{LENGTH}}}(?![{ALPHABET}])|[{ALPHABET}]{{6,{LENGTH}}}\Z)", re.IGNORECASE)
"""Matches a shorter tag at the end of a text, because the text may have been cut."""

_ENCODED_WORD = re.compile(r"=\?[^?]*\?[bq]\?[^?]*(?:\?=)?", re.IGNORECASE)
_RUN = re.compile(rf"[{ALPHABET}]{{{LENGTH},}}", re.IGNORECASE)


def is_token(tag: str) -> bool:
    """Return True when a lower-case plus tag has the form of a token."""
    return bool(_TOKEN.fullmatch(tag))


def masked(token: str) -> str:
    """Return the part of a token that a log or a trace may show: its first four characters."""
    return token[:4] + "…"


def without_tokens(text: str) -> str:
    """Mask every plus tag that has the form of a token; decisions and traces never hold a whole token."""
    return _TAG.sub(lambda tag: masked(tag[0]), text) if "+" in text else text


def without_anything_like_tokens(text: str) -> str:
    """Mask encoded words and every run of letters as long as a token, for text in an unknown encoding."""
    return _RUN.sub(lambda run: masked(run[0]), _ENCODED_WORD.sub("…", text))
