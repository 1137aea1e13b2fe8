"""The row of each mailbox that a worker has ever polled."""

from sqlalchemy import Connection, select, text
from sqlmodel import col

from worker.store.ids import allocate
from worker.store.tables import MailboxRow

_INSERT = text("INSERT INTO mailbox (id, name, backlog) VALUES (:id, :name, 0) ON CONFLICT DO NOTHING")


def mailbox_id(connection: Connection, name: str) -> int:
    """The mailbox's number; its row is made when it is new, also when two workers see it first."""
    find = select(col(MailboxRow.id)).where(col(MailboxRow.name) == name)
    found = connection.scalar(find)
    if found is None:
        connection.execute(_INSERT, {"id": allocate(connection, MailboxRow, 1)[0], "name": name})
        found = connection.execute(find).scalar_one()
    return found
