"""Alembic runs this file. The connection, with its transaction, comes from ``migrate``."""

from alembic import context

connection = context.config.attributes["connection"]
# Batches: SQLite cannot change a column, so a table is made anew and filled.
context.configure(connection=connection, render_as_batch=True)
context.run_migrations()
