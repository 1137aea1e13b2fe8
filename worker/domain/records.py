"""Leads and contacts as the core sees them (R14 to R19), and what people and imports change of them (R24, R25)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, StrEnum
from typing import Final, TypeVar

from worker.domain.addresses import Address
from worker.domain.permissions import Module
from worker.domain.text import clean, without_tokens

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
    """Split a name into first and last: behind a comma stands the first name, else the last word is the last name."""
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


PRIMARY, SECONDARY, FIRST_OTHER = 1, 2, 3
"""Positions of a record's addresses: its email, its secondary email, and the first of its other addresses."""


class RecordNames(StrEnum):
    """The account's choice of names for the records that mail makes (R17)."""

    ADDRESS = "address"
    DISPLAY_NAME = "display-name"


SOURCE = "BCC Dropbox"
"""The source of a record that a mail made (R17)."""


class Direction(StrEnum):
    """The side that wrote an email on a record's list: ours, or the person of the record (R18, R28)."""

    SENT = "sent"
    RECEIVED = "received"

    @property
    def list_name(self) -> str:
        """The list under which the record shows the email."""
        return "Sent Emails from CRM" if self is Direction.SENT else "Received Emails"


@dataclass(frozen=True, slots=True)
class Record:
    """An existing lead or contact."""

    id: int
    module: Module
    owner_id: int | None
    created_at: datetime
    email: str | None = field(default=None, compare=False)
    external_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to be made. Equal for the same address in the same module of the same account: made once (R17)."""

    account_id: int
    module: Module
    address: Address
    owner_id: int = field(compare=False)
    name: PersonName | None = field(default=None, compare=False)
    """None: it is named by its address."""

    def __hash__(self) -> int:
        return hash(self.address.key)


RecordRef = Record | NewRecord


@dataclass(frozen=True, slots=True)
class StoredEmail:
    """An email that the account has already, with the owners of its copies and its records."""

    id: int
    owners: frozenset[int] = frozenset()
    records: frozenset[int] = frozenset()
    unmatched: frozenset[str] = frozenset()
    """Address keys."""


@dataclass(frozen=True, slots=True)
class AccountView:
    """The knowledge of one account about the addresses and emails of a batch. Addresses are keys (`Address.key`)."""

    records: Mapping[str, tuple[Record, ...]] = field(default_factory=dict)
    """By any of their addresses."""
    colleagues: frozenset[str] = frozenset()
    """Those of the addresses that are registered senders of any user of the account."""
    never_log: frozenset[str] = frozenset()
    """Those of the addresses and of their domains that are on the never-log list."""
    emails: Mapping[bytes, StoredEmail] = field(default_factory=dict)
    """By fingerprint."""
    made_today: Mapping[int, int] = field(default_factory=dict)
    """How many records mail has made today (UTC), by the owner's id (R13)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The questions of the core to one account: address keys (with their domains) and fingerprints."""

    addresses: frozenset[str]
    fingerprints: frozenset[bytes]
    owners: frozenset[int] = frozenset()
    """Ids of the owners who get mail."""

    @property
    def domains(self) -> frozenset[str]:
        """The domains of the addresses."""
        return frozenset(address.rpartition("@")[2] for address in self.addresses)


def best_match(records: tuple[Record, ...], module: Module, owner_id: int) -> Record | None:
    """Return the owner's own record, else the oldest one; of two equally old ones the lower ID wins (R16)."""
    candidates = [record for record in records if record.module is module]
    if len(candidates) == 1:  # nearly always
        return candidates[0]
    return min(candidates, key=lambda r: (r.owner_id != owner_id, r.created_at, r.id), default=None)


_V = TypeVar("_V")


class Unset(Enum):
    """A column that a file does not have, or an option that was not given."""

    UNSET = 0


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class RecordState:
    """Everything of a record that people can change. ``others`` are addresses that it also matches by."""

    external_id: str | None = None
    last_name: str = ""
    first_name: str = ""
    owner_id: int | None = None
    source: str = ""
    email: Address | None = None
    secondary_email: Address | None = None
    others: tuple[Address, ...] = ()

    def addresses(self) -> Iterator[Address]:
        """Give every address, the primary one first."""
        if self.email:
            yield self.email
        if self.secondary_email:
            yield self.secondary_email
        yield from self.others

    def is_written_as(self, other: "RecordState") -> bool:
        """Tell whether nothing has to be written: also the spelling of each address is the same."""
        return self == other and (self is other or self.spelling() == other.spelling())

    def spelling(self) -> list[tuple[str, str]]:
        """Return key and text of each address: addresses are equal by their keys alone."""
        return [(address.key, address.text) for address in self.addresses()]


@dataclass(frozen=True, slots=True)
class RecordChange:
    """The columns of one row of a file, or the options of a command: what is unset stays, what is empty is cleared."""

    external_id: str | Unset | None = UNSET
    last_name: str | Unset = UNSET
    first_name: str | Unset = UNSET
    owner: str | Unset | None = UNSET
    """A login."""
    source: str | Unset = UNSET
    email: Address | Unset | None = UNSET
    secondary_email: Address | Unset | None = UNSET
    add: tuple[Address, ...] = ()
    remove: tuple[Address, ...] = ()
    line: int = 0
    """Of the file, counted from 1."""


BAD_EXTERNAL_ID: Final = "an external ID has at most 255 characters, all of which can be shown"


def is_external_id(text: str) -> bool:
    """Tell whether the text can be the CRM's key of a record. An index of PostgreSQL takes not much more."""
    return len(text) <= 255 and text.isprintable()  # noqa: PLR2004 - the text above names the number, too


def changed(state: RecordState, change: RecordChange, owner_id: int | Unset | None) -> RecordState:
    """Return the record after the change. A changed address keeps matching (R25); a cleared one does not.

    A record without a name is named by its email, else by its external ID.
    """
    email = _chosen(change.email, state.email)
    secondary = _chosen(change.secondary_email, state.secondary_email)
    if secondary == email or secondary in change.remove:
        secondary = None
    external_id = _chosen(change.external_id, state.external_id)
    last_name = _chosen(change.last_name, state.last_name)
    return RecordState(
        external_id,
        last_name or (email.text if email else external_id or ""),
        _chosen(change.first_name, state.first_name),
        _chosen(owner_id, state.owner_id),
        _chosen(change.source, state.source),
        email,
        secondary,
        _others(state, change, (email, secondary)),
    )


def merged(state: RecordState, gone: RecordState) -> RecordState:
    """Return the record after another was merged into it: it gets the addresses, and the key if it has none."""
    kept = list(state.addresses())
    moved = [address for address in gone.addresses() if address not in kept]
    return replace(state, external_id=state.external_id or gone.external_id, others=(*state.others, *moved))


def _chosen(new: _V | Unset, old: _V) -> _V:
    if new is UNSET:
        return old
    return new


def _others(state: RecordState, change: RecordChange, present: tuple[Address | None, ...]) -> tuple[Address, ...]:
    if (state.email is None or state.email in present) and not (state.secondary_email or state.others or change.add):
        return ()  # nearly always
    replaced = [
        old
        for old, new in ((state.email, change.email), (state.secondary_email, change.secondary_email))
        if old and new and not isinstance(new, Unset)
    ]
    kept = dict.fromkeys((*state.others, *replaced, *change.add))
    return tuple(address for address in kept if address not in present and address not in change.remove)
