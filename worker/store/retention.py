"""Removes what is older than it may be kept (R30), in transactions so short that no poll waits 50 ms for one."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    and_,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlmodel import SQLModel, col

from worker.domain.erasure import Shelved
from worker.domain.events import email_erased
from worker.domain.outcomes import Outcome
from worker.store.columns import among_numbers, among_texts
from worker.store.commit import stored_message_id
from worker.store.database import Database
from worker.store.event_log import write_events
from worker.store.tables import (
    EVENT_WAITS,
    NOT_FILED,
    AccountRow,
    AssociationRow,
    DecisionRow,
    EmailContentRow,
    EmailOwnerRow,
    EmailRow,
    EventRow,
    FormerRecordRow,
    MailboxRow,
    NoticeRow,
    RecordAddressRow,
    RecordRow,
    UnmatchedRow,
    VerdictRow,
)

_ROWS = 20
"""Decisions, emails or events of one transaction: some 5 ms on SQLite."""
_BYTES = 1024 * 1024
"""Of the emails of one transaction: SQLite visits each page of an original to free it, 4 KB at a time."""
_HAS_OWNER = exists().where(col(VerdictRow.decision_id) == col(DecisionRow.id), col(VerdictRow.account_id).is_not(None))
_STAYS = and_(col(DecisionRow.outcome) == Outcome.QUARANTINED.value, _HAS_OWNER)
"""A quarantined message of an owner: it failed, so it stays until a person has looked after it."""


Part = tuple[type[SQLModel], ColumnElement[bool]]
"""Rows of a table that fulfil a condition. Of several parts, rows come before the rows that they refer to."""

OF_PEOPLE: tuple[type[SQLModel], ...] = (
    *(AssociationRow, UnmatchedRow, EmailOwnerRow, EmailContentRow, EmailRow, EventRow),
    *(NoticeRow, VerdictRow, DecisionRow, RecordAddressRow, RecordRow, FormerRecordRow),
)
"""The tables from which an erasure removes rows."""


def email_parts(connection: Connection, account_id: int, emails: Collection[int]) -> list[Part]:
    """Return the emails with all that refers to them."""
    rows = (AssociationRow, UnmatchedRow, EmailOwnerRow, EmailContentRow)
    parts = [_part(connection, row, "email_id", emails, account_id) for row in rows]
    return [*parts, _part(connection, EmailRow, "id", emails, account_id)]


def decision_parts(connection: Connection, decisions: Collection[int], account_id: int | None = None) -> list[Part]:
    """Return the decisions with their verdicts and notices; with an account, only its verdicts and notices."""
    parts = [_part(connection, row, "decision_id", decisions, account_id) for row in (NoticeRow, VerdictRow)]
    return [*parts, _part(connection, DecisionRow, "id", decisions)] if account_id is None else parts


def event_parts(connection: Connection, account_id: int, events: Collection[int]) -> list[Part]:
    """Return the events."""
    return [_part(connection, EventRow, "id", events, account_id)]


def association_parts(connection: Connection, account_id: int, records: Collection[int]) -> list[Part]:
    """Return the associations and addresses of records."""
    return [_part(connection, row, "record_id", records, account_id) for row in (AssociationRow, RecordAddressRow)]


def record_parts(connection: Connection, account_id: int, records: Collection[int]) -> list[Part]:
    """Return the records with their associations and addresses."""
    parts = association_parts(connection, account_id, records)
    return [*parts, _part(connection, RecordRow, "id", records, account_id)]


def _part(
    connection: Connection, row: type[Any], column: str, numbers: Collection[int], account_id: int | None = None
) -> Part:
    among = among_numbers(connection, getattr(row, column), numbers)
    return row, among if account_id is None else and_(col(row.account_id) == account_id, among)


def counted(connection: Connection, parts: Iterable[Part]) -> Counter[str]:
    """Count the rows, by table.

    Raises:
        Unavailable: the database is down.
    """
    counts: Counter[str] = Counter()
    for row, condition in parts:
        found = connection.scalar(select(func.count()).select_from(row).where(condition))
        counts[str(row.__tablename__)] += found or 0
    return +counts


def deleted(connection: Connection, parts: Iterable[Part]) -> Counter[str]:
    """Delete the rows and count them, by table.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    counts: Counter[str] = Counter()
    for row, condition in parts:
        counts[str(row.__tablename__)] += connection.execute(delete(row).where(condition)).rowcount
    return +counts


class Retention:
    """The old rows of one database, and the old decisions of one of its mailboxes.

    A method that removes takes one short step and returns how many rows it found; 0: nothing is left.

    Raises:
        Unavailable: the database is down.
        Conflict: another worker writes the same rows; the next step goes on.
    """

    def __init__(self, database: Database, mailbox: str) -> None:
        self._database = database
        self._mailbox = mailbox

    def kept(self, messages: Collection[Shelved], since: datetime) -> set[Shelved]:
        """Return those of the messages that stay in their folder: decided since then, or quarantined for an owner.

        Raises:
            Unavailable: the database is down.
        """
        ids = {stored_message_id(message.message_id) for message in messages}
        columns = (col(DecisionRow.message_id), col(DecisionRow.size), col(DecisionRow.arrived_at))
        stays = select(*columns).where(
            col(DecisionRow.mailbox_id) == self._mailbox_id(), or_(col(DecisionRow.decided_at) >= since, _STAYS)
        )
        with self._database.read() as connection:
            found = connection.execute(stays.where(among_texts(connection, col(DecisionRow.message_id), ids)))
            known = {Shelved(*row) for row in found}
        named = {(message.message_id, message.size) for message in known if message.message_id}
        return {each for each in messages if each in known or (stored_message_id(each.message_id), each.size) in named}

    def has_rejected(self, before: datetime) -> bool:
        """Tell whether `remove_rejected` has something to do.

        Raises:
            Unavailable: the database is down.
        """
        with self._database.read() as connection:
            return any(connection.scalar(query.limit(1)) is not None for query in self._rejected(before))

    def has_filed(self, before: datetime) -> bool:
        """Tell whether `remove_filed` has something to do.

        Raises:
            Unavailable: the database is down.
        """
        with self._database.read() as connection:
            return connection.scalar(self._filed(before).limit(1)) is not None

    def remove_rejected(self, before: datetime) -> int:
        """Remove decisions on messages that were rejected, or quarantined for nobody.

        Raises:
            Conflict, Unavailable: others wrote the same rows first, or the database is down.
        """
        return sum([self._remove_decisions(query) for query in self._rejected(before)])

    def remove_filed(self, before: datetime) -> int:
        """Remove decisions on messages that were filed. Their emails are removed by `remove_emails`.

        Raises:
            Conflict, Unavailable: others wrote the same rows first, or the database is down.
        """
        return self._remove_decisions(self._filed(before))

    def remove_events(self, before: datetime) -> int:
        """Remove events for which no delivery is to come. The ones that wait stay: a receiver that is down loses none.

        The IDs of an account's events ascend with time, so that the oldest are found without reading the others.

        Raises:
            Conflict, Unavailable: others wrote the same rows first, or the database is down.
        """
        return sum([self._remove_events(account, before) for account in self._accounts()])

    def remove_emails(self, before: datetime) -> int:
        """Remove stored emails, with their originals and associations; write the event `email.erased` for the CRM.

        Raises:
            Conflict, Unavailable: others wrote the same rows first, or the database is down.
        """
        return sum([self._remove_emails(account, before) for account in self._accounts()])

    def _mailbox_id(self) -> ScalarSelect[int]:
        return select(col(MailboxRow.id)).where(col(MailboxRow.name) == self._mailbox).scalar_subquery()

    def _accounts(self) -> list[int]:
        with self._database.read() as connection:
            return list(connection.scalars(select(col(AccountRow.id))))

    def _rejected(self, before: datetime) -> list[Select[int]]:
        """Return a query for each outcome, so that the index `decision_not_filed` gives the oldest first."""
        old = self._decided(before).where(literal_column(NOT_FILED), ~_STAYS)
        outcomes = (Outcome.REJECTED, Outcome.QUARANTINED)
        return [old.where(col(DecisionRow.outcome) == outcome.value) for outcome in outcomes]

    def _filed(self, before: datetime) -> Select[int]:
        return self._decided(before).where(~literal_column(f"({NOT_FILED})"))

    def _decided(self, before: datetime) -> Select[int]:
        of_mailbox = col(DecisionRow.mailbox_id) == self._mailbox_id()
        old = select(col(DecisionRow.id)).where(of_mailbox, col(DecisionRow.decided_at) < before)
        return old.order_by(col(DecisionRow.decided_at)).limit(_ROWS)

    def _remove_decisions(self, old: Select[int]) -> int:
        with self._database.read() as connection:
            found = list(connection.scalars(old))
        if found:
            with self._database.note() as connection:
                deleted(connection, decision_parts(connection, found))
        return len(found)

    def _remove_events(self, account_id: int, before: datetime) -> int:
        of_account = col(EventRow.account_id) == account_id
        first = select(col(EventRow.id), col(EventRow.created_at)).where(
            of_account, ~literal_column(f"({EVENT_WAITS})")
        )
        with self._database.read() as connection:
            rows = connection.execute(first.order_by(col(EventRow.id)).limit(_ROWS))
            found = [number for number, created_at in rows if created_at < before]
        if found:
            with self._database.note() as connection:
                deleted(connection, event_parts(connection, account_id, found))
        return len(found)

    def _remove_emails(self, account_id: int, before: datetime) -> int:
        of_account = col(EmailRow.account_id) == account_id
        first = select(col(EmailRow.id), col(EmailRow.size), col(EmailRow.stored_at)).where(of_account)
        with self._database.read() as connection:
            rows = connection.execute(first.order_by(col(EmailRow.id)).limit(_ROWS))
            found = _few([(number, size) for number, size, stored_at in rows if stored_at < before])
        if found:
            with self._database.note() as connection:
                _erase_emails(connection, account_id, found, datetime.now(UTC))
        return len(found)


def _erase_emails(connection: Connection, account_id: int, emails: Collection[int], now: datetime) -> None:
    """Remove emails with everything that belongs to them, and report it to the CRM (R26)."""
    of_account = col(EmailRow.account_id) == account_id
    these = among_numbers(connection, col(EmailRow.id), emails)
    present = sorted(connection.scalars(select(col(EmailRow.id)).where(of_account, these).with_for_update()))
    deleted(connection, email_parts(connection, account_id, present))
    write_events(connection, [email_erased(account_id, number) for number in present], now)


def _few(emails: Sequence[tuple[int, int]]) -> list[int]:
    """Return the first emails, up to `_BYTES` of them together; at least one."""
    totals = list(accumulate(size for _, size in emails))
    most = max(1, sum(total <= _BYTES for total in totals))
    return [number for number, _ in emails[:most]]
