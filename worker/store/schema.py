"""Migrates a database to this program's schema; runs at each start, in one process at a time."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

from sqlalchemy import Connection, MetaData, inspect, text
from sqlmodel import SQLModel

from worker.domain.errors import Outdated
from worker.store.database import UNHURRIED, Database
from worker.store.ids import SQLITE_METADATA
from worker.store.reading import create_views, drop_views

HEAD = "0014"
"""The revision that `tables.py` describes. A constant, so that a start without migrations does not import alembic."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_243_392_104_518_211
"""Number of the PostgreSQL advisory lock under which migrations run; arbitrary, but the same for all workers."""


def migrate(database: Database, upgrading: Callable[[], None] = lambda: None) -> None:
    """Apply the missing migrations; when two processes start at once, only one applies them.

    Calls ``upgrading`` before it begins, because a migration may take long.

    Raises:
        Outdated: when the database is newer than this program.
        Unavailable: when the database is down or another process is still migrating.
    """
    with database.read() as connection:
        if revision_of(connection) == HEAD:
            return
    with database.begin() as connection:
        _take_turn(connection)
        if revision_of(connection) != HEAD:
            upgrading()
            _upgrade(connection)


def revision_of(connection: Connection) -> str | None:
    """Return the database's revision; None when it is empty.

    Raises:
        Unavailable: the database is down.
    """
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def metadata_of(connection: Connection) -> list[MetaData]:
    """Return the tables that this kind of database should have."""
    if connection.dialect.name == "sqlite":
        return [SQLModel.metadata, SQLITE_METADATA]
    for index in chain.from_iterable(table.indexes for table in SQLModel.metadata.tables.values()):
        index.dialect_kwargs["postgresql_where"] = index.dialect_options["sqlite"]["where"]
    return [SQLModel.metadata]


def _take_turn(connection: Connection) -> None:
    """Take the migration lock and lift the statement timeout; on SQLite the transaction itself is the lock."""
    connection.execution_options(**{UNHURRIED: True})
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text("SET LOCAL statement_timeout = 0"))


def _upgrade(connection: Connection) -> None:
    from alembic.command import upgrade  # noqa: PLC0415 - takes a fifth of a second to import and is rarely needed
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    revision = revision_of(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise Outdated(f"the database is at revision {revision}, newer than this program: upgrade the program")
    drop_views(connection)
    upgrade(config, "head")
    create_views(connection)
