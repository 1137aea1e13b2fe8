"""Marks on the messages at work: they reveal a message that crashes the whole process (a strike, a suspect)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, text, update
from sqlmodel import col

from worker.store.columns import among_numbers, to_json
from worker.store.tables import AttemptRow

_MARK = (
    "INSERT INTO attempt (mailbox_id, uidvalidity, uid, in_hand, worker, suspect, strikes)"
    " SELECT :mailbox_id, :uidvalidity, uid, :in_hand, :worker, FALSE, 0 FROM ({uids}) AS marked WHERE TRUE"
    " ON CONFLICT (mailbox_id, uidvalidity, uid) DO UPDATE SET in_hand = excluded.in_hand, worker = excluded.worker"
)
_MARKS = {
    "sqlite": text(_MARK.format(uids="SELECT value AS uid FROM json_each(:uids)")),
    "postgresql": text(_MARK.format(uids="SELECT unnest(CAST(:uids AS bigint[])) AS uid")),
}
_STRIKE = text(
    "INSERT INTO attempt (mailbox_id, uidvalidity, uid, worker, suspect, strikes, error)"
    " VALUES (:mailbox_id, :uidvalidity, :uid, :worker, TRUE, 1, :error)"
    " ON CONFLICT (mailbox_id, uidvalidity, uid) DO UPDATE SET in_hand = NULL, worker = excluded.worker,"
    " suspect = TRUE, strikes = attempt.strikes + 1, error = excluded.error"
    " RETURNING strikes"
)


@dataclass(frozen=True, slots=True)
class Uids:
    """Messages of one mailbox under one UIDVALIDITY."""

    mailbox_id: int
    uidvalidity: int
    uids: Sequence[int]

    def within(self, connection: Connection, row: type[Any]) -> ColumnElement[bool]:
        """Return the condition that a row of a table is about one of them."""
        return and_(
            col(row.mailbox_id) == self.mailbox_id,
            col(row.uidvalidity) == self.uidvalidity,
            among_numbers(connection, col(row.uid), self.uids),
        )

    def identities(self) -> list[dict[str, int]]:
        """Return the primary key of each."""
        return [{"mailbox_id": self.mailbox_id, "uidvalidity": self.uidvalidity, "uid": uid} for uid in self.uids]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A message that was at work when a process crashed, or on which the code failed."""

    strikes: int
    error: str | None
    """How the code failed at last; None if the process crashed."""


def mark(connection: Connection, messages: Uids, worker: str, *, alone: bool) -> None:
    """Mark the messages as at work in this worker.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    if messages.uids:
        name = connection.dialect.name
        uids = sorted(messages.uids)  # in one order, so that workers cannot deadlock
        connection.execute(
            _MARKS[name],
            {
                "mailbox_id": messages.mailbox_id,
                "uidvalidity": messages.uidvalidity,
                "uids": to_json(uids) if name == "sqlite" else uids,
                "in_hand": "alone" if alone else "batch",
                "worker": worker,
            },
        )


def strike(connection: Connection, message: Uids, worker: str, error: str) -> int:
    """Count a failure of the code on this one message; return the strikes so far.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    (key,) = message.identities()
    strikes: int = connection.execute(_STRIKE, {**key, "worker": worker, "error": error}).scalar_one()
    return strikes


def release(connection: Connection, messages: Uids) -> None:
    """Remove the marks, and the rows of messages that were never suspect.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    known = messages.within(connection, AttemptRow)
    connection.execute(delete(AttemptRow).where(known, ~col(AttemptRow.suspect)))
    connection.execute(update(AttemptRow).where(known).values(in_hand=None))


def release_all(connection: Connection, worker: str) -> None:
    """Release every mark of this worker without a strike.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    own = and_(col(AttemptRow.worker) == worker, col(AttemptRow.in_hand).is_not(None))
    connection.execute(delete(AttemptRow).where(own, ~col(AttemptRow.suspect)))
    connection.execute(update(AttemptRow).where(own).values(in_hand=None))


def suspect(connection: Connection, message: Uids, error: str) -> None:
    """Remove the mark of one message, without a strike. Later polls work on it alone.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    known = message.within(connection, AttemptRow)
    why = func.coalesce(col(AttemptRow.error), error)
    connection.execute(update(AttemptRow).where(known).values(in_hand=None, suspect=True, error=why))


def forget(connection: Connection, messages: Uids) -> None:
    """Remove the rows of messages that are decided or gone.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    connection.execute(delete(AttemptRow).where(messages.within(connection, AttemptRow)))


def settle(connection: Connection, messages: Uids, worker: str) -> Mapping[int, Suspect]:
    """Turn the marks of a crashed process into strikes and suspects, and remove this worker's own marks.

    Return the suspects among the messages, by UID.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    known = messages.within(connection, AttemptRow)
    columns = (AttemptRow.uid, AttemptRow.in_hand, AttemptRow.suspect, AttemptRow.strikes, AttemptRow.error)
    query = select(*map(col, columns)).where(known)
    rows = connection.execute(query).all()
    if any(row.in_hand for row in rows):
        left_by_another = update(AttemptRow).where(known, col(AttemptRow.worker) != worker)
        alone, batch = (left_by_another.where(col(AttemptRow.in_hand) == how) for how in ("alone", "batch"))
        strikes = col(AttemptRow.strikes) + 1
        connection.execute(alone.values(in_hand=None, suspect=True, strikes=strikes, error=None))
        connection.execute(batch.values(in_hand=None, suspect=True))
        release(connection, messages)
        rows = connection.execute(query).all()
    return {row.uid: Suspect(row.strikes, row.error) for row in rows if row.suspect}
