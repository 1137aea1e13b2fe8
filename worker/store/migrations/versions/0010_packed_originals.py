"""Originals are stored compressed, with a digest; old rows are compressed in the background (R30)."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("email_content", sa.Column("encoding", sa.Text(), nullable=False, server_default="plain"))
    op.add_column("email_content", sa.Column("digest", sa.LargeBinary(), nullable=True))
    op.create_index(
        "email_content_unpacked",
        "email_content",
        ["account_id", "email_id"],
        sqlite_where=sa.text("digest IS NULL"),
        postgresql_where=sa.text("digest IS NULL"),
    )
