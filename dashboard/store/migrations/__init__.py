"""How the store's tables came to be what they are: one file in versions/ for each change, in order.

A change of tables.py needs a revision. ``python -m dashboard.store.migrations "what changes"`` writes it from the difference between the last revision and
tables.py; read it (SQLite changes a table by copying it, which is ``batch_alter_table``; a table WITHOUT ROWID needs
``table_kwargs={"sqlite_with_rowid": False}`` there), name it in REVISIONS, let ``ruff check --fix`` and ``ruff format`` go over it, and run
tests/dashboard/test_migrations.py. A revision that was released is never changed.
"""

REVISIONS = ("0001",)
"""every revision that this program knows, in order: known here, so that a store that is up to date costs no import of Alembic (11 MB)"""
HEAD = REVISIONS[-1]
