"""The folders of messages that were decided before."""

from collections.abc import Mapping

from sqlalchemy import Connection, select
from sqlmodel import col

from worker.domain.outcomes import Folder, Outcome
from worker.store.attempts import Uids
from worker.store.tables import DecisionRow


def folders(connection: Connection, messages: Uids) -> Mapping[int, Folder]:
    """Return the folder of each decided message, by UID."""
    query = select(col(DecisionRow.uid), col(DecisionRow.outcome)).where(messages.within(connection, DecisionRow))
    return {uid: Outcome(outcome).folder for uid, outcome in connection.execute(query)}
