"""From the fields that a receiving server wrote to the tokens they name (R4 to R6).

The word behind ``from`` in a Received field (RFC 5321 §4.4) is the name that the sending client gave itself, and some
servers write it down with any ``by``, ``for`` or bracket in it. So each clause is read in the way that such a name can
only make worse for its author: our own host is recognised anywhere, the other two only where the server writes them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from worker.domain.address_lists import MOST_FIELDS, read_recipients
from worker.domain.decoding import is_balanced, without_comments
from worker.domain.messages import Field, Head
from worker.domain.text import is_token
from worker.domain.tokens import DropboxAddress

_MOST_KEPT = 1000
"""Characters; what servers write has a few hundred."""
_CLAUSE_SEPARATORS = "()[];"
"""Besides white space."""


@dataclass(frozen=True, slots=True)
class Received:
    """The clauses that routing asks about, in lower case (``recipient`` as written)."""

    hosts: frozenset[str]
    """Each word behind a ``by``."""
    protocols: frozenset[str]
    """Each word behind a ``with``, within comments too; without the cipher of TLS."""
    recipient: str
    is_balanced: bool = True
    """Each comment that is opened is closed. Else a client's name may hide what the server wrote behind it."""

    @property
    def is_local_handover(self) -> bool:
        """LMTP (RFC 3848: also LMTPS, LMTPA, LMTPSA) and nothing else: from the server to its own mailbox store."""
        is_lmtp = bool(self.protocols) and all(protocol.startswith("lmtp") for protocol in self.protocols)
        return is_lmtp and self.is_balanced


def read_received(value: str) -> Received:
    """Read the clauses; the date behind the last semicolon is no part of them."""
    return _read_again(value) if len(value) <= _MOST_KEPT else _read(value)


def _read(value: str) -> Received:
    clauses = value.rpartition(";")[0] or value
    words = without_comments(clauses).split()
    names = [word.lower() for word in words]
    separated = _separated(clauses.lower())
    return Received(
        hosts=frozenset(host.rstrip(".") for host in _behind("by", separated)),
        protocols=frozenset(_behind("with", separated)) - {"cipher"},
        recipient=_recipient(words, names),
        is_balanced=is_balanced(value),
    )


_read_again = lru_cache(maxsize=2048)(_read)
"""Each field is asked for several times: for its token, for our own host, with the heads of a batch and its bodies."""


def _separated(text: str) -> list[str]:
    for separator in _CLAUSE_SEPARATORS:
        text = text.replace(separator, " ")
    return text.split()


def _behind(name: str, words: list[str]) -> list[str]:
    return [after for word, after in pairwise(words) if word == name]


def _recipient(words: list[str], names: list[str]) -> str:
    """Return the word behind ``for``, which the server writes once, behind its own (the last) ``by``.

    ``names`` are the words in lower case.
    """
    if "by" not in names:
        return ""
    last_by = len(names) - names[::-1].index("by")
    behind = zip(names[last_by:], words[last_by + 1 :], strict=False)
    found = {recipient for name, word in behind if name == "for" and "@" in (recipient := word.strip("<>"))}
    return found.pop() if len(found) == 1 else ""


DEFAULT_TOKEN_HEADERS = (
    "Delivered-To",
    "X-Original-To",
    "X-Delivered-To",
    "Envelope-To",
    "X-Envelope-To",
    "X-Forwarded-To",
    "Received",
    "To",
    "Cc",
)
"""R4, in order. To and Cc come last: people also write the address there openly."""

OPEN_FIELDS = frozenset({"to", "cc"})
"""Which the sender writes; in lower case."""
_SEPARATORS = re.compile(r"[\s,;<>()\"]+")
MOST_TOKENS = 100
"""How many tokens of one message are looked at: strangers may write guesses into To by the thousand."""


@dataclass(frozen=True, slots=True)
class Route:
    """The header that gave the tokens (None: no header did), and the tokens, lower case, each once, in order."""

    header: str | None
    tokens: tuple[str, ...] = field(repr=False)


def route(head: Head, dropbox: DropboxAddress, token_headers: Iterable[str], received_by: str | None) -> Route:
    """Return every token in the first of ``token_headers`` whose trusted instances name one.

    A plus tag that cannot be a token (``drop+inbox``) counts as an unknown token if there is no better one.
    ``received_by`` is the host name that our own server writes behind ``by`` in its Received field (R5).
    """
    tagged = Route(None, ())
    trusted = _trusted_fields(head, received_by)
    for header in token_headers:
        name = header.lower()
        if name in OPEN_FIELDS:
            tokens = _tokens_in_open_field(head, name, dropbox)
        else:
            tokens = [
                token
                for field in trusted
                if field.name == name
                for address in _envelope_addresses(field)
                if (token := dropbox.token_in_delivery_field(address))
            ]
        if possible := [token for token in tokens if is_token(token)]:
            return _route(header, possible)
        if tokens and not tagged.tokens:
            tagged = _route(header, tokens)
    return tagged


def _route(header: str, tokens: Iterable[str]) -> Route:
    return Route(header, tuple(dict.fromkeys(tokens))[:MOST_TOKENS])


def carries_trusted_field(head: Head, token_headers: Iterable[str], received_by: str | None) -> bool:
    """Tell whether any field of the envelope recipient is where it can be trusted."""
    names = {header.lower() for header in token_headers} - OPEN_FIELDS
    return any(field.name in names and _envelope_addresses(field) for field in _trusted_fields(head, received_by))


def _tokens_in_open_field(head: Head, name: str, dropbox: DropboxAddress) -> list[str]:
    return [
        token
        for value in head.all(name)[:MOST_FIELDS]
        if "+" in value or "%" in value or "=" in value
        for address in read_recipients(value).addresses
        if (token := dropbox.token_in(address))
    ]


def _envelope_addresses(field: Field) -> list[str]:
    if field.name == "received":
        recipient = read_received(field.value).recipient
        return [recipient] if recipient else []
    return [word for word in _SEPARATORS.split(field.value) if "@" in word]


def _trusted_fields(head: Head, received_by: str | None) -> list[Field]:
    if received_by is None:
        return _topmost_of_each(head)
    boundary = boundary_of(head, received_by)
    return [] if boundary is None else list(head.fields[: boundary + 1])


def _topmost_of_each(head: Head) -> list[Field]:
    topmost: dict[str, Field] = {}
    for each in head.fields:
        topmost.setdefault(each.name, each)
    return list(topmost.values())


def boundary_of(head: Head, received_by: str) -> int | None:
    """Return the place of the Received field with which our server took the mail in from outside (R5).

    That is the topmost one ``by`` our host, except that a hand-over by LMTP is not from outside: the mail server's own
    field stands right below it, and what the server wrote between the two is its own (OpenSMTPD, Cyrus).
    """
    host = received_by.lower().rstrip(".")
    boundary: int | None = None
    for place, hop in _hops(head):
        if host in hop.hosts:
            boundary = place
            if hop.is_local_handover:
                continue
        if boundary is not None:
            break
    return boundary


def _hops(head: Head) -> Iterable[tuple[int, Received]]:
    return ((place, read_received(field.value)) for place, field in enumerate(head.fields) if field.name == "received")
