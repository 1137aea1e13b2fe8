"""What PostgreSQL's planner knows of the tables: of new ones nothing, and its guesses cost more than all the rest.

Every key begins with the account, so without statistics any index looks as good as the right one: checking that a
reference holds then reads all the emails of the account. Autovacuum looks after a minute or later; a first backlog is
thousands of messages by then.

SQLite's planner never gets to know the tables, and need not: no plan is better for it, for each question is put so that
one index fits it best.
"""

from sqlalchemy import Connection, text

from worker.store.tables import AssociationRow, EmailOwnerRow, EmailRow, RecordRow, UserRow

_READ_BY_ACCOUNT = (UserRow, RecordRow, EmailRow, EmailOwnerRow, AssociationRow)
_FILLED_UNSEEN = text("SELECT reltuples <= 0 FROM pg_class WHERE oid = CAST(:table AS regclass)")


def look_once(connection: Connection) -> None:
    """Have the planner look at the tables if it has only seen them empty. Called where they have just been filled."""
    if connection.dialect.name != "postgresql":
        return
    tables = [str(row.__tablename__) for row in _READ_BY_ACCOUNT]
    if connection.scalar(_FILLED_UNSEEN, {"table": tables[-1]}):
        connection.execute(text(f"ANALYZE {', '.join(tables)}"))
