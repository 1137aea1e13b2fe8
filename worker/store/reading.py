"""The views that a CRM reads the database by (R27). Their names, columns and meanings stay; tables may change."""

from sqlalchemy import Connection

from worker.domain.records import Direction

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
    "v1_original": "SELECT account_id, email_id, encoding, original FROM email_content WHERE pack_id IS NULL",
    "v2_original": (
        "SELECT content.account_id, content.email_id, CASE WHEN pack.id IS NULL THEN content.encoding"
        " ELSE 'zstd' END AS encoding, coalesce(pack.packed, content.original) AS original,"
        " coalesce(content.pack_start, 0) AS start, coalesce(content.pack_length, email.size) AS length"
        " FROM email_content AS content"
        " JOIN email ON email.account_id = content.account_id AND email.id = content.email_id"
        " LEFT JOIN email_pack AS pack"
        " ON pack.account_id = content.account_id AND pack.id = content.pack_id"
    ),
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
