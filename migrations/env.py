"""Alembic's door: runs the steps on the writer's connection that app.store.schema gives, in one transaction."""

from __future__ import annotations

from alembic import context

from app.settings import load_settings
from app.store.database import Database
from app.store.tables import Base


def main() -> None:
    """Run what Alembic was asked for; from its own command line on the database that the settings name."""
    given = context.config.attributes.get("database")
    database: Database = given or Database(load_settings(), busy_s=60)
    with database.writer.begin() as connection:  # BEGIN IMMEDIATE: CREATE TABLE would else stand outside
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            transactional_ddl=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    if given is None:
        database.close()


main()
