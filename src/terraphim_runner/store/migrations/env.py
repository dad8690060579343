"""Alembic's entry: connects to the URL that the caller put into the configuration's attributes."""

from alembic import context
from sqlalchemy import create_engine

from terraphim_runner.store.tables import metadata

engine = create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
