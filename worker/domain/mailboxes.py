"""The one strict reader of address lists (RFC 5322 §3.4): From is decided by it, To and Cc are read by it.

Where two mail programs could read a field in two ways, this one reads it one way *and* names the fault. A From with a
fault is no proof of a sender (R12); a recipient with a fault still counts if its address is plain.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from worker.domain.addresses import Address, NotAnAddress

MOST_MAILBOXES = 2000
"""How many mailboxes of one list are read; what follows is counted as one fault (strangers write our input)."""
MOST_FIELDS = 10
"""How many To and how many Cc fields are read; RFC 5322 §3.6 allows one of each."""
_OFTEN_READ = 1000
"""Characters; what is longer is a stranger's, and is not kept."""
_MOST_TOKENS = 10 * MOST_MAILBOXES

_ADDR_SPEC = r"[\w!#$%&'*+/=?^`{|}~.-]++@[\w.-]++"
_NAME = r"""(?:"[^"\\<>@\x00-\x1f\x7f-\x9f]*+"[ \t]*+|[\w!#$%&'*+/=?^`{|}~. \t-]*+)"""
_SIMPLE = re.compile(rf"[ \t]*+(?:{_NAME}<({_ADDR_SPEC})>|({_ADDR_SPEC}))[ \t]*+", re.ASCII)
"""What nearly all mail has, in a form that no two programs read differently."""
_TOKEN = re.compile(
    r"""[ \t\r\n]++|"(?:[^"\\]|\\.)*+"|(?P<unclosed>")|\[[^\[\]\\]*+\]"""
    r"""|[<>,:;@.()\[\]\\]|[^ \t\r\n<>,:;@.()"\[\]\\]++""",
    re.DOTALL,
)
_COMMENT_END = re.compile(r"\\.|[()]", re.DOTALL)
_COMMENT = "()"
_NO_PART_OF_ADDRESS = frozenset('>:;()[]\\"')
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Fault:
    """What was wrong with the syntax of one entry, and the entry as it was written."""

    what: str
    entry: str


@dataclass(frozen=True, slots=True)
class MailboxList:
    """The addresses of a field in order, groups flattened, and what was wrong with its syntax."""

    addresses: tuple[Address, ...]
    faults: tuple[Fault, ...] = ()
    has_group: bool = False


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
            if not _is_space(token):
                self.faults.append("text after the address")
        elif token == "<":
            self.has_angle = True
        elif token in _NO_PART_OF_ADDRESS:
            self.faults.append(f"stray {token}")
        else:
            self.before.append(token)


def read_mailboxes(value: str) -> MailboxList:
    """Read an address list; never raises, whatever the text."""
    return _read_again(value) if len(value) <= _OFTEN_READ else _read(value)


def _read(value: str) -> MailboxList:
    return _read_simple(value) or _read_any(value)


_read_again = lru_cache(maxsize=2048)(_read)
"""From, To and Cc of one message are read for each of its rules, and the same people write and are written to."""


def _read_simple(value: str) -> MailboxList | None:
    addresses: list[Address] = []
    for piece in value.split(",", MOST_MAILBOXES):
        simple = _SIMPLE.fullmatch(piece)
        if simple is None:
            return None
        try:
            addresses.append(Address.parse(simple[1] or simple[2]))
        except NotAnAddress:
            return None
    return MailboxList(tuple(addresses))


def _read_any(value: str) -> MailboxList:
    addresses: list[Address] = []
    faults = [Fault("control character", value)] if _CONTROL.search(value) else []
    has_group = False
    for count, entry in enumerate(_entries(value)):
        if count >= MOST_MAILBOXES:
            faults.append(Fault(f"more than {MOST_MAILBOXES} mailboxes", value[entry.begin :]))
            break
        address = _address_of(entry)
        faults.extend(Fault(what, value[entry.begin : entry.end]) for what in dict.fromkeys(entry.faults))
        has_group = has_group or entry.is_in_group
        if address is not None:
            addresses.append(address)
    return MailboxList(tuple(addresses), tuple(faults), has_group)


def _address_of(entry: _Entry) -> Address | None:
    if entry.is_open:
        entry.faults.append("angle bracket left open")
    if entry.has_angle and "@" in entry.before:
        entry.faults.append("address outside of the angle brackets")
    tokens = _trimmed(_without_route(entry) if entry.has_angle else entry.before)
    if not tokens:
        if entry.has_angle:
            entry.faults.append("empty angle brackets")
        return None
    if _COMMENT in tokens:
        entry.faults.append("comment within an address")
        tokens = [token for token in tokens if token != _COMMENT]
    if any(_is_space(token) for token in tokens):
        entry.faults.append("space within an address")
        return None
    try:
        return Address.parse("".join(tokens))
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
    while start < end and _is_space(tokens[start]):
        start += 1
    while end > start and _is_space(tokens[end - 1]):
        end -= 1
    return tokens[start:end]


def _is_space(token: str) -> bool:
    return token[0] in " \t\r\n" or token == _COMMENT


def _entries(value: str) -> Iterator[_Entry]:
    """Split at commas, flatten groups (``name: a, b;``)."""
    entry = _Entry()
    in_group = False
    for count, (token, begin) in enumerate(_tokens(value)):
        if count >= _MOST_TOKENS:
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


def _tokens(value: str) -> Iterator[tuple[str, int]]:
    """Atoms, quoted strings, specials and white space, each with where it begins.

    A whole comment (RFC 5322 §3.2.2) is one token.
    """
    position = 0
    while match := _TOKEN.match(value, position):
        begin, position = position, match.end()
        if match[0] == "(" and (position := _end_of_comment(value, position)):
            yield _COMMENT, begin
            continue
        yield match[0], begin
        if match.lastgroup == "unclosed" or not position:
            return


def _end_of_comment(value: str, position: int) -> int:
    """Where the comment that was opened before ``position`` ends; 0 when it does not."""
    depth = 1
    for found in _COMMENT_END.finditer(value, position):
        depth += (found[0] == "(") - (found[0] == ")")
        if depth == 0:
            return found.end()
    return 0
