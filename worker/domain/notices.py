"""Word to an owner whose mail was not filed: what is told, and the door to where untold notices wait."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from worker.domain.addresses import Address
from worker.domain.outcomes import Outcome, Reason
from worker.domain.verdicts import Verdict

Cause = Reason | Outcome
"""Why a mail was rejected, or `Outcome.QUARANTINED`."""


@dataclass(frozen=True, slots=True)
class NoticeKey:
    """At most one notice per owner, cause and day (UTC)."""

    account_id: int
    user_id: int
    cause: Cause
    day: date


@dataclass(frozen=True, slots=True)
class Notice:
    """One mail that was not filed, and the login address of the owner who is told. Its texts are cleaned."""

    key: NoticeKey
    login: Address
    sender: str
    subject: str
    recipients: tuple[str, ...]
    message_id: str
    arrived_at: datetime
    note: str | None
    account: str | None = None
    """The owner's account, where there are several."""


class Outbox(Protocol):
    """The notices that wait. Every method is one transaction and raises `Unavailable` when the database is down."""

    def take(self, now: datetime) -> Notice | None:
        """The oldest that waits; for a quarter of an hour nobody else gets it, and whoever died with it has lost it."""

    def put_back(self, notice: Notice) -> None:
        """It was not sent and waits again."""

    def settle(self, notice: Notice, now: datetime, refusal: str | None = None) -> None:
        """It was sent, or for good refused with these words."""


def cause_of(verdict: Verdict) -> Cause | None:
    """What the owner is to be told of this end of their mail; None when there is nothing, or it may not be theirs."""
    if verdict.owner is None or not verdict.is_certain:
        return None
    return verdict.outcome if verdict.outcome is Outcome.QUARANTINED else verdict.reason


def cause_named(name: str) -> Cause:
    """The cause with this value."""
    return Outcome.QUARANTINED if name == Outcome.QUARANTINED.value else Reason(name)
