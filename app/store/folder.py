"""The data folder: create and check it, with a one-line error if it is unusable; and its ballast file.

A full disk stops SQLite from writing at all, even to say that a run failed. The ballast is a file of real blocks that a
worker gives up then; it is filled again once there is room.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path

from app.settings import Settings
from app.store.database import APPLICATION_ID, file_of
from engine.errors import UserError

BALLAST = "ballast"
REVISIONS = ("0001", "0002", "0003")
"""Schemas that this version supports, oldest first; migrations/versions has one migration for each."""


def prepare(settings: Settings) -> str | None:
    """Create the data folder if necessary, and return the schema of its database, None if that is empty.

    Raises UserError for an unusable folder, a foreign file, or a newer schema.
    """
    path = file_of(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(path.parent, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise PermissionError
    except OSError as error:
        why = "is not a folder" if isinstance(error, FileExistsError | NotADirectoryError) else "is not writable"
        text = f"the data folder {path.parent} {why}: set FOLIOSCOPE_DATA to a writable folder"
        raise UserError(text, code="bad_data", field="FOLIOSCOPE_DATA") from None
    found = _schema(path)
    if found is not None and found not in REVISIONS:
        text = f"{path} has the newer schema {found[:20]}, this version supports {REVISIONS[-1]}: update folioscope"
        raise UserError(text, code="newer_schema", field="FOLIOSCOPE_DATA")
    return found


def _schema(path: Path) -> str | None:
    if not path.exists() or not path.stat().st_size:
        return None
    foreign = UserError(
        f"{path} is not a folioscope database: set FOLIOSCOPE_DATA to another folder",
        code="foreign_data",
        field="FOLIOSCOPE_DATA",
    )
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
            if tables and not ours:
                raise foreign
            if "alembic_version" not in tables:
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return None if row is None else str(row[0])
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            text = f"{path} cannot be read ({error}): stop the process that uses it, or check the disk"
            raise UserError(text, code="bad_data", field="FOLIOSCOPE_DATA", status=503) from None
        raise foreign from None


def keep_ballast(settings: Settings) -> None:
    """Create the ballast file if there is enough room for it and for runs."""
    path = file_of(settings).with_name(BALLAST)
    with contextlib.suppress(OSError):
        size = path.stat().st_size if path.exists() else 0
        room = os.statvfs(path.parent)
        if size < settings.ballast_bytes and room.f_bavail * room.f_frsize > settings.free_bytes_min:
            with path.open("wb") as file:
                if sys.platform == "linux":
                    os.posix_fallocate(file.fileno(), 0, settings.ballast_bytes)
                else:
                    file.write(bytes(settings.ballast_bytes))


def drop_ballast(settings: Settings) -> None:
    """Delete the ballast file: the disk is full, and a final state must still be stored."""
    with contextlib.suppress(OSError):
        file_of(settings).with_name(BALLAST).unlink()
