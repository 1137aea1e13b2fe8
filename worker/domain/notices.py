"""Notices to owners whose mail was not filed, or not wholly: what they say, and the port to where they wait."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from worker.domain.addresses import Address
from worker.domain.outcomes import Outcome, Reason
from worker.domain.traces import Detail
from worker.domain.verdicts import Verdict


class Limit(StrEnum):
    """A limit that a filed mail reached."""

    NEW_RECORDS = "new_records_limit"


Cause = Reason | Outcome | Limit
"""Why a mail was rejected, `Outcome.QUARANTINED`, or what limit it reached."""


@dataclass(frozen=True, slots=True)
class NoticeKey:
    """At most one notice per owner, cause and day (UTC)."""

    account_id: int
    user_id: int
    cause: Cause
    day: date


@dataclass(frozen=True, slots=True)
class Notice:
    """One mail, and the login address of the owner who gets the notice. Its texts are cleaned."""

    key: NoticeKey
    login: Address
    sender: str
    subject: str
    recipients: tuple[str, ...]
    message_id: str
    arrived_at: datetime
    note: Detail | None
    account: str | None = None
    """The owner's account, where there are several."""


class Outbox(Protocol):
    """The notices that wait. Every method is one transaction and raises `Unavailable` when the database is down."""

    def take(self, now: datetime) -> Notice | None:
        """Claim the oldest notice for 15 minutes; the claim expires if the worker crashes."""

    def put_back(self, notice: Notice) -> None:
        """Give the claim on a notice back: it was not sent."""

    def settle(self, notice: Notice, now: datetime, refusal: str | None = None) -> None:
        """Mark a notice as sent, or as refused by the mail server with these words."""


def cause_of(verdict: Verdict) -> Cause | None:
    """Return why the owner gets a notice of this end; None when there is no reason, or the mail may not be theirs."""
    if verdict.owner is None or not verdict.is_certain:
        return None
    if verdict.outcome is Outcome.QUARANTINED:
        return verdict.outcome
    return Limit.NEW_RECORDS if verdict.is_limited else verdict.reason


def cause_named(name: str) -> Cause:
    """Return the cause with this value."""
    causes: dict[str, Cause] = {cause.value: cause for cause in (Outcome.QUARANTINED, *Limit, *Reason)}
    return causes[name]
