"""Writes everything that a batch of filings says: a dozen statements, whatever its size."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, update
from sqlmodel import col

from worker.domain.events import (
    EmailFacts,
    Event,
    RecordFacts,
    email_associated,
    email_unmatched,
    message_ended,
    record_created,
)
from worker.domain.outcomes import Outcome
from worker.domain.records import PRIMARY, SOURCE, NewRecord
from worker.domain.verdicts import EmailRef, Filing, NewEmail, Stated, Verdict
from worker.store import attempts
from worker.store.attempts import Uids
from worker.store.event_log import write_events
from worker.store.inserts import allocate, insert_rows
from worker.store.originals import StoredOriginal, in_full_pages, pack
from worker.store.snapshot import count_made
from worker.store.tables import (
    AssociationRow,
    DecisionRow,
    EmailContentRow,
    EmailOwnerRow,
    EmailRow,
    RecordAddressRow,
    RecordRow,
    SenderRow,
    UnmatchedRow,
    VerdictRow,
)
from worker.store.traces import record_id, trace_columns, write_notices
from worker.store.waiting import attach_to_made

_LONGEST_MESSAGE_ID = 998
"""Bytes (a line of RFC 5322 §2.1.1): what PostgreSQL's index takes is not much more."""

_ASSOCIATION_KEY = ("account_id", "email_id", "record_id")
_PROVE = update(SenderRow).where(
    col(SenderRow.account_id) == bindparam("of_account"),
    col(SenderRow.user_id) == bindparam("of_user"),
    col(SenderRow.address_key) == bindparam("of_address"),
    col(SenderRow.proven_at).is_(None),
)


@dataclass(frozen=True, slots=True)
class _Batch:
    """The filings with the numbers of what they make."""

    filings: Sequence[Filing]
    now: datetime
    records: Mapping[NewRecord, int]
    emails: Mapping[NewEmail, int]

    def email_id(self, email: EmailRef) -> int:
        return self.emails[email] if isinstance(email, NewEmail) else email.id

    def associated(self) -> Iterator[tuple[int, int, Filing, Verdict]]:
        """Yield account, email, filing and verdict wherever an email gains an owner."""
        for filing in self.filings:
            for verdict in filing.verdicts:
                if verdict.outcome is Outcome.ASSOCIATED and verdict.owner and verdict.email:
                    yield verdict.owner.account_id, self.email_id(verdict.email), filing, verdict


def commit(
    connection: Connection, messages: Uids, filings: Sequence[Filing], now: datetime, *, gives_notice: bool = False
) -> None:
    """Write the filings of ``messages`` on this transaction.

    ``gives_notice``: also write a notice for the owner of each mail that is not filed.

    Raises:
        Conflict: another worker wrote the same rows first. The transaction raises it for a broken constraint.
        Unavailable: the database is down.
    """
    batch = _numbered(connection, filings, now)
    with ThreadPoolExecutor(1, thread_name_prefix="pack") as beside:
        originals = beside.submit(pack, [email.content.raw for email in batch.emails])
        _write(connection, messages, batch, gives_notice=gives_notice)
        insert_rows(connection, EmailContentRow, in_full_pages(_contents(batch, originals.result())), at_once=10)


def _write(connection: Connection, messages: Uids, batch: _Batch, *, gives_notice: bool) -> None:
    now = batch.now
    insert_rows(connection, RecordRow, _records(batch))
    insert_rows(connection, RecordAddressRow, _addresses(batch))
    count_made(connection, batch.records, now.date())
    insert_rows(connection, EmailRow, _emails(batch))
    insert_rows(connection, EmailOwnerRow, _owners(batch))
    associations = _associations(batch)
    insert_rows(connection, AssociationRow, list(associations.values()))
    insert_rows(connection, UnmatchedRow, _unmatched(batch))
    write_events(connection, list(_events(batch)), now)
    attach_to_made(connection, batch.records, associations.keys(), now)
    _prove_senders(connection, batch)
    decisions = _decide(connection, messages, batch)
    if gives_notice:
        write_notices(connection, decisions, now)
    attempts.forget(connection, messages)


def _numbered(connection: Connection, filings: Sequence[Filing], now: datetime) -> _Batch:
    verdicts = [verdict for filing in filings for verdict in filing.verdicts]
    records = dict.fromkeys(
        association.record
        for verdict in verdicts
        for association in verdict.associations
        if isinstance(association.record, NewRecord)
    )
    emails = dict.fromkeys(
        verdict.email
        for verdict in verdicts
        if verdict.outcome is Outcome.ASSOCIATED and isinstance(verdict.email, NewEmail)
    )
    return _Batch(
        filings,
        now,
        dict(zip(records, allocate(connection, RecordRow, len(records)), strict=True)),
        dict(zip(emails, allocate(connection, EmailRow, len(emails)), strict=True)),
    )


def _records(batch: _Batch) -> list[dict[str, Any]]:
    """Return the rows of the leads and contacts that mail made (R17)."""
    rows = [
        {
            "account_id": record.account_id,
            "id": number,
            "module": record.module.value,
            "last_name": record.name.last if record.name else record.address.text,
            "first_name": record.name.first if record.name else "",
            "email": record.address.text,
            "owner_id": record.owner_id,
            "source": SOURCE,
            "made_for": record.address.key,
            "created_at": batch.now,
        }
        for record, number in batch.records.items()
    ]
    return sorted(rows, key=lambda row: (row["account_id"], row["made_for"], row["module"]))


def _addresses(batch: _Batch) -> list[dict[str, Any]]:
    rows = [
        {
            "account_id": record.account_id,
            "record_id": number,
            "position": PRIMARY,
            "address_key": record.address.key,
            "address": record.address.text,
        }
        for record, number in batch.records.items()
    ]
    return sorted(rows, key=lambda row: (row["account_id"], row["record_id"]))


def _emails(batch: _Batch) -> list[dict[str, Any]]:
    """Return the rows of new emails (R20); an email's time of arrival is that of its first filing in the batch."""
    first_of: dict[NewEmail, tuple[Filing, Stated | Filing]] = {}
    verified: set[NewEmail] = set()
    for filing in batch.filings:
        for verdict in filing.verdicts:
            if isinstance(verdict.email, NewEmail):
                first, _ = first_of.setdefault(verdict.email, (filing, verdict.stated or filing))
                if _is_verified(verdict) and first is filing:
                    verified.add(verdict.email)
    rows = [
        {**_email(email, number, *first_of[email], batch.now), "verified": email in verified}
        for email, number in batch.emails.items()
    ]
    return sorted(rows, key=lambda row: (row["account_id"], row["fingerprint"]))


def _is_verified(verdict: Verdict) -> bool:
    """Tell whether the mail server vouches for the email's From: it says nothing of a mail that is attached."""
    return verdict.is_certain and verdict.stated is None


def _email(email: NewEmail, number: int, filing: Filing, stated: Stated | Filing, now: datetime) -> dict[str, Any]:
    content = email.content
    return {
        "account_id": email.account_id,
        "id": number,
        "fingerprint": email.fingerprint,
        "message_id": content.message_id,
        "thread_id": content.thread_id,
        "subject": content.subject,
        "sender": stated.sender,
        "recipients": stated.recipients,
        "attachments": [
            {"name": attachment.name, "type": attachment.media_type, "size": attachment.size}
            for attachment in content.attachments
        ],
        "snippet": content.snippet,
        "sent_at": content.sent_at,
        "arrived_at": filing.arrived_at,
        "stored_at": now,
        "size": len(content.raw),
    }


def _contents(batch: _Batch, originals: Sequence[StoredOriginal]) -> list[dict[str, Any]]:
    return [
        {"account_id": email.account_id, "email_id": number, **original.columns()}
        for (email, number), original in zip(batch.emails.items(), originals, strict=True)
    ]


def _owners(batch: _Batch) -> list[dict[str, Any]]:
    """Return who has a copy of which email now and had none before (R19)."""
    keys = sorted(
        {
            (account, email, verdict.owner.id)
            for account, email, _, verdict in batch.associated()
            if verdict.owner and verdict.email and verdict.owner.id not in verdict.email.owners
        }
    )
    return [{"account_id": account, "email_id": email, "user_id": user} for account, email, user in keys]


def _associations(batch: _Batch) -> dict[tuple[int, int, int], dict[str, Any]]:
    """Return the new associations by account, email and record, which are their order: one for each record (R18)."""
    rows = {
        (account, email, record_id(association.record, batch.records)): {
            "created": association.created,
            **_place_of(verdict),
        }
        for account, email, _, verdict in batch.associated()
        for association in verdict.associations
    }
    return {key: dict(zip(_ASSOCIATION_KEY, key, strict=True)) | rows[key] for key in sorted(rows)}


def _unmatched(batch: _Batch) -> list[dict[str, Any]]:
    """Return the people who wait for a record (R15)."""
    rows = [
        {
            "account_id": account,
            "email_id": email,
            "address_key": address.key,
            "address": address.text,
            **_place_of(verdict),
        }
        for account, email, _, verdict in batch.associated()
        for address in verdict.unmatched
    ]
    return sorted(rows, key=itemgetter("account_id", "email_id", "address_key"))


def _place_of(verdict: Verdict) -> dict[str, Any]:
    """Return on which list the email stands, and whether only the owner says so."""
    return {"direction": verdict.direction.value, "claimed": verdict.is_claimed}


def _events(batch: _Batch) -> Iterator[Event]:
    """Yield the events of a batch (R26): first those of the records that mail made."""
    owners = {verdict.owner.id: verdict.owner.login for _, _, _, verdict in batch.associated() if verdict.owner}
    for record, number in batch.records.items():
        facts = RecordFacts(number, record.module, record.address.text)
        yield record_created(record.account_id, facts, owner=owners.get(record.owner_id), source=SOURCE)
    for account, number, filing, verdict in batch.associated():
        yield from _events_of_email(account, _email_facts(number, filing, verdict), verdict, batch)
    for filing in batch.filings:
        for verdict in filing.verdicts:
            if event := message_ended(filing, verdict):
                yield event


def _events_of_email(account: int, email: EmailFacts, verdict: Verdict, batch: _Batch) -> Iterator[Event]:
    for association in verdict.associations:
        record = association.record
        number = record_id(record, batch.records)
        facts = (
            RecordFacts(number, record.module, record.address.text)
            if isinstance(record, NewRecord)
            else RecordFacts(number, record.module, record.email, record.external_id)
        )
        yield email_associated(account, email, facts, created=association.created)
    for address in verdict.unmatched:
        yield email_unmatched(account, email, address.text)


def _email_facts(number: int, filing: Filing, verdict: Verdict) -> EmailFacts:
    stated = verdict.stated or filing
    return EmailFacts.of(
        number,
        stated.message_id,
        stated.subject,
        stated.sender,
        stated.recipients,
        stated.sent_at,
        filing.arrived_at,
        list_=verdict.direction.list_name,
        claimed=verdict.is_claimed,
        verified=_is_verified(verdict),
        owner=verdict.owner.login if verdict.owner else None,
    )


def _prove_senders(connection: Connection, batch: _Batch) -> None:
    """Mark the senders that an authenticated mail has proven (R13)."""
    proven = sorted(
        {
            (verdict.owner.account_id, verdict.owner.id, verdict.proven_sender)
            for filing in batch.filings
            for verdict in filing.verdicts
            if verdict.owner and verdict.proven_sender
        }
    )
    if proven:
        keys = [{"of_account": account, "of_user": user, "of_address": key} for account, user, key in proven]
        connection.execute(_PROVE.values(proven_at=batch.now), keys)


def _decide(connection: Connection, messages: Uids, batch: _Batch) -> list[tuple[int, Filing]]:
    filings = sorted(batch.filings, key=lambda filing: filing.uid)
    numbered = list(zip(allocate(connection, DecisionRow, len(filings)), filings, strict=True))
    decisions = [
        _decision(filing, batch.now, id=number, mailbox_id=messages.mailbox_id, uidvalidity=messages.uidvalidity)
        for number, filing in numbered
    ]
    verdicts = [
        {"decision_id": number, "ordinal": ordinal, **_verdict(verdict, batch)}
        for number, filing in numbered
        for ordinal, verdict in enumerate(filing.verdicts)
    ]
    insert_rows(connection, DecisionRow, decisions)
    insert_rows(connection, VerdictRow, verdicts)
    return numbered


def _decision(filing: Filing, now: datetime, **place: int) -> dict[str, Any]:
    return {
        **place,
        "uid": filing.uid,
        "outcome": filing.deciding.outcome.value,
        "message_id": stored_message_id(filing.message_id),
        "sender": filing.sender,
        "subject": filing.subject,
        "recipients": filing.recipients,
        "size": filing.size,
        "arrived_at": filing.arrived_at,
        "decided_at": now,
    }


def _verdict(verdict: Verdict, batch: _Batch) -> dict[str, Any]:
    return {
        "account_id": verdict.owner and verdict.owner.account_id,
        "user_id": verdict.owner and verdict.owner.id,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason and verdict.reason.value,
        "email_id": verdict.email and batch.email_id(verdict.email),
        **trace_columns(verdict, batch.records),
    }


def stored_message_id(message_id: str) -> str:
    """Return a Message-ID as a decision stores it: cut to what an index can hold."""
    return message_id.encode("utf-8", "ignore")[:_LONGEST_MESSAGE_ID].decode("utf-8", "ignore")
