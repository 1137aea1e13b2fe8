"""Runs the migrations on the connection, and within the transaction, that `schema.py` hands over."""

from alembic import context

from worker.store.schema import metadata_of

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata_of(connection), render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
