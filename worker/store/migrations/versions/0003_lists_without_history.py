"""Indexes by which what people ask for is found without reading all that was ever decided."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NOT_FILED = sa.text("outcome IN ('rejected', 'quarantined')")
_WAITING = sa.text("settled_at IS NULL")


def upgrade() -> None:
    op.drop_index("decision_by_time", "decision")
    op.create_index("decision_by_time", "decision", ["mailbox_id", "decided_at"])
    op.create_index(
        "decision_not_filed",
        "decision",
        ["mailbox_id", "outcome"],
        sqlite_where=_NOT_FILED,
        postgresql_where=_NOT_FILED,
    )
    op.create_index("email_owner_by_user", "email_owner", ["account_id", "user_id", "email_id"])
    op.create_index("record_by_module", "record", ["account_id", "module", "id"])
    op.create_index("token_by_user", "token", ["account_id", "user_id"])
    op.drop_index("notice_waiting", "notice")
    op.create_index(
        "notice_waiting",
        "notice",
        ["day", "decision_id"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
