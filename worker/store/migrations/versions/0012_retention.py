"""Old decisions are found and removed by indexes, and each day's size is noted (R30)."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_NOT_FILED = sa.text("outcome IN ('rejected', 'quarantined')")


def upgrade() -> None:
    op.drop_index("decision_not_filed", "decision")
    op.create_index(
        "decision_not_filed",
        "decision",
        ["mailbox_id", "outcome", "decided_at"],
        sqlite_where=_NOT_FILED,
        postgresql_where=_NOT_FILED,
    )
    op.create_index("notice_by_decision", "notice", ["decision_id", "ordinal"])
    op.create_table(
        "room",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day"),
    )
