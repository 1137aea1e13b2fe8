"""Records with any number of addresses, found by one index, and with the CRM's own key."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEPT = "account_id, id, module, last_name, first_name, email, owner_id, source, made_for, created_at"
_ADDRESSES = (
    "SELECT account_id, id, 1, email_key, email FROM record WHERE email_key IS NOT NULL",
    (
        "SELECT account_id, id, 2, secondary_email_key, secondary_email FROM record"
        " WHERE secondary_email_key IS NOT NULL AND (email_key IS NULL OR secondary_email_key <> email_key)"
    ),
    # A person edited the email of a record that mail had made.
    (
        "SELECT account_id, id, 3, made_for, made_for FROM record"
        " WHERE made_for IS NOT NULL AND (email_key IS NULL OR made_for <> email_key)"
        " AND (secondary_email_key IS NULL OR made_for <> secondary_email_key)"
    ),
)


def upgrade() -> None:
    op.add_column("account", sa.Column("record_names", sa.Text(), nullable=False, server_default="address"))
    op.create_table(
        "former_record",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("module", sa.Text(), nullable=False),
        sa.Column("merged_into", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_by", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("module IN ('lead', 'contact')", name="former_record_module"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("account_id", "id"),
    )
    _make_addresses()
    if op.get_context().dialect.name == "sqlite":
        _rebuild_record()
    else:
        _alter_record()
    _make_indexes()


def _make_addresses() -> None:
    op.create_table(
        "record_address",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.CheckConstraint("position > 0", name="record_address_position"),
        sa.ForeignKeyConstraint(["account_id", "record_id"], ["record.account_id", "record.id"]),
        sa.PrimaryKeyConstraint("account_id", "record_id", "position"),
        sa.UniqueConstraint("account_id", "address_key", "record_id", name="record_address_once"),
    )
    for addresses in _ADDRESSES:
        op.execute(f"INSERT INTO record_address {addresses}")


def _alter_record() -> None:
    for index in ("record_by_email", "record_by_secondary_email", "record_by_module"):
        op.drop_index(index, "record")
    op.drop_constraint("record_made_once", "record")
    for column in ("email_key", "secondary_email", "secondary_email_key"):
        op.drop_column("record", column)
    for added in _added():
        op.add_column("record", added)
    op.create_foreign_key(
        "record_account_id_owner_id_fkey", "record", "dropbox_user", ["account_id", "owner_id"], ["account_id", "id"]
    )


def _rebuild_record() -> None:
    """SQLite cannot drop a column of a UNIQUE constraint. The references to the rows hold again at the commit."""
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute(f"CREATE TEMPORARY TABLE kept_record AS SELECT {_KEPT} FROM record")  # noqa: S608 - our own names
    op.drop_table("record")
    op.create_table(
        "record",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("module", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("made_for", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *_added(),
        sa.CheckConstraint("module IN ('lead', 'contact')", name="record_module"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["account_id", "owner_id"], ["dropbox_user.account_id", "dropbox_user.id"]),
        sa.PrimaryKeyConstraint("account_id", "id"),
    )
    op.execute(f"INSERT INTO record ({_KEPT}) SELECT {_KEPT} FROM kept_record")  # noqa: S608
    op.execute("DROP TABLE kept_record")


def _added() -> list[sa.Column[object]]:
    return [
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_by", sa.BigInteger(), nullable=True),
    ]


def _make_indexes() -> None:
    op.create_index("record_by_module", "record", ["account_id", "module", "id"])
    op.create_index("record_by_owner", "record", ["account_id", "owner_id", "module", "id"])
    for name, column in (("record_made_once", "made_for"), ("record_external_id_unique", "external_id")):
        where = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            name, "record", ["account_id", "module", column], unique=True, sqlite_where=where, postgresql_where=where
        )
