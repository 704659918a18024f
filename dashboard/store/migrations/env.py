"""What Alembic runs: the revisions in the transaction of whoever calls (dashboard/store/migrating.py)."""

from alembic import context

from dashboard.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
