"""Every table. What must be unique is unique here, not in code; account data has `account_id` first in every key."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    UniqueConstraint,
    false,
    text,
)
from sqlmodel import Field, SQLModel

from worker.domain.records import RecordNames
from worker.store.columns import CleanText, UtcDateTime
from worker.store.packed_text import PackedEvent, PackedTrace

# Of these only few rows are so, and an index holds them: a query says it in these very words, else it is not used.
NOT_FILED = "outcome IN ('rejected', 'quarantined')"
UNPACKED = "digest IS NULL"
MADE_BY_MAIL = "made_for IS NOT NULL"
HAS_EXTERNAL_ID = "external_id IS NOT NULL"
EVENT_WAITS = "state IN ('pending', 'failed')"
EVENT_FAILED = "state IN ('failed', 'given_up')"


_IS_DIRECTION = "direction IN ('sent', 'received')"


def _direction() -> Any:
    """Declare who wrote the email (R28)."""
    return Field(default="sent", sa_type=CleanText, sa_column_kwargs={"server_default": "sent"})


def _claimed() -> Any:
    """Declare whether the email's place on a list rests on what the owner forwarded (R28)."""
    return Field(default=False, sa_column_kwargs={"server_default": false()})


def _of_account(*columns: str, to: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["account_id", *columns], [f"{to}.account_id", f"{to}.id"])


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Declare an index on the rows for which ``where`` holds.

    `worker.store.schema` names the same condition to PostgreSQL: naming it here would import that database's drivers
    in every command.
    """
    return Index(name, *columns, unique=unique, sqlite_where=text(where))


class AccountRow(SQLModel, table=True):
    """A customer of the CRM: users, records and emails of one account never meet another's."""

    __tablename__ = "account"
    __table_args__ = (UniqueConstraint("name_key", name="account_name_unique"),)
    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    name: str = Field(sa_type=CleanText)
    name_key: str = Field(sa_type=CleanText)
    record_names: str = Field(
        default=RecordNames.ADDRESS.value,
        sa_type=CleanText,
        sa_column_kwargs={"server_default": RecordNames.ADDRESS.value},
    )
    """What names the records that mail makes (R17)."""
    created_at: datetime = Field(sa_type=UtcDateTime)


class ProfileRow(SQLModel, table=True):
    """R7."""

    __tablename__ = "profile"
    __table_args__ = (
        ForeignKeyConstraint(["account_id"], ["account.id"]),
        UniqueConstraint("account_id", "name_key", name="profile_name_unique"),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    name: str = Field(sa_type=CleanText)
    name_key: str = Field(sa_type=CleanText)
    bcc_dropbox: bool
    leads: bool
    contacts: bool
    manage_profiles: bool


class UserRow(SQLModel, table=True):
    """The owner of a dropbox. `login_key` is the address key of the login."""

    __tablename__ = "dropbox_user"
    __table_args__ = (
        _of_account("profile_id", to="profile"),
        UniqueConstraint("account_id", "login_key", name="user_login_unique"),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    login: str = Field(sa_type=CleanText)
    login_key: str = Field(sa_type=CleanText)
    profile_id: int = Field(sa_type=BigInteger)
    pattern: str = Field(sa_type=CleanText)
    enabled: bool = True
    created_at: datetime = Field(sa_type=UtcDateTime)


class SenderRow(SQLModel, table=True):
    """R11: the five slots of the primary key are what refuses a sixth address, however many requests race."""

    __tablename__ = "sender"
    __table_args__ = (
        _of_account("user_id", to="dropbox_user"),
        CheckConstraint("slot BETWEEN 1 AND 5", name="sender_slot_of_five"),
        UniqueConstraint("account_id", "user_id", "address_key", name="sender_address_unique"),
        Index("sender_by_address", "account_id", "address_key"),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    user_id: int = Field(primary_key=True, sa_type=BigInteger)
    slot: int = Field(primary_key=True)
    address: str = Field(sa_type=CleanText)
    address_key: str = Field(sa_type=CleanText)
    proven_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    code_digest: str | None = Field(default=None, sa_type=CleanText)
    code_expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    code_tries: int = 0


class TokenRow(SQLModel, table=True):
    """R1, R2: every token ever issued, over all accounts; the one without an end is the user's present one."""

    __tablename__ = "token"
    __table_args__ = (
        _of_account("user_id", to="dropbox_user"),
        _partial("token_one_present", "account_id", "user_id", where="valid_until IS NULL", unique=True),
        Index("token_by_user", "account_id", "user_id"),
    )
    token: str = Field(primary_key=True, sa_type=CleanText)
    account_id: int = Field(sa_type=BigInteger)
    user_id: int = Field(sa_type=BigInteger)
    issued_at: datetime = Field(sa_type=UtcDateTime)
    valid_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class NeverLogRow(SQLModel, table=True):
    """R14: an address key or a domain (IDNA form) that is never logged."""

    __tablename__ = "never_log"
    __table_args__ = (ForeignKeyConstraint(["account_id"], ["account.id"]),)
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    entry: str = Field(primary_key=True, sa_type=CleanText)


class RecordRow(SQLModel, table=True):
    """A lead or contact. ``email`` is the text of its primary address, so that lists need no join.

    ``made_for`` is the address key that a mail made it for: two mails that race make one record (R17). Nothing is
    found by it; a person who changes the record's addresses clears it.
    """

    __tablename__ = "record"
    __table_args__ = (
        ForeignKeyConstraint(["account_id"], ["account.id"]),
        _of_account("owner_id", to="dropbox_user"),
        _partial("record_made_once", "account_id", "module", "made_for", where=MADE_BY_MAIL, unique=True),
        _partial(
            "record_external_id_unique", "account_id", "module", "external_id", where=HAS_EXTERNAL_ID, unique=True
        ),
        Index("record_by_module", "account_id", "module", "id"),
        Index("record_by_owner", "account_id", "owner_id", "module", "id"),
        CheckConstraint("module IN ('lead', 'contact')", name="record_module"),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    module: str = Field(sa_type=CleanText)
    external_id: str | None = Field(default=None, sa_type=CleanText)
    last_name: str = Field(sa_type=CleanText)
    first_name: str = Field(default="", sa_type=CleanText)
    email: str | None = Field(default=None, sa_type=CleanText)
    owner_id: int | None = Field(default=None, sa_type=BigInteger)
    source: str = Field(default="", sa_type=CleanText)
    made_for: str | None = Field(default=None, sa_type=CleanText)
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: int | None = Field(default=None, sa_type=BigInteger)
    """The user who added it; None for mail, and for commands without ``--as``."""
    changed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    changed_by: int | None = Field(default=None, sa_type=BigInteger)


class RecordAddressRow(SQLModel, table=True):
    """An address that a record matches by (R16, R25): its primary is at position 1, its secondary one at 2."""

    __tablename__ = "record_address"
    __table_args__ = (
        _of_account("record_id", to="record"),
        UniqueConstraint("account_id", "address_key", "record_id", name="record_address_once"),
        CheckConstraint("position > 0", name="record_address_position"),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    record_id: int = Field(primary_key=True, sa_type=BigInteger)
    position: int = Field(primary_key=True)
    address_key: str = Field(sa_type=CleanText)
    address: str = Field(sa_type=CleanText)


class FormerRecordRow(SQLModel, table=True):
    """What became of a record that is no more (R25): who deleted it, or into which record it was merged."""

    __tablename__ = "former_record"
    __table_args__ = (
        ForeignKeyConstraint(["account_id"], ["account.id"]),
        CheckConstraint("module IN ('lead', 'contact')", name="former_record_module"),
        _partial("former_record_by_external_id", "account_id", "module", "external_id", where=HAS_EXTERNAL_ID),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    module: str = Field(sa_type=CleanText)
    merged_into: int | None = Field(default=None, sa_type=BigInteger)
    """None: it was deleted."""
    external_id: str | None = Field(default=None, sa_type=CleanText)
    """The CRM's key of a merged or converted record, if no record of its module took the key.

    An import does not make the record again while the surviving record exists.
    """
    ended_at: datetime = Field(sa_type=UtcDateTime)
    ended_by: int | None = Field(default=None, sa_type=BigInteger)


class RecordQuotaRow(SQLModel, table=True):
    """How many records an owner's mail has made on the last day (UTC) on which it made any (R13)."""

    __tablename__ = "record_quota"
    __table_args__ = (_of_account("user_id", to="dropbox_user"),)
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    user_id: int = Field(primary_key=True, sa_type=BigInteger)
    day: date = Field(sa_type=Date)
    made: int = Field(sa_type=Integer)


class EmailRow(SQLModel, table=True):
    """The parsed fields of a stored email (R20); the original is in `email_content`."""

    __tablename__ = "email"
    __table_args__ = (
        ForeignKeyConstraint(["account_id"], ["account.id"]),
        UniqueConstraint("account_id", "fingerprint", name="email_stored_once"),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    fingerprint: bytes = Field(sa_type=LargeBinary)
    message_id: str = Field(sa_type=CleanText)
    thread_id: str = Field(sa_type=CleanText)
    subject: str = Field(sa_type=CleanText)
    sender: str = Field(sa_type=CleanText)
    recipients: list[str] = Field(sa_type=JSON)
    attachments: list[dict[str, Any]] = Field(sa_type=JSON)
    snippet: str = Field(sa_type=CleanText)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    arrived_at: datetime = Field(sa_type=UtcDateTime)
    stored_at: datetime = Field(sa_type=UtcDateTime)
    size: int = Field(sa_type=BigInteger)
    verified: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Our own mail server vouched for the sender (R13)."""


class EmailContentRow(SQLModel, table=True):
    """The original message, compressed (R20, R30); a table of its own, so that lists never read it.

    `worker.store.originals` writes and reads it. ``digest`` is the SHA-256 of the message; rows from before
    compression have none.
    """

    __tablename__ = "email_content"
    __table_args__ = (
        _of_account("email_id", to="email"),
        _partial("email_content_unpacked", "account_id", "email_id", where=UNPACKED),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    email_id: int = Field(primary_key=True, sa_type=BigInteger)
    original: bytes = Field(sa_type=LargeBinary)
    encoding: str = Field(default="plain", sa_type=CleanText, sa_column_kwargs={"server_default": "plain"})
    digest: bytes | None = Field(default=None, sa_type=LargeBinary)


class EmailOwnerRow(SQLModel, table=True):
    """Whose dropbox the email came through (R19)."""

    __tablename__ = "email_owner"
    __table_args__ = (
        _of_account("email_id", to="email"),
        _of_account("user_id", to="dropbox_user"),
        Index("email_owner_by_user", "account_id", "user_id", "email_id"),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    email_id: int = Field(primary_key=True, sa_type=BigInteger)
    user_id: int = Field(primary_key=True, sa_type=BigInteger)


class AssociationRow(SQLModel, table=True):
    """An email on the list of a record, once (R18). `created`: this email made the record."""

    __tablename__ = "association"
    __table_args__ = (
        CheckConstraint(_IS_DIRECTION, name="association_direction"),
        _of_account("email_id", to="email"),
        _of_account("record_id", to="record"),
        Index("association_by_record", "account_id", "record_id", "email_id"),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    email_id: int = Field(primary_key=True, sa_type=BigInteger)
    record_id: int = Field(primary_key=True, sa_type=BigInteger)
    created: bool
    direction: str = _direction()
    claimed: bool = _claimed()


class UnmatchedRow(SQLModel, table=True):
    """A person who waits for a record (R15): a recipient, or who wrote a mail that was forwarded (R28)."""

    __tablename__ = "unmatched"
    __table_args__ = (
        _of_account("email_id", to="email"),
        CheckConstraint(_IS_DIRECTION, name="unmatched_direction"),
        Index("unmatched_by_address", "account_id", "address_key"),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    email_id: int = Field(primary_key=True, sa_type=BigInteger)
    address_key: str = Field(primary_key=True, sa_type=CleanText)
    address: str = Field(sa_type=CleanText)
    direction: str = _direction()
    claimed: bool = _claimed()


class MailboxRow(SQLModel, table=True):
    """A queue that some worker empties, and how its last poll went (for `status`)."""

    __tablename__ = "mailbox"
    __table_args__ = (UniqueConstraint("name", name="mailbox_name_unique"),)
    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    name: str = Field(sa_type=CleanText)
    last_poll_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_good_poll_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_error: str | None = Field(default=None, sa_type=CleanText)
    backlog: int = 0
    oldest_arrived_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    worker: str | None = Field(default=None, sa_type=CleanText)


class AttemptRow(SQLModel, table=True):
    """A message at work, or one that failed before. Written before the work, so that a killed process counts too."""

    __tablename__ = "attempt"
    __table_args__ = (
        ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"]),
        CheckConstraint("in_hand IN ('batch', 'alone')", name="attempt_in_hand"),
    )
    mailbox_id: int = Field(primary_key=True, sa_type=BigInteger)
    uidvalidity: int = Field(primary_key=True, sa_type=BigInteger)
    uid: int = Field(primary_key=True, sa_type=BigInteger)
    in_hand: str | None = Field(default=None, sa_type=CleanText)
    worker: str = Field(sa_type=CleanText)
    """The process that holds the mark."""
    suspect: bool = False
    strikes: int = 0
    error: str | None = Field(default=None, sa_type=CleanText)


class DecisionRow(SQLModel, table=True):
    """The one end of one message; `outcome` is that of the verdict which named the folder."""

    __tablename__ = "decision"
    __table_args__ = (
        ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"]),
        UniqueConstraint("mailbox_id", "uidvalidity", "uid", name="decision_one_per_message"),
        Index("decision_by_message_id", "message_id"),
        Index("decision_by_time", "mailbox_id", "decided_at"),
        _partial("decision_not_filed", "mailbox_id", "outcome", "decided_at", where=NOT_FILED),
    )
    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    mailbox_id: int = Field(sa_type=BigInteger)
    uidvalidity: int = Field(sa_type=BigInteger)
    uid: int = Field(sa_type=BigInteger)
    outcome: str = Field(sa_type=CleanText)
    message_id: str = Field(sa_type=CleanText)
    sender: str = Field(sa_type=CleanText)
    subject: str = Field(sa_type=CleanText)
    recipients: list[str] = Field(sa_type=JSON)
    size: int = Field(sa_type=BigInteger)
    arrived_at: datetime = Field(sa_type=UtcDateTime)
    decided_at: datetime = Field(sa_type=UtcDateTime)


class VerdictRow(SQLModel, table=True):
    """The decision for one owner, with its trace; no owner's trace names another (R6)."""

    __tablename__ = "verdict"
    __table_args__ = (
        ForeignKeyConstraint(["decision_id"], ["decision.id"]),
        Index("verdict_by_owner", "account_id", "user_id", "decision_id"),
    )
    decision_id: int = Field(primary_key=True, sa_type=BigInteger)
    ordinal: int = Field(primary_key=True)
    account_id: int | None = Field(default=None, sa_type=BigInteger)
    user_id: int | None = Field(default=None, sa_type=BigInteger)
    outcome: str = Field(sa_type=CleanText)
    reason: str | None = Field(default=None, sa_type=CleanText)
    email_id: int | None = Field(default=None, sa_type=BigInteger)
    trace: dict[str, Any] = Field(sa_type=JSON)
    """Empty while it is ``packed``."""
    packed: str | None = Field(default=None, sa_type=PackedTrace)
    """The same JSON, compressed, of a filed message."""


class NoticeRow(SQLModel, table=True):
    """A notice to an owner about one message that was not filed; the key allows one per owner, cause and day (UTC).

    Written with the decision and sent later; while `taken_at` is recent, somebody is about to send it.
    """

    __tablename__ = "notice"
    __table_args__ = (
        _of_account("user_id", to="dropbox_user"),
        ForeignKeyConstraint(["decision_id", "ordinal"], ["verdict.decision_id", "verdict.ordinal"]),
        Index("notice_by_decision", "decision_id", "ordinal"),
        _partial("notice_waiting", "day", "decision_id", where="settled_at IS NULL"),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    user_id: int = Field(primary_key=True, sa_type=BigInteger)
    cause: str = Field(primary_key=True, sa_type=CleanText)
    day: date = Field(primary_key=True, sa_type=Date)
    decision_id: int = Field(sa_type=BigInteger)
    ordinal: int
    taken_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    settled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    refusal: str | None = Field(default=None, sa_type=CleanText)
    """The mail server's permanent error for the notice; None when it accepted the notice."""


class RoomRow(SQLModel, table=True):
    """Bytes that the database filled on a day (UTC), from which `status` tells its growth."""

    __tablename__ = "room"
    day: date = Field(primary_key=True, sa_type=Date)
    used: int = Field(sa_type=BigInteger)


class WebhookRow(SQLModel, table=True):
    """The one endpoint of an account (R26). The worker that delivers to it claims it until `leased_until`."""

    __tablename__ = "webhook"
    __table_args__ = (
        ForeignKeyConstraint(["account_id"], ["account.id"]),
        UniqueConstraint("id", name="webhook_id_unique"),
        CheckConstraint("state IN ('active', 'disabled', 'paused')", name="webhook_state"),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(sa_type=BigInteger)
    url: str = Field(sa_type=CleanText)
    secret: str = Field(sa_type=CleanText)
    old_secret: str | None = Field(default=None, sa_type=CleanText)
    old_secret_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    state: str = Field(sa_type=CleanText)
    paused_because: str | None = Field(default=None, sa_type=CleanText)
    pause_told: bool = True
    """Whether the operator knows of the pause."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    failures: int = 0
    retry_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_delivered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_failed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_error: str | None = Field(default=None, sa_type=CleanText)
    leased_to: str | None = Field(default=None, sa_type=CleanText)
    leased_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class EventRow(SQLModel, table=True):
    """An event for the account's CRM (R26), written in the transaction of the change itself.

    It refers to nothing by a foreign key: it outlives its record or email.
    """

    __tablename__ = "event"
    __table_args__ = (
        _partial("event_waiting", "account_id", "id", where=EVENT_WAITS),
        _partial("event_failed", "account_id", "id", where=EVENT_FAILED),
    )
    account_id: int = Field(primary_key=True, sa_type=BigInteger)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    type: str = Field(sa_type=CleanText)
    record_id: int | None = Field(default=None, sa_type=BigInteger)
    merged_id: int | None = Field(default=None, sa_type=BigInteger)
    email_id: int | None = Field(default=None, sa_type=BigInteger)
    data: str = Field(sa_type=CleanText)
    """JSON as it is sent, so that each attempt sends the same bytes; empty while it is ``packed``."""
    packed: str | None = Field(default=None, sa_type=PackedEvent)
    """The same JSON, compressed, of an event that no endpoint waits for."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    state: str = Field(sa_type=CleanText)
    attempts: int = 0
    first_attempt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_attempt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    settled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_error: str | None = Field(default=None, sa_type=CleanText)
