"""The database that version 0.1.0 wrote (tests/fixtures/0.1.0), and what its server said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backports import zstd

from app.settings import load_settings
from app.store import Store, open_store

OLD = Path(__file__).parents[1] / "fixtures" / "0.1.0"
EXPECTED: dict[str, Any] = json.loads(zstd.decompress((OLD / "expected.json.zst").read_bytes()))
RUNS, EXPLORATIONS, SHARES = EXPECTED["runs"], EXPECTED["explorations"], EXPECTED["shares"]
DONE = [run for run, told in RUNS.items() if told["state"] == "done"]


def unpacked(folder: Path) -> Path:
    """Write the database into a data folder and return its path."""
    file = folder / "folioscope.db"
    file.write_bytes(zstd.decompress((OLD / "database.sqlite.zst").read_bytes()))
    return file


def opened(folder: Path) -> Store:
    """Open a copy of the database with the present version."""
    unpacked(folder)
    return open_store(load_settings(data=folder, workers=0, free_bytes_min=0, ballast_bytes=0))
