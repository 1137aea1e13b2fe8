"""Migrates a database to this program's schema at each start, and makes the views that a CRM reads (R27)."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

from sqlalchemy import Connection, MetaData, inspect, text
from sqlmodel import SQLModel

from worker.domain.errors import Outdated
from worker.domain.records import Direction
from worker.store.database import UNHURRIED, Database
from worker.store.inserts import SQLITE_METADATA

_LIST = (
    f"CASE direction WHEN '{Direction.RECEIVED.value}' THEN '{Direction.RECEIVED.list_name}'"
    f" ELSE '{Direction.SENT.list_name}' END AS list"
)
_ADDRESSES = (
    "SELECT record_address.address, position FROM record_address"
    " WHERE record_address.account_id = record.account_id AND record_address.record_id = record.id ORDER BY position"
)
_OWNERS = (
    "SELECT dropbox_user.login, dropbox_user.id FROM email_owner JOIN dropbox_user"
    " ON dropbox_user.account_id = email_owner.account_id AND dropbox_user.id = email_owner.user_id"
    " WHERE email_owner.account_id = email.account_id AND email_owner.email_id = email.id ORDER BY dropbox_user.id"
)
_VIEWS = {
    "v1_record": (
        "SELECT record.account_id, account.name AS account, record.id AS record_id, record.module, record.external_id,"
        " record.email, {addresses} AS addresses, record.last_name, record.first_name, dropbox_user.login AS owner,"
        " record.source, record.created_at, record.changed_at"
        " FROM record JOIN account ON account.id = record.account_id"
        " LEFT JOIN dropbox_user ON dropbox_user.account_id = record.account_id AND dropbox_user.id = record.owner_id"
    ),
    "v1_email": (
        "SELECT email.account_id, account.name AS account, email.id AS email_id, email.message_id, email.thread_id,"
        " email.subject, email.sender, email.recipients, email.attachments, email.snippet, email.sent_at,"
        " email.arrived_at, email.stored_at, email.size, email.verified, {owners} AS owners"
        " FROM email JOIN account ON account.id = email.account_id"
    ),
    "v1_record_email": "SELECT account_id, record_id, email_id, {list}, created, claimed FROM association",
    "v1_unmatched": "SELECT account_id, email_id, address, {list}, claimed FROM unmatched",
    "v1_original": "SELECT account_id, email_id, encoding, original FROM email_content",
}
VIEWS = tuple(_VIEWS)
"""The names of the views."""

_ARRAYS = {
    "sqlite": "(SELECT json_group_array({value}) FROM ({query}))",
    "postgresql": "(SELECT coalesce(json_agg({value}), '[]'::json) FROM ({query}) AS ordered)",
}


def create_views(connection: Connection) -> None:
    """Create the views on the present tables.

    PostgreSQL replaces them in place, so that grants stay. It refuses to drop or retype a column of a view.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    how = "CREATE VIEW" if connection.dialect.name == "sqlite" else "CREATE OR REPLACE VIEW"
    array = _ARRAYS[connection.dialect.name]
    parts = {
        "addresses": array.format(value="address", query=_ADDRESSES),
        "owners": array.format(value="login", query=_OWNERS),
        "list": _LIST,
    }
    for name, query in _VIEWS.items():
        connection.exec_driver_sql(f"{how} {name} AS {query.format(**parts)}")


def drop_views(connection: Connection) -> None:
    """Drop the views on SQLite before its tables change: it cannot rename a table that a view reads.

    On PostgreSQL they stay. A migration that changes the type of a column, or drops one that they read, has to drop and
    make them itself, and to grant again what was granted on them.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    if connection.dialect.name == "sqlite":
        for name in VIEWS:
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")


HEAD = "0015"
"""The revision that `tables.py` describes. A constant, so that a start without migrations does not import alembic."""
MIGRATIONS = Path(__file__).parent / "migrations"

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
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    revision = revision_of(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise Outdated(f"the database is at revision {revision}, newer than this program: upgrade the program")
    drop_views(connection)
    upgrade(config, "head")
    create_views(connection)
