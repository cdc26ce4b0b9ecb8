"""The database as several processes share it."""

from __future__ import annotations

import fcntl
from pathlib import Path

from app.settings import load_settings
from app.store import open_store
from app.store.database import CHECKPOINT_AT


def test_given_another_process_writes_the_log_back_then_ours_leaves_it_and_does_so_later(tmp_path: Path) -> None:
    store = open_store(load_settings(data=tmp_path, free_bytes_min=0, ballast_bytes=0))
    file = tmp_path / "folioscope.db"
    with store.db.write() as connection:
        connection.exec_driver_sql("CREATE TABLE filler (data BLOB)")
        connection.exec_driver_sql("INSERT INTO filler VALUES (?)", (bytes(2 * CHECKPOINT_AT),))
    size = file.stat().st_size
    assert size < CHECKPOINT_AT, "all is in the log, whatever its size: no connection writes it back unasked"
    with (tmp_path / "folioscope.db-checkpoint").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        store.checkpoint()
        assert file.stat().st_size == size
    store.checkpoint()
    assert file.stat().st_size > 2 * CHECKPOINT_AT
    store.close()
