"""What the core says of a message: a verdict for each owner, one end in all, and the notices of what was not filed."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from worker.domain.addresses import Address
from worker.domain.messages import Content
from worker.domain.outcomes import Code, Detail, Folder, Outcome, Reason
from worker.domain.permissions import Module
from worker.domain.records import Direction, RecordRef, StoredEmail
from worker.domain.tokens import Owner


@dataclass(frozen=True, slots=True)
class NewEmail:
    """An email to be stored. Equal for the same fingerprint in the same account: stored once (R19)."""

    account_id: int
    fingerprint: bytes
    content: Content = field(compare=False)

    @property
    def owners(self) -> frozenset[int]:
        """The owners who have a copy of it already: none."""
        return frozenset()

    def __hash__(self) -> int:
        return hash(self.fingerprint)


EmailRef = StoredEmail | NewEmail


class RecipientResult(StrEnum):
    """The result for one recipient."""

    MATCHED = "matched"
    CREATED = "created"
    UNMATCHED = "unmatched"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class NamedRecord:
    """A record as a stored trace names it."""

    module: Module
    id: int


@dataclass(frozen=True, slots=True)
class RecipientTrace:
    """One recipient: what became of it and why, and the record if there is one."""

    address: str
    result: RecipientResult
    why: Detail
    record: RecordRef | NamedRecord | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """The reasons for a verdict, in the order of the rules. A part stays None when an earlier rule decided."""

    token_header: str | None = None
    token: str | None = None
    """Masked."""
    sender: str | None = None
    sender_check: Detail | None = None
    authentication: Detail | None = None
    note: Detail | None = None
    """What the end rests on beyond its reason: a size, a sign of automatic mail, the error of a quarantined message."""
    recipients: tuple[RecipientTrace, ...] = ()
    forward: Detail | None = None
    """Which mail of somebody else is filed, as the owner claims (R28)."""


@dataclass(frozen=True, slots=True)
class Stated:
    """The fields that an attached mail has. Those of the message itself are in its `Filing`."""

    message_id: str
    sender: str
    subject: str
    recipients: tuple[str, ...]
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Association:
    """A record that gets the email on its list, and whether this email made the record."""

    record: RecordRef
    created: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a message for one owner; a message with an unknown token has no owner.

    A forward has one verdict for each mail that is attached to it (R28).
    """

    outcome: Outcome
    trace: Trace
    reason: Reason | None = None
    owner: Owner | None = None
    email: EmailRef | None = None
    associations: tuple[Association, ...] = ()
    """Only the associations that the email does not have yet."""
    unmatched: tuple[Address, ...] = ()
    direction: Direction = Direction.SENT
    """On which of their lists the records get the email."""
    is_claimed: bool = False
    """Only the owner says so, by a forward (R28)."""
    stated: Stated | None = None
    """None where the email is the message itself."""
    proven_sender: str | None = None
    """Address key of a sender that this authenticated mail has shown to be the owner's."""
    is_certain: bool = False
    """The mail is the owner's own, registered and authenticated: only then may they be told how it ended."""

    @property
    def is_limited(self) -> bool:
        """True when a recipient got no record because the owner's mail has made enough for today (R13)."""
        return any(found.why.code is Code.NEW_RECORDS_LIMIT for found in self.trace.recipients)


@dataclass(frozen=True, slots=True)
class Filing:
    """Everything to be stored of one message."""

    uid: int
    arrived_at: datetime
    size: int
    message_id: str
    sender: str
    subject: str
    recipients: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    sent_at: datetime | None = None
    """None also where the body was not read."""

    @property
    def deciding(self) -> Verdict:
        """The verdict that names the folder: associated before duplicate before quarantined before rejected."""
        if len(self.verdicts) == 1:  # nearly always, and asked for several times a message
            return self.verdicts[0]
        return min(self.verdicts, key=lambda verdict: list(Outcome).index(verdict.outcome))

    @property
    def folder(self) -> Folder:
        """The folder to which the message is moved once this is committed."""
        return self.deciding.outcome.folder


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
