"""A verdict's trace as it is stored, by its one writer and reader, and the notices that wait to be sent."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import col

from worker.domain.addresses import Address
from worker.domain.outcomes import Code, Detail
from worker.domain.permissions import Module
from worker.domain.records import NewRecord, RecordRef
from worker.domain.verdicts import (
    Filing,
    NamedRecord,
    Notice,
    NoticeKey,
    RecipientResult,
    RecipientTrace,
    Trace,
    Verdict,
    cause_named,
    cause_of,
)
from worker.store.columns import to_json
from worker.store.database import Database
from worker.store.snapshot import name_among_several
from worker.store.tables import DecisionRow, MailboxRow, NoticeRow, UserRow, VerdictRow


def trace_columns(verdict: Verdict, made: Mapping[NewRecord, int]) -> dict[str, Any]:
    """Return a trace's two columns. Only that of a filed message is compressed.

    A notice on any other message is read from its trace, maybe by a worker of a release that reads no compressed one.
    """
    stored = stored_trace(verdict.trace, made)
    is_packed = verdict.outcome.is_filed
    return {"trace": {} if is_packed else stored, "packed": to_json(stored) if is_packed else None}


def stored_trace(trace: Trace, made: Mapping[NewRecord, int]) -> dict[str, Any]:
    """Return plain values. Leave out each None: they would be half of a trace's bytes.

    ``made`` gives the numbers of the records that this very batch makes.
    """
    return _present(
        route=_present(header=trace.token_header, token=trace.token),
        sender=_present(
            address=trace.sender,
            check=_stored(trace.sender_check),
            authentication=_stored(trace.authentication),
        ),
        recipients=[_stored_recipient(recipient, made) for recipient in trace.recipients],
        note=_stored(trace.note),
        forward=_stored(trace.forward),
    )


def read_trace(stored: Mapping[str, Any], packed: str | None = None) -> Trace:
    """Return a trace from its two columns."""
    stored = trace_json(stored, packed)
    route, sender = stored.get("route") or {}, stored.get("sender") or {}
    return Trace(
        token_header=route.get("header"),
        token=route.get("token"),
        sender=sender.get("address"),
        sender_check=_read(sender.get("check")),
        authentication=_read(sender.get("authentication")),
        note=_read(stored.get("note")),
        forward=_read(stored.get("forward")),
        recipients=tuple(_read_recipient(recipient) for recipient in stored.get("recipients") or ()),
    )


def trace_json(stored: Mapping[str, Any], packed: str | None) -> Mapping[str, Any]:
    """Return the JSON of a trace from its two columns."""
    return json.loads(packed) if packed else stored


def record_id(record: RecordRef | NamedRecord, made: Mapping[NewRecord, int]) -> int:
    """Return the number of a record, old or new."""
    return made[record] if isinstance(record, NewRecord) else record.id


def _stored(found: Detail | None) -> dict[str, Any] | None:
    return {"code": found.code.value, **found.values} if found else None


def _read(stored: Any) -> Detail | None:
    """Read a code with its values. What another version of this program wrote is shown as it stands."""
    match stored:
        case None:
            return None
        case {"code": str(code), **values} if code in _CODES:
            kept: dict[str, Any] = {
                str(name): tuple(value) if isinstance(value, list) else value for name, value in values.items()
            }
            return Detail(Code(code), kept)
        case {"code": code}:
            return Detail(Code.TEXT, {"text": str(code)})
        case _:
            return Detail(Code.TEXT, {"text": str(stored)})


_CODES = frozenset(code.value for code in Code)


def _stored_recipient(recipient: RecipientTrace, made: Mapping[NewRecord, int]) -> dict[str, Any]:
    record = recipient.record
    return _present(
        address=recipient.address,
        result=recipient.result.value,
        why=_stored(recipient.why),
        module=record and record.module.value,
        record=record and record_id(record, made),
    )


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, {}, [])}


def _read_recipient(stored: Mapping[str, Any]) -> RecipientTrace:
    module, number = stored.get("module"), stored.get("record")
    return RecipientTrace(
        stored["address"],
        RecipientResult(stored["result"]),
        _read(stored.get("why")) or Detail(Code.TEXT, {"text": ""}),
        NamedRecord(Module(module), number) if module and number is not None else None,
    )


def recent_traces(database: Database, mailbox: str, most: int = 100) -> list[Trace]:
    """Return the traces of the deciding verdicts of a mailbox, newest first.

    Raises:
        Unavailable: the database is down.
    """
    of_mailbox = select(col(MailboxRow.id)).where(col(MailboxRow.name) == mailbox).scalar_subquery()
    query = (
        select(col(VerdictRow.trace), col(VerdictRow.packed))
        .join(DecisionRow, col(DecisionRow.id) == col(VerdictRow.decision_id))
        .where(col(DecisionRow.mailbox_id) == of_mailbox, col(VerdictRow.ordinal) == 0)
        .order_by(col(DecisionRow.decided_at).desc(), col(DecisionRow.id).desc())
        .limit(most)
    )
    with database.read() as connection:
        return [read_trace(*columns) for columns in connection.execute(query)]


_CLAIM = timedelta(minutes=15)
"""A claim expires after this time if the worker crashes. It is far longer than the timeout of the mail server."""

_KEY = (col(NoticeRow.account_id), col(NoticeRow.user_id), col(NoticeRow.cause), col(NoticeRow.day))
_WAITING = (
    select(
        *_KEY,
        col(UserRow.login),
        col(UserRow.login_key),
        col(DecisionRow.sender),
        col(DecisionRow.subject),
        col(DecisionRow.recipients),
        col(DecisionRow.message_id),
        col(DecisionRow.arrived_at),
        col(VerdictRow.trace),
        name_among_several(col(NoticeRow.account_id)),
    )
    .join_from(
        NoticeRow,
        UserRow,
        and_(col(UserRow.account_id) == col(NoticeRow.account_id), col(UserRow.id) == col(NoticeRow.user_id)),
    )
    .join(DecisionRow, col(DecisionRow.id) == col(NoticeRow.decision_id))
    .join(
        VerdictRow,
        and_(
            col(VerdictRow.decision_id) == col(NoticeRow.decision_id),
            col(VerdictRow.ordinal) == col(NoticeRow.ordinal),
        ),
    )
    .where(col(NoticeRow.settled_at).is_(None))
    .order_by(col(NoticeRow.day), col(NoticeRow.decision_id))
    .limit(1)
)


def write_notices(connection: Connection, decisions: Iterable[tuple[int, Filing]], now: datetime) -> None:
    """Write the notices on these decisions. Skip an owner who has one of that cause and day already.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    rows = {
        (verdict.owner.account_id, verdict.owner.id, cause.value): {"decision_id": number, "ordinal": ordinal}
        for number, filing in reversed(list(decisions))  # so that the first of several wins
        for ordinal, verdict in enumerate(filing.verdicts)
        if verdict.owner and (cause := cause_of(verdict))
    }
    if not rows:
        return
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    values = [
        {"account_id": account, "user_id": user, "cause": cause, "day": now.date(), **of_decision}
        for (account, user, cause), of_decision in sorted(rows.items())
    ]
    connection.execute(insert(NoticeRow).on_conflict_do_nothing(), values)


class NoticeOutbox:
    """`worker.domain.verdicts.Outbox` on a database, shared by all workers on it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, now: datetime) -> Notice | None:
        """Claim and return the oldest notice that waits; return None if nothing waits.

        Raises:
            Unavailable: the database is down.
        """
        is_free = or_(col(NoticeRow.taken_at).is_(None), col(NoticeRow.taken_at) < now - _CLAIM)
        query = _WAITING.where(is_free).with_for_update(of=NoticeRow, skip_locked=True)
        with self._database.begin() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            notice = _notice(row)
            connection.execute(update(NoticeRow).where(*_is(notice)).values(taken_at=now))
            return notice

    def put_back(self, notice: Notice) -> None:
        """Release the claim on a notice that was not sent.

        Raises:
            Unavailable: the database is down.
        """
        self._update(notice, taken_at=None)

    def settle(self, notice: Notice, now: datetime, refusal: str | None = None) -> None:
        """Mark a notice as sent, or as refused by the mail server with this text.

        Raises:
            Unavailable: the database is down.
        """
        self._update(notice, settled_at=now, refusal=refusal)

    def _update(self, notice: Notice, **values: Any) -> None:
        with self._database.begin() as connection:
            connection.execute(update(NoticeRow).where(*_is(notice)).values(values))


def _is(notice: Notice) -> tuple[ColumnElement[bool], ...]:
    key = notice.key
    stated = (key.account_id, key.user_id, key.cause.value, key.day)
    return tuple(column == value for column, value in zip(_KEY, stated, strict=True))


def _notice(row: Row[*tuple[Any, ...]]) -> Notice:
    return Notice(
        NoticeKey(row.account_id, row.user_id, cause_named(row.cause), row.day),
        Address(row.login_key, row.login),  # not parsed: an older version stored domains that are refused today
        row.sender,
        row.subject,
        tuple(row.recipients),
        row.message_id,
        row.arrived_at,
        read_trace(row.trace).note,
        row.account,
    )
