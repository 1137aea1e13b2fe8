"""The strict reader for From, which proves who the sender is (R12).

Where two mail programs could read a From in two ways, this reader reads it in one way *and* names the fault. A From
with a fault proves no sender.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from worker.domain.address_lists import (
    MOST_ADDRESSES,
    MOST_TOKENS,
    OFTEN_READ,
    AddressList,
    Fault,
    is_comment,
    is_space,
    read_simple,
    tokens_of,
)
from worker.domain.addresses import Address, NotAnAddress

NOT_QUOTED = "a name without an address"
"""The fault of ``Smith, Ann <ann@x>``. The advice on such mail reads it."""
_NO_PART_OF_ADDRESS = frozenset('>:;()[]\\"')
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(slots=True)
class _Entry:
    """The tokens between two commas."""

    begin: int = 0
    end: int = 0
    is_in_group: bool = False
    before: list[str] = field(default_factory=list)
    """Outside of angle brackets: a display name, or a bare address."""
    inside: list[str] = field(default_factory=list)
    has_angle: bool = False
    is_closed: bool = False
    faults: list[str] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.has_angle and not self.is_closed

    def take_inside(self, token: str) -> None:
        if token == ">":
            self.is_closed = True
        elif token == "<":
            self.faults.append("angle bracket within angle brackets")
        else:
            self.inside.append(token)

    def take_outside(self, token: str) -> None:
        if self.is_closed:
            if not is_space(token):
                self.faults.append("text after the address")
        elif token == "<":
            self.has_angle = True
        elif token in _NO_PART_OF_ADDRESS or token[0] == "\\":
            self.faults.append(f"stray {token[0]}")
        else:
            self.before.append(token)


def read_from(value: str) -> AddressList:
    """Read the value of a From; never raises, whatever the text."""
    return _read_again(value) if len(value) <= OFTEN_READ else _read(value)


def _read(value: str) -> AddressList:
    return read_simple(value, _strict_address) or _read_any(value)


_read_again = lru_cache(maxsize=2048)(_read)
"""From is read for each rule that asks for it, and the same people write."""


def _strict_address(text: str) -> Address:
    address = Address.parse(text)
    if address.has_odd_dots:
        raise NotAnAddress(f"not an e-mail address by RFC 5322: {address!r}")
    return address


def _read_any(value: str) -> AddressList:
    addresses: list[Address] = []
    faults = [Fault("control character", value)] if _CONTROL.search(value) else []
    has_group = False
    for count, entry in enumerate(_entries(value)):
        if count >= MOST_ADDRESSES:
            faults.append(Fault(f"more than {MOST_ADDRESSES} addresses", value[entry.begin :]))
            break
        address = _address_of(entry)
        faults.extend(Fault(what, value[entry.begin : entry.end]) for what in dict.fromkeys(entry.faults))
        has_group = has_group or entry.is_in_group
        if address is not None:
            addresses.append(address)
    return AddressList(tuple(addresses), ("",) * len(addresses), tuple(faults), has_group)


def _address_of(entry: _Entry) -> Address | None:
    if entry.is_open:
        entry.faults.append("angle bracket left open")
    tokens = _without_space_around(_without_route(entry) if entry.has_angle else entry.before)
    if not tokens:
        if entry.has_angle:
            entry.faults.append("empty angle brackets")
        return None
    if not entry.has_angle and "@" not in tokens:
        entry.faults.append(NOT_QUOTED)
        return None
    address = _read_address(tokens, entry.faults)
    if entry.has_angle and "@" in entry.before and not _is_the_same(entry.before, address):
        entry.faults.append("address outside of the angle brackets")
    return address


def _read_address(tokens: list[str], faults: list[str]) -> Address | None:
    if any(is_comment(token) for token in tokens):
        faults.append("comment within an address")
        tokens = [token for token in tokens if not is_comment(token)]
    if any(is_space(token) for token in tokens):
        faults.append("space within an address")
        return None
    try:
        return _strict_address("".join(tokens))
    except NotAnAddress as error:
        faults.append(str(error))
        return None


def _is_the_same(name: list[str], address: Address | None) -> bool:
    """Tell whether a display name is the very address that follows: then there is no other way to read it."""
    try:
        return address == Address.parse("".join(_without_space_around(name)))
    except NotAnAddress:
        return False


def _without_route(entry: _Entry) -> list[str]:
    """Drop the route of ``<@relay,@relay:local@domain>`` (RFC 5322 §4.4): obsolete, and a way to hide an address."""
    if ":" not in entry.inside:
        return entry.inside
    entry.faults.append("source route")
    return entry.inside[len(entry.inside) - entry.inside[::-1].index(":") :]


def _without_space_around(tokens: list[str]) -> list[str]:
    start, end = 0, len(tokens)
    while start < end and is_space(tokens[start]):
        start += 1
    while end > start and is_space(tokens[end - 1]):
        end -= 1
    return tokens[start:end]


def _entries(value: str) -> Iterator[_Entry]:
    """Split at commas, flatten groups (``name: a, b;``)."""
    entry = _Entry()
    in_group = False
    for count, (token, begin) in enumerate(tokens_of(value)):
        if count >= MOST_TOKENS:
            entry.faults.append("too long to be read whole")
            break
        if entry.is_open:
            entry.take_inside(token)
        elif token == ",":
            entry.end = begin
            yield entry
            entry = _Entry(begin + 1, is_in_group=in_group)
        elif token == ":" and not in_group and not entry.has_angle:
            in_group = True
            # what was read so far is the group's name
            entry = _Entry(entry.begin, is_in_group=True, faults=entry.faults)
        elif token == ";" and in_group:
            in_group = False
            entry.end = begin
            yield entry
            entry = _Entry(begin + 1)
        else:
            entry.take_outside(token)
    if in_group:
        entry.faults.append("group left open")
    entry.end = len(value)
    yield entry
