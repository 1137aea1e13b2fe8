"""What the last decisions say of the mail server in front: which fields named the token, what was vouched for."""

from sqlalchemy import select
from sqlmodel import col

from worker.domain.verdicts import Trace
from worker.store.database import Database
from worker.store.tables import DecisionRow, MailboxRow, VerdictRow
from worker.store.traces import read_trace


def recent_traces(database: Database, mailbox: str, most: int = 100) -> list[Trace]:
    """Return the traces of the deciding verdicts of a mailbox, newest first."""
    of_mailbox = select(col(MailboxRow.id)).where(col(MailboxRow.name) == mailbox).scalar_subquery()
    query = (
        select(col(VerdictRow.trace))
        .join(DecisionRow, col(DecisionRow.id) == col(VerdictRow.decision_id))
        .where(col(DecisionRow.mailbox_id) == of_mailbox, col(VerdictRow.ordinal) == 0)
        .order_by(col(DecisionRow.decided_at).desc(), col(DecisionRow.id).desc())
        .limit(most)
    )
    with database.read() as connection:
        return [read_trace(stored) for stored in connection.scalars(query)]
