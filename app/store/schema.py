"""Schema changes: Alembic, run on the writer's connection, so that a step is done whole or not at all."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

from app.settings import Settings
from app.store.database import Database


def config_for(database: Database) -> Config:
    """Return Alembic's settings for a database that is open; the steps lie in migrations/."""
    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    config.attributes["database"] = database
    return config


def _folder() -> Path:
    """Beside the packages in a checkout; within app where the project was installed from a wheel."""
    inside = Path(__file__).parents[1] / "_data" / "migrations"
    return inside if inside.exists() else Path(__file__).parents[2] / "migrations"


def upgrade(settings: Settings, to: str = "head") -> None:
    """Bring the database to a schema, by default the newest. Several may ask at once: one does it, the others wait."""
    database = Database(settings, busy_s=60)
    try:
        command.upgrade(config_for(database), to)
    finally:
        database.close()


def downgrade(settings: Settings, to: str) -> None:
    """Take the database back to an older schema."""
    database = Database(settings, busy_s=60)
    try:
        command.downgrade(config_for(database), to)
    finally:
        database.close()
