"""A record that mail made stands in one index by its address, not in three: new records are most of a new mail's work.

Mail is filed alone in its account now, so that no constraint has to tell the first record for an address from others.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ADDRESSED_OTHERWISE = sa.text("made_for IS NULL OR made_for <> email_key")
_HAS_SECONDARY = sa.text("secondary_email_key IS NOT NULL")


def upgrade() -> None:
    op.drop_index("record_first_for_address", "record")
    op.drop_column("record", "first_for")
    op.drop_index("record_by_email", "record")
    op.create_index(
        "record_by_email",
        "record",
        ["account_id", "email_key"],
        sqlite_where=_ADDRESSED_OTHERWISE,
        postgresql_where=_ADDRESSED_OTHERWISE,
    )
    op.drop_index("record_by_secondary_email", "record")
    op.create_index(
        "record_by_secondary_email",
        "record",
        ["account_id", "secondary_email_key"],
        sqlite_where=_HAS_SECONDARY,
        postgresql_where=_HAS_SECONDARY,
    )
