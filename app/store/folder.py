"""The data folder: create and check it, with a one-line error if it is unusable; and its ballast file.

A full disk stops SQLite from writing at all, even to say that a run failed, or to delete one. The ballast is a file of
real blocks that is given up then; it is filled again once there is room.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
from pathlib import Path

from app.settings import MIB, Settings
from app.store.database import APPLICATION_ID, Database, file_of
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


def free_bytes(settings: Settings) -> int:
    """Return the free space of the data folder's disk."""
    return shutil.disk_usage(file_of(settings).parent).free


def short_of_space(settings: Settings) -> str:
    """Return what to do about too little free space, in one line; "" if there is enough."""
    if free_bytes(settings) >= settings.free_bytes_min:
        return ""
    least = settings.free_bytes_min // MIB
    return f"less than {least} MiB free in the data folder: delete runs or free disk space, then try again"


def keep_ballast(settings: Settings) -> None:
    """Create the ballast file if there is enough room for it and for runs."""
    path = file_of(settings).with_name(BALLAST)
    with contextlib.suppress(OSError):
        size = path.stat().st_size if path.exists() else 0
        if size < settings.ballast_bytes and free_bytes(settings) > settings.free_bytes_min + settings.ballast_bytes:
            with path.open("wb") as file:
                if sys.platform == "linux":
                    os.posix_fallocate(file.fileno(), 0, settings.ballast_bytes)
                else:
                    file.write(bytes(settings.ballast_bytes))


def drop_ballast(settings: Settings, *, half: bool = False) -> None:
    """Delete the ballast file; half: leave half of it, if it is whole, for those who will want to delete something."""
    path = file_of(settings).with_name(BALLAST)
    with contextlib.suppress(OSError):
        if not half:
            path.unlink()
        elif path.stat().st_size > settings.ballast_bytes // 2:
            os.truncate(path, settings.ballast_bytes // 2)


def refuse_full_disk(settings: Settings) -> None:
    """Reject the request (storage_full) if the disk of the data folder has too little free space."""
    if text := short_of_space(settings):
        raise UserError(text, code="storage_full", status=507)


def make_room(db: Database, settings: Settings, *, ballast: bool = False) -> None:
    """On a disk that is nearly full, write the log back and empty it; ballast: give that up first, to delete something.

    Not within a transaction: the log could not be emptied.
    """
    if free_bytes(settings) < max(settings.free_bytes_min, settings.ballast_bytes, MIB):
        if ballast:
            drop_ballast(settings)
        with contextlib.suppress(UserError):
            db.checkpoint(0, empty=0)
