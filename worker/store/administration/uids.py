"""A UID as people type it: alone, where a message is known by mailbox, UIDVALIDITY and UID (RFC 9051 §2.3.1.1)."""

from typing import Any

from sqlalchemy import ColumnElement, and_, exists
from sqlalchemy.orm import aliased
from sqlmodel import col

from worker.store.tables import AttemptRow, DecisionRow


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
