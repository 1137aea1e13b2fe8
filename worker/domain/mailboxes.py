"""The one strict reader of address lists (RFC 5322 §3.4): From is decided by it, To and Cc are read by it.

Where two mail programs could read a field in two ways, this one reads it one way *and* names the fault. A From with a
fault is no proof of a sender (R12); a recipient with a fault still counts if its address is plain.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.domain.addresses import Address, NotAnAddress

MOST_MAILBOXES = 2000
"""How many mailboxes of one list are read; what follows is counted as one fault (strangers write our input)."""

_SIMPLE = re.compile(
    r"""\s*(?:(?:"[^"\\<>@\x00-\x1f\x7f]*"|[\w!#$%&'*+/=?^`{|}~. -]*)\s*<([\w!#$%&'*+/=?^`{|}~.-]+@[\w.-]+)>|([\w!#$%&'*+/=?^`{|}~.-]+@[\w.-]+))\s*""",
    re.ASCII,
)
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<literal>\[[^\[\]\\]*\])|(?P<special>[<>,:;@.()"\[\]\\])|(?P<atom>[^ \t\r\n<>,:;@.()"\[\]\\]+)""",
    re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")


@dataclass(frozen=True, slots=True)
class MailboxList:
    """The addresses of a field in order, groups flattened, and what was wrong with its syntax."""

    addresses: tuple[Address, ...]
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class _Entry:
    """The tokens between two commas."""

    before: list[str] = field(default_factory=list)
    """Outside of angle brackets: a display name, or a bare address."""
    inside: list[str] = field(default_factory=list)
    has_angle: bool = False
    is_closed: bool = False
    faults: list[str] = field(default_factory=list)


def read_mailboxes(value: str) -> MailboxList:
    """Read an address list; never raises, whatever the text."""
    if simple := _SIMPLE.fullmatch(value):
        try:
            return MailboxList((Address.parse(simple[1] or simple[2]),))
        except NotAnAddress as error:
            return MailboxList((), (str(error),))
    addresses: list[Address] = []
    faults: list[str] = ["control character"] if _CONTROL.search(value) else []
    for count, entry in enumerate(_entries(value)):
        if count >= MOST_MAILBOXES:
            faults.append(f"more than {MOST_MAILBOXES} mailboxes")
            break
        address = _address_of(entry)
        faults.extend(entry.faults)
        if address is not None:
            addresses.append(address)
    return MailboxList(tuple(addresses), tuple(faults))


def _address_of(entry: _Entry) -> Address | None:
    if entry.has_angle:
        if not entry.is_closed:
            entry.faults.append("angle bracket left open")
        if "@" in entry.before:
            entry.faults.append("address outside of the angle brackets")
        tokens = _without_route(entry)
    else:
        tokens = entry.before
    text = "".join(tokens)
    if not text.strip():
        if entry.has_angle:
            entry.faults.append("empty angle brackets")
        return None
    if any(token.isspace() for token in _trimmed(tokens)):
        entry.faults.append("space within an address")
        return None
    try:
        return Address.parse(text)
    except NotAnAddress as error:
        entry.faults.append(str(error))
        return None


def _without_route(entry: _Entry) -> list[str]:
    """RFC 5322 §4.4: ``<@relay,@relay:local@domain>``; the route is obsolete and a way to hide an address."""
    if ":" not in entry.inside:
        return entry.inside
    entry.faults.append("source route")
    return entry.inside[len(entry.inside) - entry.inside[::-1].index(":") :]


def _trimmed(tokens: list[str]) -> list[str]:
    start, end = 0, len(tokens)
    while start < end and tokens[start].isspace():
        start += 1
    while end > start and tokens[end - 1].isspace():
        end -= 1
    return tokens[start:end]


def _entries(value: str) -> Iterator[_Entry]:
    """Split at commas, flatten groups (``name: a, b;``), drop comments."""
    entry = _Entry()
    in_group = False
    for token in _tokens(value):
        if entry.has_angle and not entry.is_closed:
            if token == ">":
                entry.is_closed = True
            elif token == "<":
                entry.faults.append("angle bracket within angle brackets")
            else:
                entry.inside.append(token)
        elif token == ",":
            yield entry
            entry = _Entry()
        elif token == ":" and not in_group and not entry.has_angle:
            in_group, entry = (
                True,
                _Entry(
                    faults=[
                        *entry.faults,
                        *(["address as group name"] if "@" in entry.before else []),
                    ]
                ),
            )
        elif token == ";" and in_group:
            in_group = False
            yield entry
            entry = _Entry()
        elif token == "<":
            if entry.has_angle:
                entry.faults.append("second angle bracket")
            entry.has_angle = True
            entry.is_closed = entry.is_closed and bool(entry.inside)
        elif entry.is_closed and not token.isspace():
            entry.faults.append("text after the address")
        elif token in {">", ":", ";", "(", ")", "[", "]", '"', "\\"}:
            entry.faults.append(f"stray {token}")
        else:
            entry.before.append(token)
    if in_group:
        entry.faults.append("group left open")
    yield entry


def _tokens(value: str) -> Iterator[str]:
    """Atoms, quoted strings, specials and white space; a comment (RFC 5322 §3.2.2) becomes nothing."""
    depth = 0
    position = 0
    while position < len(value):
        if depth or value[position] == "(":
            char = value[position]
            depth += (char == "(") - (char == ")")
            position += 2 if char == "\\" else 1
            continue
        match = _TOKEN.match(value, position)
        if match is None:  # pragma: no cover - the pattern covers every character
            position += 1
            continue
        position = match.end()
        yield match[0]
    if depth:
        yield "("
