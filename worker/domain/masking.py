"""What may be shown of a dropbox token (R1): never the whole of it, wherever a text or a `repr` might carry one."""

import re

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford base32, lower case: no i, l, o, u."""

LENGTH = 26
"""130 bits; with a local part of up to 37 octets and the plus sign it fits the 64 octets of RFC 5321 §4.5.3.1.1."""

_TOKEN = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}")
_TAG = re.compile(rf"(?<=\+)(?:[{ALPHABET}]{{{LENGTH}}}(?![{ALPHABET}])|[{ALPHABET}]{{6,{LENGTH}}}\Z)", re.IGNORECASE)
"""At the end of a text it may have been cut."""

_ENCODED_WORD = re.compile(r"=\?[^?]*\?[bq]\?[^?]*(?:\?=)?", re.IGNORECASE)
_RUN = re.compile(rf"[{ALPHABET}]{{{LENGTH},}}", re.IGNORECASE)


def is_token(tag: str) -> bool:
    """Whether a plus tag, in lower case, could be a token of ours."""
    return bool(_TOKEN.fullmatch(tag))


def masked(token: str) -> str:
    """What a log or a trace may show of a token: its first four characters."""
    return token[:4] + "…"


def without_tokens(text: str) -> str:
    """The text with every plus tag that looks like a token masked: decisions and traces never hold a whole one."""
    return _TAG.sub(lambda tag: masked(tag[0]), text) if "+" in text else text


def without_anything_like_tokens(text: str) -> str:
    """The same for text that may be written in whatever way: no encoded word, and no run as long as a token."""
    return _RUN.sub(lambda run: masked(run[0]), _ENCODED_WORD.sub("…", text))
