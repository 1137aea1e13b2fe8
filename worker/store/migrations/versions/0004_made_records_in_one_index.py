"""Index a record that mail made once by its address, not three times: new records are most of a new mail's work.

Mail is filed alone in its account now, so that no constraint has to tell the first record for an address from others.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PARTIAL = {
    "record_by_email": ("email_key", "made_for IS NULL OR made_for <> email_key"),
    "record_by_secondary_email": ("secondary_email_key", "secondary_email_key IS NOT NULL"),
}


def upgrade() -> None:
    op.drop_index("record_first_for_address", "record")
    op.drop_column("record", "first_for")
    for name, (column, only) in _PARTIAL.items():
        where = sa.text(only)
        op.drop_index(name, "record")
        op.create_index(name, "record", ["account_id", column], sqlite_where=where, postgresql_where=where)
