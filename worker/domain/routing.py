"""From the fields that a receiving server wrote to the tokens they name (R4 to R6)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from worker.domain.address_lists import MOST_FIELDS, read_recipients
from worker.domain.masking import is_token
from worker.domain.messages import Field, Head
from worker.domain.received import Received, read_received
from worker.domain.tokens import DropboxAddress

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
    """Which header gave the tokens (None: none did), and the tokens, lower case, each once, in order."""

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
