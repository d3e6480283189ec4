"""Alembic's entry: it runs the revisions in the transaction that `embeddings.migrations.upgrade` was given."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
