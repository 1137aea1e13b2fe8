"""Writes events (R26) in the transaction of the change that they report, in bulk.

Where an account has no endpoint, an event is kept for a `resend` that seldom comes. Until then its data are compressed.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, select, update
from sqlmodel import col

from worker.domain.endpoints import State
from worker.domain.events import EmailFacts, Event, RecordFacts, email_associated
from worker.domain.permissions import Module
from worker.domain.records import Direction
from worker.store.columns import among_numbers, among_wanted, to_json, values
from worker.store.inserts import allocate, insert_rows
from worker.store.tables import (
    AccountRow,
    AssociationRow,
    EmailOwnerRow,
    EmailRow,
    EventRow,
    RecordRow,
    UserRow,
    WebhookRow,
)

_RESTORED_AT_ONCE = 1000
_RESTORE = (
    update(EventRow)
    .where(col(EventRow.account_id) == bindparam("of_account"), col(EventRow.id) == bindparam("of_event"))
    .values(data=bindparam("json"), packed=None)
)


def write_events(connection: Connection, events: Sequence[Event], now: datetime) -> None:
    """Write the events in this order. The caller's change and they are committed together or not at all.

    Events of an account without an endpoint are only kept, so that they can be listed, and resent later.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    if not events:
        return
    accounts = _accounts(connection, {event.account_id for event in events})
    numbers = allocate(connection, EventRow, len(events))
    rows = [
        _row(event, number, *accounts[event.account_id], now) for number, event in zip(numbers, events, strict=True)
    ]
    insert_rows(connection, EventRow, rows)


def restore(connection: Connection, account_id: int, which: ColumnElement[bool]) -> None:
    """Store these events of an account uncompressed, as the delivery reads them."""
    compressed = (
        select(col(EventRow.id), col(EventRow.data), col(EventRow.packed))
        .where(col(EventRow.account_id) == account_id, col(EventRow.packed).is_not(None), which)
        .limit(_RESTORED_AT_ONCE)
    )
    while rows := connection.execute(compressed).all():
        restored = [
            {"of_account": account_id, "of_event": number, "json": packed or data} for number, data, packed in rows
        ]
        connection.execute(_RESTORE, restored)


def _row(event: Event, number: int, account: str, state: State, now: datetime) -> dict[str, Any]:
    data = f'{{"account":{account},{event.data[1:]}'
    is_packed = state is State.NO_ENDPOINT
    return {
        "account_id": event.account_id,
        "id": number,
        "type": event.type.value,
        "record_id": event.record_id,
        "merged_id": event.merged_id,
        "email_id": event.email_id,
        "data": "" if is_packed else data,
        "packed": data if is_packed else None,
        "created_at": now,
        "state": state.value,
        "attempts": 0,
        "next_attempt_at": now if state is State.PENDING else None,
    }


def _accounts(connection: Connection, wanted: Collection[int]) -> dict[int, tuple[str, State]]:
    """Return the name of each account in JSON, and the state of a new event there."""
    dialect = connection.dialect.name
    rows = connection.execute(_accounts_statement(dialect), values(dialect, wanted))
    return {
        number: (to_json(name), State.PENDING if has_endpoint else State.NO_ENDPOINT)
        for number, name, has_endpoint in rows
    }


@cache
def _accounts_statement(dialect: str) -> Select[int, str, bool]:
    has_endpoint = exists().where(col(WebhookRow.account_id) == col(AccountRow.id))
    query = select(col(AccountRow.id), col(AccountRow.name), has_endpoint)
    return query.where(among_wanted(dialect, col(AccountRow.id)))


def attached(
    connection: Connection, account_id: int, pairs: Collection[tuple[int, int]], *, created: bool = False
) -> list[Event]:
    """Return the events of stored emails that were put on records; ``pairs``: the IDs of an email and of a record.

    Raises:
        Unavailable: the database is down.
    """
    emails = _email_facts(connection, account_id, {email for email, _ in pairs})
    records = _record_facts(connection, account_id, {record for _, record in pairs})
    return [
        email_associated(account_id, emails[email, record], records[record], created=created)
        for email, record in pairs
        if (email, record) in emails and record in records
    ]


def _record_facts(connection: Connection, account_id: int, records: Collection[int]) -> dict[int, RecordFacts]:
    columns = (col(RecordRow.id), col(RecordRow.module), col(RecordRow.email), col(RecordRow.external_id))
    query = select(*columns).where(
        col(RecordRow.account_id) == account_id, among_numbers(connection, col(RecordRow.id), records)
    )
    return {number: RecordFacts(number, Module(module), *rest) for number, module, *rest in connection.execute(query)}


def _email_facts(connection: Connection, account_id: int, emails: Collection[int]) -> dict[tuple[int, int], EmailFacts]:
    """Return each email as each of its records lists it, by the IDs of both."""
    columns = (
        *(col(EmailRow.id), col(EmailRow.message_id), col(EmailRow.subject), col(EmailRow.sender)),
        *(col(EmailRow.recipients), col(EmailRow.sent_at), col(EmailRow.arrived_at)),
    )
    place = (
        *(col(AssociationRow.record_id), col(AssociationRow.direction), col(AssociationRow.claimed)),
        col(EmailRow.verified),
    )
    query = (
        select(*place, *columns)
        .join_from(EmailRow, AssociationRow)
        .where(col(EmailRow.account_id) == account_id, among_numbers(connection, col(EmailRow.id), emails))
    )
    owners = _owners(connection, account_id, emails)
    rows: Any = connection.execute(query)
    return {
        (row[4], row[0]): EmailFacts.of(
            *row[4:],
            list_=Direction(row[1]).list_name,
            claimed=row[2],
            verified=row[3],
            owner=owners.get(row[4]),
        )
        for row in rows
    }


def _owners(connection: Connection, account_id: int, emails: Collection[int]) -> dict[int, str]:
    """Return the login of the first owner of each email."""
    query = (
        select(col(EmailOwnerRow.email_id), col(UserRow.login))
        .join(UserRow, and_(col(UserRow.account_id) == account_id, col(UserRow.id) == col(EmailOwnerRow.user_id)))
        .where(
            col(EmailOwnerRow.account_id) == account_id, among_numbers(connection, col(EmailOwnerRow.email_id), emails)
        )
        .order_by(col(EmailOwnerRow.user_id).desc())
    )
    return {row.email_id: row.login for row in connection.execute(query)}
