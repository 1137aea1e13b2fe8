"""The traces of filed messages are stored compressed (R30). Rows from before stay as they are."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("verdict", sa.Column("packed", sa.LargeBinary(), nullable=True))
