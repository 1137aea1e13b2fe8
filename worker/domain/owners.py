"""The owner of a dropbox, with everything that the rules ask about."""

from dataclasses import dataclass

from worker.domain.addresses import Address
from worker.domain.patterns import SearchPattern
from worker.domain.profiles import Permission
from worker.domain.records import RecordNames

MOST_SENDERS = 5
"""R11: a user registers up to five sender addresses."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A user with permissions, search pattern and registered senders (address keys)."""

    account_id: int
    id: int
    login: str
    enabled: bool
    permissions: frozenset[Permission]
    pattern: SearchPattern
    senders: frozenset[str]
    unproven_senders: frozenset[str] = frozenset()
    """Registered but not yet proven; they count only for an authenticated mail (R13)."""
    record_names: RecordNames = RecordNames.ADDRESS
    """What names the records that the owner's mail makes (R17)."""
    account: str | None = None
    """The account's name, when there are several accounts."""

    def sends_as(self, address: Address) -> bool:
        """Tell whether this is an address of the owner's own, proven or not."""
        return address.key in self.senders or address.key in self.unproven_senders

    def __str__(self) -> str:
        return self.login
