"""Many rows in one round trip."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert
from sqlmodel import SQLModel


def insert_rows(connection: Connection, row: type[SQLModel], rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows, all with the same columns; in the order of their keys, so that workers cannot deadlock."""
    if rows:
        connection.execute(insert(SQLModel.metadata.tables[str(row.__tablename__)]), rows)
