"""The views for reading. Every upgrade creates them again after all migrations: see `worker.store.schema`."""

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
