"""The name of a person, out of the display name that a mail gives a recipient (R17)."""

import re
from dataclasses import dataclass

from worker.domain.masking import without_tokens
from worker.domain.text import clean

_LONGEST = 120
"""Characters of a display name; a longer one is no person's."""
_URL = re.compile(
    r"(?i)\b(?:[a-z][a-z0-9+.-]*://|www\.|mailto:)|[a-z0-9]\.(?:[a-z]{2,12}/|(?:com|net|org|info|biz|io|xyz|top|ru|cn)\b)"
)
# fmt: off
_PARTICLES = frozenset(
    (
        "af", "al", "bin", "da", "das", "de", "del", "della", "der", "di", "do", "dos", "du", "el", "ibn", "la", "las",
        "le", "los", "na", "nic", "of", "op", "ten", "ter", "van", "vom", "von", "y", "zu", "zum", "zur",
    )
)
"""Words in lower case that belong to the last name behind them."""
_NO_FIRST_NAMES = frozenset(
    (
        "ag", "bv", "co", "corp", "dds", "esq", "gbr", "gmbh", "ii", "iii", "inc", "iv", "jr", "kg", "llc", "llp",
        "ltd", "mba", "md", "oy", "phd", "plc", "sa", "sarl", "sas", "spa", "sr", "srl",
    )
)
"""What stands behind a comma and is part of the name before it."""
# fmt: on


@dataclass(frozen=True, slots=True)
class PersonName:
    """A last name, and a first name where there is one."""

    last: str
    first: str = ""


def person_name(decoded: str) -> PersonName | None:
    """Return the name that a decoded display name holds; None where it is missing or is no name.

    A name with ``@``, a URL or control characters is made to mislead or is an address, and is not used.
    """
    text = " ".join(decoded.split(" ")).strip(" ,;'\"")
    if not text or len(text) > _LONGEST or not text.isprintable() or clean(text) != " ".join(text.split()):
        return None
    if "@" in text or _URL.search(text) or without_tokens(text) != text or not any(map(str.isalpha, text)):
        return None
    return _in_order(" ".join(text.split()))


def _in_order(name: str) -> PersonName:
    last, comma, first = (part.strip() for part in name.partition(","))
    if comma and last and first and not _NO_FIRST_NAMES.intersection(_bare_words(first)):
        return PersonName(last, first)
    words = name.split(" ") if not comma else last.split(" ")
    begin = len(words) - 1
    while begin > 1 and words[begin - 1] in _PARTICLES:
        begin -= 1
    behind = name[len(last) :] if comma else ""
    return PersonName(" ".join(words[begin:]) + behind, " ".join(words[:begin]))


def _bare_words(text: str) -> list[str]:
    return [word.strip(".").replace(".", "").lower() for word in text.replace(",", " ").split()]
