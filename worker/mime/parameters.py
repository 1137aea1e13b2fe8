"""Parameters of a MIME field (RFC 2045 §5.1, RFC 2231): the file name and the charset of a part."""

import re
from email.message import Message
from typing import Any

from worker.domain.text import decode, decode_words

_MOST = 4096
"""Characters of a field. The standard library takes time by the square of its length."""
_PLAIN_NAME = re.compile(
    r"\s*+(?:attachment|inline)\s*+;\s*+filename=(?:\"([^\"\\=?%;\x7f-\U0010ffff]++)\"|([\w.-]++))\s*+;?\s*+",
    re.ASCII | re.IGNORECASE,
)
"""A Content-Disposition as most programs write it."""


_PLAIN_CHARSET = re.compile(r";\s*+charset=\"?([\w.:-]++)\"?\s*+(?:;|\Z)", re.ASCII | re.IGNORECASE)


def file_name(disposition: str, content_type: str) -> str:
    """Return the file name of a part, decoded; an empty string if it has none."""
    if disposition:
        if plain := _PLAIN_NAME.fullmatch(disposition):
            return plain[1] or plain[2]
        if name := _parameter(disposition, "filename"):
            return name
    return _parameter(content_type, "name")


def charset_of(content_type: str) -> str:
    """Return the label of the charset, or an empty string."""
    plain = _PLAIN_CHARSET.search(content_type)
    return plain[1] if plain else _parameter(content_type, "charset")


def _parameter(value: str, name: str) -> str:
    """Return a parameter of a field's value, decoded, or an empty string. ``name`` is in lower case."""
    if name not in value.lower():
        return ""
    field: Message[str, str] = Message()
    field["X"] = " ".join(value[:_MOST].splitlines())
    stated: list[Any] = [each for key, each in field.get_params([], "X") if key.lower() == name]
    for each in stated:
        if isinstance(each, tuple):  # RFC 2231: charset, language, bytes as Latin-1. It goes before a plain one.
            charset, _, text = each
            return decode(text.encode("latin-1", "replace"), charset or "")
    return decode_words(stated[0].strip('"')) if stated else ""
