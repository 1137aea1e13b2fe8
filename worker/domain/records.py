"""Leads and contacts as the core sees them, and the snapshot of what the database knows (R14 to R19)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from worker.domain.addresses import Address
from worker.domain.patterns import Module
from worker.domain.person_names import PersonName

PRIMARY, SECONDARY, FIRST_OTHER = 1, 2, 3
"""Positions of a record's addresses: its email, its secondary email, and the first of those that it also matches by."""


class RecordNames(StrEnum):
    """What an account names the records after that mail makes (R17)."""

    ADDRESS = "address"
    DISPLAY_NAME = "display-name"


SOURCE = "BCC Dropbox"
"""The source of a record that a mail made (R17)."""


class Direction(StrEnum):
    """Who wrote an email on a record's list: our side, or the person of the record (R18, R28)."""

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
    """What one account knows of the addresses and emails of a batch. Addresses are keys (`Address.key`)."""

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
    """What the core asks of one account before it can decide: address keys (with their domains) and fingerprints."""

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
