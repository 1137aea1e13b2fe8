"""The types of events and the data of each (R26). The data are thin: they have no body and no token."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from json.encoder import encode_basestring as _text  # JSON's form of a text
from typing import Self

from worker.domain.outcomes import Outcome
from worker.domain.permissions import Module
from worker.domain.verdicts import Filing, Verdict

_ID = re.compile(r"evt_[0-9a-f]{1,12}_([0-9]{1,18})")


class EventType(StrEnum):
    """Everything that an endpoint can be told; an interface, so never renamed."""

    EMAIL_ASSOCIATED = "email.associated"
    EMAIL_UNMATCHED = "email.unmatched"
    EMAIL_ERASED = "email.erased"
    RECORD_CREATED = "record.created"
    RECORD_UPDATED = "record.updated"
    RECORD_MERGED = "record.merged"
    RECORD_DELETED = "record.deleted"
    MESSAGE_REJECTED = "message.rejected"
    MESSAGE_QUARANTINED = "message.quarantined"
    DROPBOX_REGENERATED = "dropbox.regenerated"


TRIAL_TYPE = "webhook.test"
"""What `webhook test` sends. It is not stored."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in an account. Events of one record are delivered in the order in which they are written.

    A merge concerns two records: the surviving one in ``record_id`` and the other in ``merged_id``.
    """

    account_id: int
    type: EventType
    data: str
    """A JSON object. The name of the account is added when it is written."""
    record_id: int | None = None
    merged_id: int | None = None
    email_id: int | None = None


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """A record as events describe it."""

    id: int
    module: Module
    email: str | None
    external_id: str | None = None

    def without_address(self) -> Self:
        """Return what may be said of an erased record (R29)."""
        return replace(self, email=None)

    @property
    def fields(self) -> str:
        """The JSON fields that every event of a record has."""
        return (
            f'"record_id":{self.id},"module":"{self.module.value}",'
            f'"external_id":{_or_null(self.external_id)},"email":{_or_null(self.email)}'
        )


@dataclass(frozen=True, slots=True)
class EmailFacts:
    """A stored email as events describe it: the JSON fields that every event of it has."""

    id: int
    fields: str

    @classmethod
    def of(  # noqa: PLR0913, PLR0917 - the fields are the interface
        cls,
        email_id: int,
        message_id: str,
        subject: str,
        sender: str,
        recipients: Sequence[str],
        sent_at: datetime | None,
        arrived_at: datetime,
        *,
        list_: str,
        claimed: bool,
        verified: bool,
        owner: str | None,
    ) -> Self:
        """Describe an email. Its texts are clean, and tokens in them are masked.

        Written by hand, as each filed mail has an event: to encode a dict takes three times as long.
        """
        return cls(
            email_id,
            f'"email_id":{email_id},"message_id":{_text(message_id)},"subject":{_text(subject)},'
            f'"sender":{_text(sender)},"recipients":[{",".join(map(_text, recipients))}],'
            f'"sent_at":{_time_or_null(sent_at)},"arrived_at":"{time_text(arrived_at)}",'
            f'"list":"{list_}","claimed":{_bool(claimed)},"verified":{_bool(verified)},"owner":{_or_null(owner)}',
        )


def email_associated(account_id: int, email: EmailFacts, record: RecordFacts, *, created: bool) -> Event:
    """Report that a record has this email on its list now; ``created``: the email made the record."""
    data = f'{{{record.fields},{email.fields},"created":{_bool(created)}}}'
    return Event(account_id, EventType.EMAIL_ASSOCIATED, data, record_id=record.id, email_id=email.id)


def email_unmatched(account_id: int, email: EmailFacts, address: str) -> Event:
    """Report that a recipient of this email waits for a record (R15)."""
    data = f'{{"address":{_text(address)},{email.fields}}}'
    return Event(account_id, EventType.EMAIL_UNMATCHED, data, email_id=email.id)


def email_erased(account_id: int, email_id: int) -> Event:
    """Report that a stored email was erased (R29); of what it said, nothing."""
    return Event(account_id, EventType.EMAIL_ERASED, f'{{"email_id":{email_id}}}', email_id=email_id)


def record_created(account_id: int, record: RecordFacts, *, owner: str | None, source: str) -> Event:
    """Report a new lead or contact."""
    data = f'{{{record.fields},"owner":{_or_null(owner)},"source":{_text(source)}}}'
    return Event(account_id, EventType.RECORD_CREATED, data, record_id=record.id)


def record_updated(account_id: int, record: RecordFacts, changed: Iterable[str]) -> Event:
    """Report which fields of a record changed; ``record`` is as it is now."""
    data = f'{{{record.fields},"changed":[{",".join(map(_text, sorted(changed)))}]}}'
    return Event(account_id, EventType.RECORD_UPDATED, data, record_id=record.id)


def record_merged(account_id: int, record: RecordFacts, merged: RecordFacts) -> Event:
    """Report that ``merged`` is gone and that its emails and addresses are those of ``record`` now."""
    data = (
        f'{{{record.fields},"merged_record_id":{merged.id},"merged_module":"{merged.module.value}",'
        f'"merged_external_id":{_or_null(merged.external_id)}}}'
    )
    return Event(account_id, EventType.RECORD_MERGED, data, record_id=record.id, merged_id=merged.id)


def record_deleted(account_id: int, record: RecordFacts) -> Event:
    """Report that a record is gone."""
    return Event(account_id, EventType.RECORD_DELETED, f"{{{record.fields}}}", record_id=record.id)


def dropbox_regenerated(account_id: int, user: str, old_valid_until: datetime) -> Event:
    """Report that a user has a new dropbox address, and when the old one stops. It holds neither address."""
    data = f'{{"user":{_text(user)},"old_valid_until":"{time_text(old_valid_until)}"}}'
    return Event(account_id, EventType.DROPBOX_REGENERATED, data)


def message_ended(filing: Filing, verdict: Verdict) -> Event | None:
    """Report a mail that was rejected or quarantined. Return None where the mail may not be its owner's (R26)."""
    if verdict.owner is None or not verdict.is_certain or verdict.outcome.is_filed:
        return None
    type_ = EventType.MESSAGE_REJECTED if verdict.outcome is Outcome.REJECTED else EventType.MESSAGE_QUARANTINED
    data = (
        f'{{"owner":{_text(verdict.owner.login)},"reason":{_or_null(verdict.reason)},"uid":{filing.uid},'
        f'"message_id":{_text(filing.message_id)},"subject":{_text(filing.subject)},"sender":{_text(filing.sender)},'
        f'"recipients":[{",".join(map(_text, filing.recipients))}],"arrived_at":"{time_text(filing.arrived_at)}"}}'
    )
    return Event(verdict.owner.account_id, type_, data)


def event_id(number: int, created_at: datetime) -> str:
    """Return the ``webhook-id`` of the event with this number. It begins with the time, so that it sorts by it."""
    return f"evt_{round(created_at.timestamp() * 1000):011x}_{number}"


def trial(account: str, now: datetime) -> tuple[str, str]:
    """Return the ``webhook-id`` and the body of what `webhook test` sends."""
    return event_id(0, now), envelope(TRIAL_TYPE, now, f'{{"account":{_text(account)}}}')


def event_number(text: str) -> int | None:
    """Return the number in a ``webhook-id``; None for any other text."""
    found = _ID.fullmatch(text.strip().lower())
    return int(found[1]) if found else None


def envelope(type_: str, created_at: datetime, data: str) -> str:
    """Return the body of a delivery as Standard Webhooks asks for it; ``data`` is JSON."""
    return f'{{"type":"{type_}","timestamp":"{time_text(created_at)}","data":{data}}}'


def time_text(moment: datetime) -> str:
    """Return a UTC time in ISO 8601, with a Z."""
    return moment.isoformat().replace("+00:00", "Z")


def _bool(value: bool) -> str:  # noqa: FBT001 - a value of JSON
    return "true" if value else "false"


def _or_null(text: str | None) -> str:
    return "null" if text is None else _text(text)


def _time_or_null(moment: datetime | None) -> str:
    return "null" if moment is None else f'"{time_text(moment)}"'
