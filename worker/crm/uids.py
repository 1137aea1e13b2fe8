"""A UID as people type it: alone, where a message is known by mailbox, UIDVALIDITY and UID (RFC 9051 §2.3.1.1)."""

from typing import Any

from sqlalchemy import CTE, ColumnElement, ScalarSelect, and_, exists, func, select, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import col

from worker.store.tables import AttemptRow, DecisionRow, MailboxRow


def of_known_queue() -> ColumnElement[bool]:
    """The condition that a decision is of any mailbox and UIDVALIDITY there ever was, which holds for each.

    Said beside its UID, it lets the decision be found by its whole key; else all of the history would be read.
    """
    queues = _queues()
    known = select(queues.c.mailbox_id, queues.c.uidvalidity)
    return tuple_(col(DecisionRow.mailbox_id), col(DecisionRow.uidvalidity)).in_(known)


def of_present_queue() -> ColumnElement[bool]:
    """The condition that an attempt is under the mailbox's last UIDVALIDITY: each is greater than the one before."""
    later: tuple[Any, ...] = (aliased(DecisionRow), aliased(AttemptRow))
    return and_(
        *(
            ~exists().where(
                col(row.mailbox_id) == col(AttemptRow.mailbox_id), col(row.uidvalidity) > col(AttemptRow.uidvalidity)
            )
            for row in later
        )
    )


def _queues() -> CTE:
    """Each mailbox and UIDVALIDITY that has a decision, in steps from one to the next over the index of decisions."""
    queues = select(col(MailboxRow.id).label("mailbox_id"), _next(col(MailboxRow.id), -1).label("uidvalidity")).cte(
        "queues", recursive=True
    )
    following = select(queues.c.mailbox_id, _next(queues.c.mailbox_id, queues.c.uidvalidity))
    return queues.union_all(following.where(queues.c.uidvalidity.is_not(None)))


def _next(mailbox_id: Any, uidvalidity: Any) -> ScalarSelect[int]:
    row = aliased(DecisionRow)
    return (
        select(func.min(col(row.uidvalidity)))
        .where(col(row.mailbox_id) == mailbox_id, col(row.uidvalidity) > uidvalidity)
        .scalar_subquery()
    )
