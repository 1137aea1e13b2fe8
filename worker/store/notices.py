"""The notices that wait to be sent: each is written with its decision, and claimed by one worker at a time."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import col

from worker.domain.addresses import Address
from worker.domain.verdicts import Filing, Notice, NoticeKey, cause_named, cause_of
from worker.store.database import Database
from worker.store.owners import name_among_several
from worker.store.tables import DecisionRow, NoticeRow, UserRow, VerdictRow
from worker.store.traces import read_trace

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
