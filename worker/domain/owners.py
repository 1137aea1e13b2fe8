"""The owner of a dropbox, as the core needs to know it to judge a message."""

from dataclasses import dataclass

from worker.domain.patterns import SearchPattern
from worker.domain.profiles import Permission

MOST_SENDERS = 5
"""R11: a user registers up to five sender addresses."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A user with what the rules ask about: permissions, pattern, registered senders (address keys)."""

    account_id: int
    id: int
    login: str
    enabled: bool
    permissions: frozenset[Permission]
    pattern: SearchPattern
    senders: frozenset[str]
    unproven_senders: frozenset[str] = frozenset()
    """Registered, but not yet shown to be the user's: they count only with an authenticated mail (R13)."""
    account: str | None = None
    """The account's name, where there are several."""

    def __str__(self) -> str:
        return self.login
