"""The tables on the shelf, by name, and what is known of them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in (HERE / "tables").glob("*.toml"))
LONG = {"dining_10", "filter_lock_5", "naive_attach_two"}  # seconds each, in a plain search
KNOWN: dict[str, dict[str, Any]] = tomllib.loads((HERE / "known.toml").read_text())


def table(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / "tables" / f"{name}.toml").read_text())
