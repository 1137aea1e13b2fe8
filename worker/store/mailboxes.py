"""The row of each mailbox that a worker has ever polled."""

from sqlalchemy import Connection, select, text, update
from sqlmodel import col

from worker.store.database import Database
from worker.store.ids import allocate
from worker.store.tables import MailboxRow

_INSERT = text("INSERT INTO mailbox (id, name, backlog) VALUES (:id, :name, 0) ON CONFLICT DO NOTHING")


def mailbox_id(connection: Connection, name: str) -> int:
    """Return the mailbox's ID; insert its row when it is new. Safe when two workers insert it at once."""
    find = select(col(MailboxRow.id)).where(col(MailboxRow.name) == name)
    found = connection.scalar(find)
    if found is None:
        connection.execute(_INSERT, {"id": allocate(connection, MailboxRow, 1)[0], "name": name})
        found = connection.execute(find).scalar_one()
    return found


def record_end(database: Database, name: str, worker: str) -> None:
    """Record that this worker stopped polling the mailbox, unless another worker polled it since.

    Raises:
        Unavailable: when the database is down.
    """
    ended = update(MailboxRow).where(col(MailboxRow.name) == name, col(MailboxRow.worker) == worker)
    with database.begin() as connection:
        connection.execute(ended.values(worker=None))
