"""Events that no endpoint waits for are stored compressed (R26, R30)."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("packed", sa.LargeBinary(), nullable=True))
