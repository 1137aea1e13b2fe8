"""The forms that one line around a forwarded mail can have: label, separator, attribution, addresses."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from worker.domain.addresses import Address, NotAnAddress
from worker.filing.forward_words import Kind, key_of, labels, separators, wrote

MOST_CHARACTERS = 128 * 1024
"""How much of a text is read: the block stands below the owner's own words, which are shorter."""
MOST_LINES = 3000
_MOST_LINE = 4000
_CUT = " @"
"""Ends a line that was cut: no address, so that a From that ends in it is unreadable."""
_MOST_RECIPIENTS = 200
_LONGEST_LABEL = 40
_LONGEST_SEPARATOR = 200

_INVISIBLE = [0x061C, 0xFEFF, 0x00AD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0x0D]
_SPACES = [0x09, 0x0B, 0x0C, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]
_ALIKE = {
    **dict.fromkeys(_INVISIBLE),
    **dict.fromkeys(_SPACES, " "),
    **dict.fromkeys([0x2028, 0x2029], "\n"),
    **str.maketrans("\uff1a\uff1c\uff1e\uff1b", ":<>;"),  # full-width
}
_QUOTE = re.compile(r"(?: {0,3}>)+")
_DASHES = "-=_*\u2010\u2011\u2012\u2013\u2014\u2015\u2500"
_SEPARATOR = re.compile(rf"[{_DASHES}]{{2,}} *([^{_DASHES} ].*?)(?: *[{_DASHES}]{{2,}} *|\Z)")
RULE = re.compile("[-_\u2014\u2500]{10,}")
_ADDRESS = re.compile(r"(?:[^\s<>\[\]()\"',;:*|@]|(?<=\w)'(?=\w)){1,64}@[^\s<>\[\]()\"',;:*|@]{1,255}")
_OPENING = ("<", "[", "(", "'", '"', "*")
_BARE_LOCAL = re.compile(r"[A-Za-z0-9._+'-]+")
"""The local part of an address without brackets. Any other character may glue a name to it, like ``Jane/jane@…``."""
_MAILTO = re.compile("mailto:", re.IGNORECASE)
_NO_NAME = re.compile(r"[\s<>\[\]()'\"*;,]*")
BRACKETED = re.compile(r"[<\[(] ?(?:mailto:)?[^<>\[\]()\s@]{1,64}@[^<>\[\]()\s@]{1,255} ?[>\])]")
_RELAYED = re.compile(
    r"(?<=[ (\[])(?:via|über|im auftrag|a través de|através de|par l'intermédiaire de|tramite|через|przez"
    r"|prostřednictvím|on behalf of|de la part de|en nombre de|em nome de|per conto di|namens|w imieniu|от имени) \S"
    r"|经由|經由|通过|透過|経由|통해|arac\u0131l\u0131ğ\u0131yla|kautta",
    re.IGNORECASE,
)
"""A name like "'Jane Doe' via Sales": a mailing list or a service wrote its own address over Jane's."""
_MOMENT = re.compile(r"\d{1,2}[:.h]\d{2}|\d{4}|\d{1,2} ?[./-] ?\d{1,2}|\d{1,2}[月월]")


class Line(NamedTuple):
    """One line of a text without the signs of quotation."""

    depth: int
    """How often the line is quoted."""
    text: str


class Label(NamedTuple):
    """A header line: the fields that its label may name, by language, and its value."""

    key: str
    kinds: dict[Kind, frozenset[str]]
    value: str


def lines_of(text: str) -> list[Line]:
    """Return the first lines of a text, with one kind of space, colon and line end."""
    shown = text[:MOST_CHARACTERS].translate(_ALIKE)
    if len(text) > MOST_CHARACTERS:
        shown += _CUT
    return [_line(line) for line in shown.split("\n", MOST_LINES)[:MOST_LINES]]


def _line(line: str) -> Line:
    if len(line) > _MOST_LINE:
        line = line[:_MOST_LINE] + _CUT
    quote = _QUOTE.match(line)
    if quote is None:
        return Line(0, line.strip())
    return Line(quote[0].count(">"), line[quote.end() :].strip())


def label_in(text: str) -> Label | None:
    """Read ``From: Jane``, ``*From:* Jane`` and ``De : Jane``."""
    stated, colon, value = text.lstrip("*_ ").partition(":")
    if not colon or len(stated) > _LONGEST_LABEL:
        return None
    key = key_of(stated.rstrip("*_ ."))
    kinds = labels().get(key)
    return Label(key, kinds, value.strip("* ")) if kinds else None


def separator_in(text: str) -> tuple[bool, str] | None:
    """Return whether only a forward has this separator, and what follows on its line."""
    if text.endswith(":") and (known := separators().get(key_of(text.strip("* :")))) is not None:
        return known, ""
    found = _SEPARATOR.match(text[:_LONGEST_SEPARATOR])
    if found is None:
        return None
    key, rest = key_of(found[1].strip(" *:")), text[found.end() :]
    known = separators().get(key)
    if known is None and ("@" in found[1] or _MOMENT.search(found[1])):  # "Forwarded message from Jane <…>"
        known = any(key.startswith(each) for each, is_forward in separators().items() if is_forward) or None
    if known is None:
        return None
    return known, "" if key_of(rest.strip(_DASHES + " ")) in separators() else rest


def is_phrase_of_forward(text: str) -> bool:
    """Tell whether a line is what The Bat! writes right above the header lines, without any dashes."""
    return separators().get(key_of(text.strip("* .:")), False)


def is_attribution(text: str) -> bool:
    """Tell whether a text that ends in a colon says who wrote what is quoted below it, and when."""
    verb = wrote().search(text) is not None
    return (verb and "@" in text) or ((verb or bool(BRACKETED.search(text))) and bool(_MOMENT.search(text)))


def mailbox_in(text: str) -> Address | None:
    """Read a From: a name or none, then one address, which clients may write several times and in any brackets."""
    addresses = addresses_in(text)
    if len(set(addresses)) != 1:
        return None
    name, *others = _ADDRESS.split(_MAILTO.sub("", text))
    if set("<>;") & set(name.rstrip("<[('\" ")) or _RELAYED.search(name) or not _is_apart(name, addresses[0]):
        return None
    return addresses[0] if all(_NO_NAME.fullmatch(other) for other in others) else None


def _is_apart(name: str, address: Address) -> bool:
    """Tell whether the address begins where the name ends: neither is glued to the other, nor folded within a word."""
    shown = name.rstrip(" ")
    return shown.endswith(_OPENING) or (
        bool(_BARE_LOCAL.fullmatch(address.local)) and not shown.endswith((".", "-", "_", "+"))
    )


def name_in(text: str) -> str:
    """Return the name in front of the address in a From, as the client shows it."""
    return _ADDRESS.split(_MAILTO.sub("", text))[0].strip("<[('\" *")


def mailboxes_in(values: Sequence[str]) -> tuple[Address, ...] | None:
    """Read To and Cc; None where an entry has no address."""
    found: dict[Address, None] = {}
    for entry in (entry for value in values for entry in value.split(";") if not _NO_NAME.fullmatch(entry)):
        addresses = addresses_in(entry)
        _, *between = _ADDRESS.split(_MAILTO.sub("", entry))
        if not addresses or not _NO_NAME.fullmatch(between.pop()):
            return None
        if not all("," in text or _NO_NAME.fullmatch(text) for text in between):
            return None  # words between two addresses: a line of the text below was taken for a folded one
        found.update(dict.fromkeys(addresses))
    return tuple(found) if 0 < len(found) <= _MOST_RECIPIENTS else None


def named_in(lines: Sequence[Line]) -> tuple[Address, ...]:
    """Return the addresses that a text names, each once."""
    found: dict[Address, None] = {}
    for word in (word for line in lines if "@" in line.text for word in _ADDRESS.findall(line.text)):
        if address := next(iter(addresses_in(word.strip("."))), None):
            found[address] = None
    return tuple(found)


def addresses_in(text: str) -> list[Address]:
    """Return all addresses in a text; none where an @ belongs to something else."""
    found = _ADDRESS.findall(_MAILTO.sub("", text))
    if len(found) != text.count("@"):
        return []
    try:
        addresses = [Address.parse(each) for each in found]
    except NotAnAddress:
        return []
    return addresses if all("." in address.domain for address in addresses) else []
