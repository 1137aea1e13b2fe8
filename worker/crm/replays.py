"""Decisions that a replay takes again: how they are found, and the facts of their messages."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    and_,
    exists,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from worker.crm.decision_search import of_known_queue, of_present_queue
from worker.domain.outcomes import Decided, Outcome, Reason
from worker.store.database import Database
from worker.store.keys import among_numbers
from worker.store.tables import NOT_FILED, AttemptRow, DecisionRow, MailboxRow, VerdictRow


def decided_as(database: Database, mailbox: str, outcome: Outcome, reason: Reason | None = None) -> list[Decided]:
    """Find the messages of the mailbox with this end (and reason, if given) that were not decided again since.

    Raises:
        Unavailable: the database is down.
    """
    ended_so = and_(
        col(DecisionRow.mailbox_id) == _mailbox_id(mailbox),
        literal_column(NOT_FILED),
        col(DecisionRow.outcome) == outcome.value,
    )
    if reason is not None:
        is_verdict = and_(col(VerdictRow.decision_id) == col(DecisionRow.id), col(VerdictRow.reason) == reason.value)
        ended_so = and_(ended_so, exists().where(is_verdict))
    conditions = [ended_so, col(DecisionRow.id).in_(_last_of_those(ended_so))]
    if outcome is Outcome.QUARANTINED:
        conditions.append(~_was_read_since())
    with database.read() as connection:
        return decided_of(connection, conditions)


def decided_under(database: Database, mailbox: str, uids: Collection[int]) -> list[Decided]:
    """Return the last decision for each of the UIDs; a UID without one is absent.

    Raises:
        Unavailable: the database is down.
    """
    with database.read() as connection:
        of_uids = and_(
            of_known_queue(),
            col(DecisionRow.mailbox_id) == _mailbox_id(mailbox),
            among_numbers(connection, col(DecisionRow.uid), uids),
        )
        last = select(func.max(col(DecisionRow.id))).where(of_uids).group_by(col(DecisionRow.uid))
        return decided_of(connection, [col(DecisionRow.id).in_(last)])


def forgive(database: Database, mailbox: str, uids: Collection[int]) -> list[int]:
    """Forget the strikes of messages that still wait in the queue; gives the UIDs that had been tried.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    with database.begin() as connection:
        waiting = and_(
            of_present_queue(),
            col(AttemptRow.mailbox_id) == _mailbox_id(mailbox),
            among_numbers(connection, col(AttemptRow.uid), uids),
        )
        forgiven = update(AttemptRow).where(waiting).values(suspect=False, strikes=0, error=None)
        return sorted(set(connection.scalars(forgiven.returning(col(AttemptRow.uid)))))


def _last_of_those(conditions: ColumnElement[bool]) -> Select[int]:
    """Return the last decision on each of these messages, or on another message of the same Message-ID.

    A message that went back into the queue came out with another UID, and is otherwise the same. The mailbox is no
    condition here but part of what is the same, so that the Message-ID is the only way in.
    """
    same = aliased(DecisionRow)
    message_ids = select(col(DecisionRow.message_id)).where(conditions)
    return (
        select(func.max(col(same.id)))
        .where(col(same.message_id).in_(message_ids))
        .group_by(col(same.mailbox_id), col(same.message_id), col(same.size), col(same.arrived_at))
    )


def _was_read_since() -> ColumnElement[bool]:
    """Return the decisions without a Message-ID: their head could not be read, so a later decision is not known."""
    later = aliased(DecisionRow)
    return and_(
        col(DecisionRow.message_id) == "",
        exists().where(
            col(later.mailbox_id) == col(DecisionRow.mailbox_id),
            col(later.decided_at) >= col(DecisionRow.decided_at),
            col(later.size) == col(DecisionRow.size),
            col(later.arrived_at) == col(DecisionRow.arrived_at),
            col(later.id) > col(DecisionRow.id),
        ),
    )


def _mailbox_id(name: str) -> ScalarSelect[int]:
    return select(col(MailboxRow.id)).where(col(MailboxRow.name) == name).scalar_subquery()


def decided_of(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> list[Decided]:
    """Read the decisions that fulfil the conditions, the oldest first.

    Raises:
        Unavailable: the database is down.
    """
    rows = connection.execute(
        select(
            col(DecisionRow.id),
            col(DecisionRow.uid),
            col(DecisionRow.outcome),
            col(DecisionRow.message_id),
            col(DecisionRow.size),
            col(DecisionRow.arrived_at),
        )
        .where(*conditions)
        .order_by(col(DecisionRow.id))
    ).all()
    verdicts: dict[int, list[tuple[Outcome, Reason | None]]] = defaultdict(list)
    found = select(col(VerdictRow.decision_id), col(VerdictRow.outcome), col(VerdictRow.reason)).where(
        among_numbers(connection, col(VerdictRow.decision_id), [row.id for row in rows])
    )
    for decision, outcome, reason in connection.execute(found.order_by(col(VerdictRow.ordinal))):
        verdicts[decision].append((Outcome(outcome), Reason(reason) if reason else None))
    return [
        Decided(
            uid=row.uid,
            outcome=Outcome(row.outcome),
            reasons=tuple(dict.fromkeys(reason for _, reason in verdicts[row.id] if reason)),
            is_filed_for_all=all(outcome.is_filed for outcome, _ in verdicts[row.id]),
            message_id=row.message_id,
            size=row.size,
            arrived_at=row.arrived_at,
        )
        for row in rows
    ]
