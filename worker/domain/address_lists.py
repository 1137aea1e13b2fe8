"""Address lists (RFC 5322 §3.4): what all readers share, and the lenient reader for To and Cc (R14).

To and Cc prove nothing, so each address in them that is whole by itself counts, however odd the rest of the list is.
An entry that cannot be read costs only itself. The text on two sides of a stray character is never joined.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import islice

from worker.domain.addresses import Address, NotAnAddress
from worker.domain.decoding import decode_words, has_glued_word
from worker.domain.text import clean, without_tokens

MOST_ADDRESSES = 2000
"""How many addresses of one list are read. What follows is one fault: strangers write our input."""
MOST_FIELDS = 10
"""How many To and how many Cc fields are read; RFC 5322 §3.6 allows one of each."""
MOST_TOKENS = 10 * MOST_ADDRESSES
OFTEN_READ = 1000
"""Characters. Longer lists come from strangers, and are not cached."""
_MOST_NAME = 120
"""Characters of a display name."""

_ADDR_SPEC = r"[\w!#$%&'*+/=?^`{|}~.-]++@[\w.-]++"
_NAME = r"""(?:"[^"\\<>@\x00-\x1f\x7f-\x9f]*+"[ \t]*+|[\w!#$%&'*+/=?^`{|}~. \t-]*+)"""
_SIMPLE = re.compile(rf"[ \t]*+(?:({_NAME})<({_ADDR_SPEC})>|({_ADDR_SPEC}))[ \t]*+", re.ASCII)
"""What nearly all mail has, in a form that no two programs read differently."""
_WIDE_SEPARATORS = "\uff0c\uff1b\u3001"
"""From Chinese and Japanese keyboards. They separate only behind an address: a name may hold them."""
_AROUND = (
    "\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a\xab\xbb"
    "\xa0\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u2060\u2066\u2067\u2068\u2069\ufeff"
)
"""Typographic quotes and invisible characters: people paste them together with an address."""
_SPECIALS = rf"<>,:;@.()\[\]\\{_WIDE_SEPARATORS}"
_ATOMS = rf"""(?P<unclosed>")|\[[^\[\]\\]*+\]|\\.|[{_SPECIALS}]|[^ \t\r\n"{_SPECIALS}]++"""
_TOKEN = re.compile(rf'[ \t\r\n]++|"(?:[^"\\]|\\.)*+"|{_ATOMS}', re.DOTALL)
_TOKEN_OF_BROKEN = re.compile(rf'[ \t\r\n]++|"(?:[^"\\,;<>@]|\\.)*+"|\([^()<>@,;]*+\)|{_ATOMS}', re.DOTALL)
"""For a list in which a quote or a comment is never closed: neither of them can then hold the next entry."""
_COMMENT_END = re.compile(r"\\.|[()]", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_IN_SQUARE_BRACKETS = re.compile(r"\[\s*(?:mailto:|smtp:)?([^\s:]+)\s*\]", re.IGNORECASE)
"""How Outlook shows an address beside a name: ``Bob [mailto:bob@x.example]``."""
_STRAY = frozenset('>()[]\\"')


class Syntax(StrEnum):
    """Every fault in the syntax of an entry; one that takes a value is ``code:value``. The names are stored."""

    ADDRESS_OUTSIDE = "address_outside"
    BRACKET_EMPTY = "bracket_empty"
    BRACKET_NESTED = "bracket_nested"
    BRACKET_OPEN = "bracket_open"
    COMMENT_WITHIN = "comment_within"
    CONTROL = "control"
    GROUP_OPEN = "group_open"
    NAME_ALONE = "name_alone"  # ``Smith, Ann <ann@x>``
    NOT_AN_ADDRESS = "not_an_address"  # the text
    SOURCE_ROUTE = "source_route"
    SPACE_WITHIN = "space_within"
    STRAY = "stray"  # the character
    TEXT_AFTER = "text_after"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"  # the limit

    def of(self, value: str) -> str:
        """Return the fault with its value, on one line and without tokens."""
        return f"{self}:{clean(without_tokens(value), _MOST_NAME)}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in the syntax of one entry, and the entry as it is written."""

    what: str
    """A code of `Syntax`, with its value if it takes one."""
    entry: str


@dataclass(frozen=True, slots=True)
class AddressList:
    """The addresses of a field in order, groups flattened, and the faults of its syntax."""

    addresses: tuple[Address, ...]
    names: tuple[str, ...] = ()
    """The display name of each address as it is written, or an empty string."""
    faults: tuple[Fault, ...] = ()
    has_group: bool = False

    def decoded_name(self, address: Address) -> str:
        """Return the name that the list gives an address, decoded; it may hold anything. Empty where it gives none."""
        written = (name for found, name in zip(self.addresses, self.names, strict=True) if found == address)
        return _decoded_name(next(written, ""))

    def in_ascii(self) -> "AddressList":
        """Return the list without addresses that have other letters: where those are a guess, it is another person."""
        kept = [place for place, address in enumerate(self.addresses) if address.text.isascii()]
        return AddressList(
            tuple(self.addresses[place] for place in kept), tuple(self.names[place] for place in kept), self.faults
        )


def joined(lists: list[AddressList]) -> AddressList:
    """Return one list of several: each address once, with the first name that it is given."""
    if len(lists) == 1 and len(lists[0].addresses) == 1:  # nearly always
        return lists[0]
    names: dict[Address, str] = {}
    for each in lists:
        for address, name in zip(each.addresses, each.names, strict=True):
            names[address] = names.get(address) or name
    faults = tuple(fault for each in lists for fault in each.faults)
    return AddressList(tuple(names), tuple(names.values()), faults)


def _shown_name(written: str) -> str:
    """Return a display name as people read it: decoded, without quotes, comments and tokens."""
    name = clean(_decoded_name(written), _MOST_NAME)
    return without_tokens(name[1:-1] if _is_in_single_quotes(name) else name)


def _decoded_name(written: str) -> str:
    """Return a display name decoded, without quotes and comments; it may hold anything."""
    return decode_words("".join(_unquoted(token) for token, _ in _tokens_of_list(written) if not is_comment(token)))


def read_simple(value: str, parse: Callable[[str], Address]) -> AddressList | None:
    """Read a list in which every entry is simple, at a tenth of the time; None if one is not."""
    addresses: list[Address] = []
    names: list[str] = []
    for piece in value.split(",", MOST_ADDRESSES):
        simple = _SIMPLE.fullmatch(piece)
        if simple is None:
            return None
        name, within, bare = simple.groups()
        try:
            addresses.append(parse(within or bare))
        except NotAnAddress:
            return None
        names.append(name or "")
    return AddressList(tuple(addresses), tuple(names))


def read_recipients(value: str) -> AddressList:
    """Read the value of a To or Cc; never raises, whatever the text."""
    return _read_again(value) if len(value) <= OFTEN_READ else _read(value)


def _read(value: str) -> AddressList:
    return read_simple(value, _whole_address) or _LenientReader(value).read()


_read_again = lru_cache(maxsize=2048)(_read)
"""To and Cc of one message are read for each of its rules, and the same people are written to."""


def _whole_address(text: str) -> Address:
    """Read one address, with its encoded words decoded."""
    if "=?" in text:
        if has_glued_word(text):
            raise NotAnAddress("an encoded word beside other text")
        text = _without_name(decode_words(text).strip())
        if "=?" in text:
            raise NotAnAddress("an encoded word that cannot be decoded")
    return Address.parse(text.strip("'`"))


def _without_name(text: str) -> str:
    """Return the address of ``Bob <bob@x.example>``; any other text as it is."""
    simple = _SIMPLE.fullmatch(text)
    return (simple[2] or simple[3]) if simple else text


class _LenientReader:
    """Splits a list into entries, and takes from each the addresses that are whole by themselves."""

    def __init__(self, value: str) -> None:
        self._value = value
        self._addresses: list[Address] = []
        self._names: list[str] = []
        self._faults: list[Fault] = []
        self._begin_entry(0)

    def read(self) -> AddressList:
        """Read the whole list."""
        for token, begin in _tokens_of_list(self._value):
            if len(self._addresses) >= MOST_ADDRESSES:
                self._faults.append(Fault(Syntax.TOO_MANY.of(str(MOST_ADDRESSES)), self._value[begin:]))
                break
            self._take(token, begin)
        self._end_entry(len(self._value))
        return AddressList(tuple(self._addresses), tuple(self._names), tuple(self._faults))

    def _begin_entry(self, begin: int) -> None:
        self._begin = begin
        self._outside: list[str] = []
        """Tokens of a display name, or of a bare address."""
        self._within: list[str] | None = None
        """Tokens since an angle bracket was opened."""
        self._has_angle = False
        self._wrong: list[str] = []

    def _take(self, token: str, begin: int) -> None:
        if self._within is not None:
            is_route = self._within[:1] == ["@"]  # RFC 5322 §4.4: ``<@relay,@relay:local@domain>``
            if token == ">":
                self._close_angle()
                return
            if token not in "<,;" or (token == "," and is_route):
                self._within.append(token)
                return
            self._wrong.append(Syntax.BRACKET_OPEN)
            self._close_angle()
        if token == "<":
            self._within = []
        elif token in ",;" or (token in _WIDE_SEPARATORS and ("@" in self._outside or self._has_angle)):
            self._end_entry(begin)
            self._begin_entry(begin + 1)
        elif token == ":":  # the name of a group, or a scheme such as ``SMTP:``
            self._outside = []
        else:
            self._outside.append(token)

    def _close_angle(self) -> None:
        within = self._within or []
        if ":" in within:  # a source route, or a scheme such as ``mailto:``
            within = within[len(within) - within[::-1].index(":") :]
        if all(is_space(token) for token in within):
            self._wrong.append(Syntax.BRACKET_EMPTY)
        self._add(self._whole_within(within), "".join(self._outside))
        self._outside, self._within, self._has_angle = [], None, True

    def _end_entry(self, end: int) -> None:
        if self._within is not None:
            self._wrong.append(Syntax.BRACKET_OPEN)
            self._close_angle()
        if not all(is_space(token) for token in self._outside):
            self._end_outside()
        entry = self._value[self._begin : end]
        self._faults.extend(Fault(what, entry) for what in dict.fromkeys(self._wrong))

    def _end_outside(self) -> None:
        """Read what stands outside of angle brackets since the last address: a bare address, or something odd."""
        if self._has_angle:
            self._wrong.append(Syntax.TEXT_AFTER)
        if "@" not in self._outside:
            if self._has_angle:
                return
            if found := _address_in_name(self._outside):
                self._add([found[0]], found[1])
                return
        comments = [token[1:-1] for token in self._outside if is_comment(token)]
        self._add(self._whole_within(self._outside), comments[-1] if comments else "")

    def _add(self, addresses: list[Address], name: str) -> None:
        self._addresses += addresses
        self._names += [name] * len(addresses)

    def _whole_within(self, tokens: list[str]) -> list[Address]:
        """Return the one address that the tokens are, or several where each word is one: else nobody knows whose it is.

        White space around ``@`` and ``.`` is obsolete and belongs to a word (RFC 5322 §4.4).
        """
        words = _words(tokens, "@.")
        if len(words) > 1 or (self._within is None and _has_dot_beside_text(tokens)):
            words = _words(tokens, "@")
            # "- bob@x.example", "bob@x.example & carol@y.example"
            words = [word for word in words if any(map(str.isalnum, "".join(word)))]
        found = [address for word in words if (address := self._whole(word, is_alone=len(words) == 1))]
        if len(words) > 1:
            self._wrong.append(Syntax.SPACE_WITHIN)
        return found if len(found) == len(words) else []

    def _whole(self, word: list[str], *, is_alone: bool) -> Address | None:
        """Read one word; a stray character at its edge goes, one in the middle voids it."""
        start, end = 0, len(word)
        while start < end and _is_stray(word[start]):
            start += 1
        while end > start and _is_stray(word[end - 1]):
            end -= 1
        self._wrong += [Syntax.STRAY.of(token[0]) for token in word if _is_stray(token)]
        kept = word[start:end]
        if any(_is_stray(token) for token in kept):
            return None
        try:
            return _whole_address("".join(kept).strip(_AROUND))
        except NotAnAddress:
            if is_alone:
                self._wrong.append(Syntax.NOT_AN_ADDRESS.of("".join(kept)))
            return None


def _address_in_name(tokens: list[str]) -> tuple[Address, str] | None:
    """Return the address that an entry has within quotes, encoded words, or square brackets, and the name beside it."""
    brackets = [found for token in tokens if (found := _IN_SQUARE_BRACKETS.fullmatch(token))]
    try:
        if len(brackets) != 1:
            return _whole_address(_without_name(_shown_name("".join(tokens)))), ""
        name = "".join(token for token in tokens if token != brackets[0][0])
        return _whole_address(brackets[0][1]), name
    except NotAnAddress:
        return None


def _has_dot_beside_text(tokens: list[str]) -> bool:
    """Tell whether a dot with space on one side may end a word or a sentence: ``1. bob@x``, ``bob@x.example. Hello``.

    RFC 5322 §4.4 allows such space, and no program writes it.
    """
    has_at = has_dot = False
    for before, token, behind in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if token == "@":
            has_at, has_dot = True, False
        elif token == ".":
            if is_space(before) != is_space(behind) and (has_dot or not has_at):
                return True
            has_dot = True
    return False


def _words(tokens: list[str], joints: str) -> list[list[str]]:
    """Split tokens at white space, except around the ``joints``."""
    words: list[list[str]] = []
    is_apart = True
    for token in tokens:
        if is_space(token):
            is_apart = True
            continue
        if not words or (is_apart and token not in joints and words[-1][-1] not in joints):
            words.append([])
        words[-1].append(token)
        is_apart = False
    return words


def is_space(token: str) -> bool:
    """Tell whether a token is white space or a comment."""
    return token[0] in " \t\r\n" or is_comment(token)


def is_comment(token: str) -> bool:
    """Tell whether a token is a whole comment (RFC 5322 §3.2.2)."""
    return token[0] == "(" and len(token) > 1


def tokens_of(value: str) -> Iterator[tuple[str, int]]:
    """Yield atoms, quoted strings, comments, specials and white space, each with where it begins.

    A quote or comment that is never closed is the last token.
    """
    position = 0
    while match := _TOKEN.match(value, position):
        begin, position = position, match.end()
        if match[0] == "(":
            position = _end_of_comment(value, position)
            yield value[begin : position or begin + 1], begin
        else:
            yield match[0], begin
        if match.lastgroup == "unclosed" or not position:
            return


def _tokens_of_list(value: str) -> list[tuple[str, int]]:
    found = list(islice(tokens_of(value), MOST_TOKENS))
    if found and found[-1][0] in {'"', "("}:
        return [(each[0], each.start()) for each in islice(_TOKEN_OF_BROKEN.finditer(value), MOST_TOKENS)]
    return found


def _end_of_comment(value: str, position: int) -> int:
    """Return where the comment that was opened before ``position`` ends; 0 when it does not."""
    depth = 1
    for found in _COMMENT_END.finditer(value, position):
        depth += (found[0] == "(") - (found[0] == ")")
        if depth == 0:
            return found.end()
    return 0


def _is_stray(token: str) -> bool:
    """Tell whether a token is a special character, not a whole quoted string or domain literal."""
    return token in _STRAY or token[0] == "\\"


def _is_in_single_quotes(text: str) -> bool:
    """Tell whether a text is in the quotes that Outlook puts around what it takes for a name."""
    return len(text) > 1 and text[0] == text[-1] == "'"


def _unquoted(token: str) -> str:
    if token[0] == '"':
        token = token[1:-1]
    return _QUOTED_PAIR.sub(r"\1", token) if "\\" in token else token
