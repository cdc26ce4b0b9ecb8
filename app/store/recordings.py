"""Imported recordings."""

from __future__ import annotations

import time

from sqlalchemy import delete, func, insert, select

from app.settings import Settings
from app.store.database import Database
from app.store.folder import make_room, refuse_full_disk
from app.store.rows import RECORDING_COLUMNS, RecordingRow
from app.store.tables import Recording as Stored
from app.store.tables import Run
from engine.errors import UserError
from engine.recordings import pack, unpack
from engine.recordings.moves import Recording
from engine.recordings.shipped import shipped_recordings


class Recordings:
    """The part of the store that manages recordings. An id is the first 12 hex digits of the file's SHA-256."""

    db: Database
    settings: Settings

    def recordings(self) -> list[RecordingRow]:
        """Return all recordings, newest first."""
        with self.db.read() as connection:
            rows = connection.execute(select(*RECORDING_COLUMNS).order_by(Stored.created_ns.desc(), Stored.id))
            return [RecordingRow(*row) for row in rows]

    def recording(self, recording_id: str) -> RecordingRow | None:
        """Return a recording's row, None if there is none."""
        with self.db.read() as connection:
            row = connection.execute(select(*RECORDING_COLUMNS).where(Stored.id == recording_id)).one_or_none()
        return None if row is None else RecordingRow(*row)

    def add_recording(self, recording: Recording, name: str) -> RecordingRow:
        """Store a recording and return its row; an existing one keeps its name. Raises UserError (storage_full)."""
        recording_id, data = recording.sha256[:12], pack(recording)
        values = {
            "id": recording_id,
            "name": name,
            "sha256": recording.sha256,
            "bytes": recording.report.bytes_read,
            "moves": len(recording.moves),
            "kernel": recording.report.kernel,
            "report_json": recording.report.model_dump_json(),
            "created_ns": time.time_ns(),
            "data": data,
        }
        make_room(self.db, self.settings)
        with self.db.write() as connection:
            if connection.scalar(select(Stored.id).where(Stored.id == recording_id)) is None:
                refuse_full_disk(self.settings)
                connection.execute(insert(Stored).values(**values))
            row = connection.execute(select(*RECORDING_COLUMNS).where(Stored.id == recording_id)).one()
            return RecordingRow(*row)

    def delete_recording(self, recording_id: str) -> None:
        """Delete a recording; runs of it that have ended keep their events. Raises UserError: no_recording, in_use."""
        make_room(self.db, self.settings, ballast=True)
        with self.db.write() as connection:
            live = (Run.recording_id == recording_id, Run.state.in_(("queued", "running")), Run.deleted.is_(False))
            if count := connection.scalar(select(func.count()).where(*live)):
                runs = "1 run of this recording is" if count == 1 else f"{count} runs of this recording are"
                text = f"{runs} queued or running: cancel, or wait for the end, then delete"
                raise UserError(text, code="in_use", field="recording_id", status=409)
            if connection.execute(delete(Stored).where(Stored.id == recording_id)).rowcount == 0:
                raise _no_recording(recording_id)

    def load_recording(self, recording_id: str) -> Recording:
        """Return a recording, by its id or the name of a shipped one. Raises UserError (404), Damaged."""
        if recording_id in shipped_recordings():
            return shipped_recordings()[recording_id].read()
        with self.db.read() as connection:
            data = connection.scalar(select(Stored.data).where(Stored.id == recording_id))
        if data is None:
            raise _no_recording(recording_id)
        return unpack(data)


def _no_recording(recording_id: str) -> UserError:
    text = f"there is no recording {recording_id[:80]}"
    return UserError(text, code="no_recording", field="recording_id", status=404)
