"""Who sent a message: one From address, registered by the owner (R12) and proven by a code, or a machine (R23).

Where two mail programs could read a From in two ways, the strict reader reads it in one way *and* names the fault. A
From with a fault proves no sender.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache

from worker.domain.address_lists import (
    MOST_ADDRESSES,
    MOST_TOKENS,
    OFTEN_READ,
    AddressList,
    Fault,
    Syntax,
    is_comment,
    is_space,
    read_simple,
    tokens_of,
)
from worker.domain.addresses import Address, NotAnAddress
from worker.domain.decoding import without_comments
from worker.domain.messages import LOOP_MARK, Field, Head
from worker.domain.outcomes import Code, Detail, Reason, detail
from worker.domain.text import ALPHABET

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
            self.faults.append(Syntax.BRACKET_NESTED)
        else:
            self.inside.append(token)

    def take_outside(self, token: str) -> None:
        if self.is_closed:
            if not is_space(token):
                self.faults.append(Syntax.TEXT_AFTER)
        elif token == "<":
            self.has_angle = True
        elif token in _NO_PART_OF_ADDRESS or token[0] == "\\":
            self.faults.append(Syntax.STRAY.of(token[0]))
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
    """Read a From that is not simple, entry by entry."""
    addresses: list[Address] = []
    faults = [Fault(Syntax.CONTROL, value)] if _CONTROL.search(value) else []
    has_group = False
    for count, entry in enumerate(_entries(value)):
        if count >= MOST_ADDRESSES:
            faults.append(Fault(Syntax.TOO_MANY.of(str(MOST_ADDRESSES)), value[entry.begin :]))
            break
        address = _address_of(entry)
        faults.extend(Fault(what, value[entry.begin : entry.end]) for what in dict.fromkeys(entry.faults))
        has_group = has_group or entry.is_in_group
        if address is not None:
            addresses.append(address)
    return AddressList(tuple(addresses), ("",) * len(addresses), tuple(faults), has_group)


def _address_of(entry: _Entry) -> Address | None:
    """Return the address of an entry, and note its faults."""
    if entry.is_open:
        entry.faults.append(Syntax.BRACKET_OPEN)
    tokens = _without_space_around(_without_route(entry) if entry.has_angle else entry.before)
    if not tokens:
        if entry.has_angle:
            entry.faults.append(Syntax.BRACKET_EMPTY)
        return None
    if not entry.has_angle and "@" not in tokens:
        entry.faults.append(Syntax.NAME_ALONE)
        return None
    address = _read_address(tokens, entry.faults)
    if entry.has_angle and "@" in entry.before and not _is_the_same(entry.before, address):
        entry.faults.append(Syntax.ADDRESS_OUTSIDE)
    return address


def _read_address(tokens: list[str], faults: list[str]) -> Address | None:
    if any(is_comment(token) for token in tokens):
        faults.append(Syntax.COMMENT_WITHIN)
        tokens = [token for token in tokens if not is_comment(token)]
    if any(is_space(token) for token in tokens):
        faults.append(Syntax.SPACE_WITHIN)
        return None
    try:
        return _strict_address("".join(tokens))
    except NotAnAddress:
        faults.append(Syntax.NOT_AN_ADDRESS.of("".join(tokens)))
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
    entry.faults.append(Syntax.SOURCE_ROUTE)
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
            entry.faults.append(Syntax.TOO_LONG)
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
        entry.faults.append(Syntax.GROUP_OPEN)
    entry.end = len(value)
    yield entry


ONCE = (
    *("from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id"),
    *("content-type", "content-transfer-encoding", "mime-version"),
)
"""The fields that a mail has at most once (RFC 5322 §3.6, RFC 2045); in lower case."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_PART_OF_WORD = r"[^\s<>()\[\],;:\"]"
_KEYWORD_END = re.compile(r"[;\s]")


@dataclass(frozen=True, slots=True)
class Sender:
    """The From address, or the reason why From proves nobody."""

    address: Address | None
    reason: Reason | None = None
    why: Detail | None = None


def sender_of(head: Head) -> Sender:
    """Return the address of From (R12): one field, one address, written so that every program reads it the same way."""
    fields = head.all("from")
    found = read_from(fields[0]) if fields else AddressList(())
    if why := next(_ambiguities(head, len(fields), found), None):
        return Sender(None, Reason.SENDER_AMBIGUOUS, why)
    if not found.addresses:
        why = detail(Code.NO_MAILBOX_IN_FROM, **_faults(found)) if fields else detail(Code.NO_FROM)
        return Sender(None, Reason.SENDER_MISSING, why)
    return Sender(found.addresses[0])


def _ambiguities(head: Head, fields: int, found: AddressList) -> Iterator[Detail]:
    """Name what could be read in more than one way, or might go on where reading stopped."""
    if not head.is_complete:
        yield detail(Code.HEAD_TOO_LONG)
    if fields > 1:
        yield detail(Code.SEVERAL_FROM_FIELDS, count=fields)
    if len(found.addresses) > 1:
        yield detail(Code.SEVERAL_MAILBOXES_IN_FROM, count=len(found.addresses))
    if not found.addresses:
        return
    if found.has_group:
        yield detail(Code.GROUP_IN_FROM)
    if _names_another(head.first("from"), found.addresses[0]):
        yield detail(Code.ANOTHER_ADDRESS_IN_FROM)
    if found.faults:
        yield detail(Code.FROM_NOT_PLAIN, **_faults(found))


def repeated_fields(head: Head) -> tuple[str, ...]:
    """Name the fields that a mail may have once and this one has more often.

    A signature covers the lowest of them (RFC 6376 §5.4.2) and people are shown the topmost, so anybody can put another
    subject or other recipients on top of a mail that was signed by somebody else.
    """
    return tuple(name for name in ONCE if len(head.all(name)) > 1)


def _names_another(value: str, address: Address) -> bool:
    """Tell whether a From has another address in a comment or in brackets: some programs read that one.

    A display name within quotes may say what it likes.
    """
    if value.count("@") == 1:  # nearly always
        return False
    itself = re.compile(rf"(?<!{_PART_OF_WORD}){re.escape(address.text)}(?!{_PART_OF_WORD})", re.IGNORECASE)
    return "@" in _QUOTED.sub(" ", itself.sub(" ", value))


def _faults(found: AddressList) -> dict[str, tuple[str, ...]]:
    whats = tuple(dict.fromkeys(fault.what for fault in found.faults))
    return {"faults": whats[:3]} if whats else {}


_REPORT = re.compile(
    r"\s*+(multipart/report|message/(?:delivery-status|disposition-notification|global-\S+|feedback-report))(?![\w-])"
)
"""RFC 6522 and its parts. Bounces and read receipts of some systems have no report-type."""
_EMPTY_PATH = re.compile(r"<>|<?mailer-daemon(?![^@>])")
"""A Return-Path of nobody (RFC 5321 §4.5.5), and how sendmail writes it."""
_ANYTHING = re.compile(r"^(?!(?:no|false|0|none|off)?$)")
_MARKS = {
    **dict.fromkeys(("x-autoreply", "x-auto-reply", "x-autoreply-from", "x-mail-autoreply"), _ANYTHING),
    **dict.fromkeys(("x-autorespond", "x-autoresponder", "x-autoresponse", "autorespond"), _ANYTHING),
    "x-apple-action": re.compile("vacation"),
    "x-apple-criteria": re.compile("vacation"),
    "x-autogenerated": re.compile("^(?:reply|auto)"),
    "x-fc-machinegenerated": re.compile("^true"),
    "x-post-messageclass": re.compile("autoresponder"),
    "x-precedence": re.compile("auto.?reply"),
    "preference": re.compile("auto.?reply"),
    "x-failed-recipients": _ANYTHING,
    "content-class": re.compile("urn:content-classes:(?:dsn|mdn)"),
    "x-loop": re.compile("virtual vacation"),
    "x-ms-exchange-generated-message-source": re.compile("mailbox rules agent"),
}
"""Fields by which systems mark a vacation reply or a bounce without Auto-Submitted, and what they then say: Gmail and
others, Domain Technologie Control, cPanel, iCloud, CommuniGate Pro, FirstClass, Mailtraq, BoxTrapper, Exim, Exchange,
PostfixAdmin."""


def automatic_sign(head: Head) -> Field | None:
    """Return the field that shows that no person wrote this (R23, RFC 3834 §5, RFC 3464, RFC 8098), or None."""
    if marks := head.all(LOOP_MARK.lower()):
        return Field(LOOP_MARK.lower(), marks[0][:40])
    for value in head.all("auto-submitted"):
        said = without_comments(value[:998]).strip(' \t"')
        keyword = _KEYWORD_END.split(said, maxsplit=1)[0].strip('"').lower()
        if keyword not in {"no", ""}:
            return Field("auto-submitted", keyword[:40])
    if empty := _EMPTY_PATH.match("".join(head.first("return-path").lower().split())):
        return Field("return-path", empty[0])
    content_type = head.first("content-type")[:998].lower()
    if "report" in content_type or "message" in content_type:
        content_type = without_comments(content_type)
    if report := _REPORT.match(content_type):
        return Field("content-type", report[1])
    return None if head.names.isdisjoint(_MARKS) else _marked(head)


def _marked(head: Head) -> Field | None:
    for name in _MARKS.keys() & head.names:
        said = " ".join(without_comments(head.first(name)[:998]).lower().split())
        if _MARKS[name].search(said):
            return Field(name, said[:40])
    return None


LIFETIME = timedelta(hours=1)
MOST_TRIES = 5

_HALF = 5
_LOOK_ALIKES = str.maketrans("oil", "011", "- ")


def needs_proof(login: Address, address: Address) -> bool:
    """Return True when the address is outside the login's own domain, so that the user has to prove it."""
    return address.domain != login.domain


def new_code() -> str:
    """Return a code of fifty bits that is easy to read aloud: ``k7m2a-9xq4b``."""
    first, second = ("".join(secrets.choice(ALPHABET) for _ in range(_HALF)) for _ in range(2))
    return f"{first}-{second}"


def digest_of(code: str, account_id: int, user_id: int, address_key: str) -> str:
    """Return the digest that is stored instead of the code; it is valid for this user and address only."""
    typed = code.lower().translate(_LOOK_ALIKES)
    whose = f"{account_id}\0{user_id}\0{address_key}\0{typed}"
    return hashlib.blake2b(whose.encode("utf-8", "replace"), digest_size=32).hexdigest()
