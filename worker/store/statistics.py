"""Statistics for PostgreSQL's planner, collected once after the first batch.

Every key begins with the account. Without statistics each index looks equally good to the planner, and a foreign key
check reads all emails of the account. Autovacuum comes after a minute or later; a first backlog has filed thousands of
messages by then.

SQLite needs no statistics: each query is written so that exactly one index fits it.
"""

from sqlalchemy import Connection, text

from worker.store.tables import AssociationRow, EmailOwnerRow, EmailRow, RecordAddressRow, RecordRow, UserRow

_READ_BY_ACCOUNT = (UserRow, RecordRow, RecordAddressRow, EmailRow, EmailOwnerRow, AssociationRow)
_FILLED_UNSEEN = text("SELECT reltuples <= 0 FROM pg_class WHERE oid = CAST(:table AS regclass)")


def look_once(connection: Connection) -> None:
    """Run ANALYZE if the planner has only seen the tables empty. Call it right after the tables were filled.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    if connection.dialect.name != "postgresql":
        return
    tables = [str(row.__tablename__) for row in _READ_BY_ACCOUNT]
    if connection.scalar(_FILLED_UNSEEN, {"table": tables[-1]}):
        connection.execute(text(f"ANALYZE {', '.join(tables)}"))
