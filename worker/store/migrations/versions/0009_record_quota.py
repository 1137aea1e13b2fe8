"""How many records each owner's mail has made today is counted, so that it can be bounded (R13)."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "record_quota",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id"),
        sa.ForeignKeyConstraint(["account_id", "user_id"], ["dropbox_user.account_id", "dropbox_user.id"]),
    )
