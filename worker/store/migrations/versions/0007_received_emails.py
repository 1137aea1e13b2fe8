"""A record lists the emails that its person wrote, too: each place on a list says who wrote the email (R28)."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("association", "unmatched"):
        is_direction = sa.CheckConstraint("direction IN ('sent', 'received')", name=f"{table}_direction")
        op.add_column(table, sa.Column("direction", sa.Text(), is_direction, nullable=False, server_default="sent"))
        op.add_column(table, sa.Column("claimed", sa.Boolean(), nullable=False, server_default=sa.false()))
