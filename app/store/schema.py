"""Schema migrations: Alembic on the writer's connection, so that every migration is atomic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

from app.settings import Settings
from app.store.database import Database


def config_for(database: Database) -> Config:
    """Return Alembic's configuration for an open database; the migrations are in migrations/."""
    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    config.attributes["database"] = database
    return config


def _folder() -> Path:
    """Return the folder of migrations: beside the packages in a checkout, inside app in a wheel."""
    inside = Path(__file__).parents[1] / "_data" / "migrations"
    return inside if inside.exists() else Path(__file__).parents[2] / "migrations"


def upgrade(settings: Settings, to: str = "head") -> None:
    """Upgrade the database to a schema, by default the newest. Concurrent calls are serialized."""
    database = Database(settings, busy_s=60)
    try:
        command.upgrade(config_for(database), to)
    finally:
        database.close()


def downgrade(settings: Settings, to: str) -> None:
    """Downgrade the database to an older schema."""
    database = Database(settings, busy_s=60)
    try:
        command.downgrade(config_for(database), to)
    finally:
        database.close()
