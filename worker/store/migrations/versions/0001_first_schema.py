"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name_key", name="account_name_unique"),
    )
    op.create_table(
        "mailbox",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_poll_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_good_poll_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("backlog", sa.Integer(), nullable=False),
        sa.Column("oldest_arrived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="mailbox_name_unique"),
    )
    op.create_table(
        "attempt",
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("in_hand", sa.Text(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("suspect", sa.Boolean(), nullable=False),
        sa.Column("strikes", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("in_hand IN ('batch', 'alone')", name="attempt_in_hand"),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"]),
        sa.PrimaryKeyConstraint("mailbox_id", "uidvalidity", "uid"),
    )
    op.create_table(
        "decision",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("recipients", sa.JSON(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("mailbox_id", "uidvalidity", "uid", name="decision_one_per_message"),
    )
    op.create_index("decision_by_message_id", "decision", ["message_id"], unique=False)
    op.create_index("decision_by_time", "decision", ["decided_at"], unique=False)
    op.create_table(
        "email",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipients", sa.JSON(), nullable=False),
        sa.Column("attachments", sa.JSON(), nullable=False),
        sa.Column("snippet", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("account_id", "id"),
        sa.UniqueConstraint("account_id", "fingerprint", name="email_stored_once"),
    )
    op.create_table(
        "never_log",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("account_id", "entry"),
    )
    op.create_table(
        "profile",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("bcc_dropbox", sa.Boolean(), nullable=False),
        sa.Column("leads", sa.Boolean(), nullable=False),
        sa.Column("contacts", sa.Boolean(), nullable=False),
        sa.Column("manage_profiles", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("account_id", "id"),
        sa.UniqueConstraint("account_id", "name_key", name="profile_name_unique"),
    )
    op.create_table(
        "record",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("module", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_key", sa.Text(), nullable=True),
        sa.Column("secondary_email", sa.Text(), nullable=True),
        sa.Column("secondary_email_key", sa.Text(), nullable=True),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("made_for", sa.Text(), nullable=True),
        sa.Column("first_for", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("module IN ('lead', 'contact')", name="record_module"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("account_id", "id"),
        sa.UniqueConstraint("account_id", "module", "made_for", name="record_made_once"),
    )
    op.create_index("record_by_email", "record", ["account_id", "email_key"], unique=False)
    op.create_index("record_by_secondary_email", "record", ["account_id", "secondary_email_key"], unique=False)
    op.create_index(
        "record_first_for_address",
        "record",
        ["account_id", "first_for"],
        unique=True,
        sqlite_where=sa.text("first_for IS NOT NULL"),
        postgresql_where=sa.text("first_for IS NOT NULL"),
    )
    op.create_table(
        "association",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("email_id", sa.BigInteger(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["account_id", "email_id"], ["email.account_id", "email.id"]),
        sa.ForeignKeyConstraint(["account_id", "record_id"], ["record.account_id", "record.id"]),
        sa.PrimaryKeyConstraint("account_id", "email_id", "record_id"),
    )
    op.create_index("association_by_record", "association", ["account_id", "record_id", "email_id"], unique=False)
    op.create_table(
        "dropbox_user",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("login_key", sa.Text(), nullable=False),
        sa.Column("profile_id", sa.BigInteger(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id", "profile_id"], ["profile.account_id", "profile.id"]),
        sa.PrimaryKeyConstraint("account_id", "id"),
        sa.UniqueConstraint("account_id", "login_key", name="user_login_unique"),
    )
    op.create_table(
        "email_content",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("email_id", sa.BigInteger(), nullable=False),
        sa.Column("original", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account_id", "email_id"], ["email.account_id", "email.id"]),
        sa.PrimaryKeyConstraint("account_id", "email_id"),
    )
    op.create_table(
        "unmatched",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("email_id", sa.BigInteger(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id", "email_id"], ["email.account_id", "email.id"]),
        sa.PrimaryKeyConstraint("account_id", "email_id", "address_key"),
    )
    op.create_index("unmatched_by_address", "unmatched", ["account_id", "address_key"], unique=False)
    op.create_table(
        "verdict",
        sa.Column("decision_id", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("email_id", sa.BigInteger(), nullable=True),
        sa.Column("trace", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"]),
        sa.PrimaryKeyConstraint("decision_id", "ordinal"),
    )
    op.create_index("verdict_by_owner", "verdict", ["account_id", "user_id", "decision_id"], unique=False)
    op.create_table(
        "email_owner",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("email_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id", "email_id"], ["email.account_id", "email.id"]),
        sa.ForeignKeyConstraint(["account_id", "user_id"], ["dropbox_user.account_id", "dropbox_user.id"]),
        sa.PrimaryKeyConstraint("account_id", "email_id", "user_id"),
    )
    op.create_table(
        "sender",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code_digest", sa.Text(), nullable=True),
        sa.Column("code_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code_tries", sa.Integer(), nullable=False),
        sa.CheckConstraint("slot BETWEEN 1 AND 5", name="sender_slot_of_five"),
        sa.ForeignKeyConstraint(["account_id", "user_id"], ["dropbox_user.account_id", "dropbox_user.id"]),
        sa.PrimaryKeyConstraint("account_id", "user_id", "slot"),
        sa.UniqueConstraint("account_id", "user_id", "address_key", name="sender_address_unique"),
    )
    op.create_index("sender_by_address", "sender", ["account_id", "address_key"], unique=False)
    op.create_table(
        "token",
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id", "user_id"], ["dropbox_user.account_id", "dropbox_user.id"]),
        sa.PrimaryKeyConstraint("token"),
    )
    op.create_index(
        "token_one_present",
        "token",
        ["account_id", "user_id"],
        unique=True,
        sqlite_where=sa.text("valid_until IS NULL"),
        postgresql_where=sa.text("valid_until IS NULL"),
    )
    if op.get_context().dialect.name == "sqlite":
        op.create_table(
            "id_counter",
            sa.Column("table_name", sa.Text(), nullable=False),
            sa.Column("last_id", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("table_name"),
        )
        return
    for name in ("account", "profile", "dropbox_user", "record", "email", "mailbox", "decision"):
        op.execute(f"CREATE SEQUENCE {name}_id")
    # Mail is mostly base64 and text already read: compressing each original costs more than the disk it saves.
    op.execute("ALTER TABLE email_content ALTER COLUMN original SET STORAGE EXTERNAL")
