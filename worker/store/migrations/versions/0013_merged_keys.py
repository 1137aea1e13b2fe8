"""A merged record's external ID is remembered, so that the next import does not make the record again (R24, R25)."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("former_record", sa.Column("external_id", sa.Text(), nullable=True))
    has_external_id = sa.text("external_id IS NOT NULL")
    op.create_index(
        "former_record_by_external_id",
        "former_record",
        ["account_id", "module", "external_id"],
        sqlite_where=has_external_id,
        postgresql_where=has_external_id,
    )
