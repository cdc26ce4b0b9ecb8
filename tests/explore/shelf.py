"""The tables on the shelf, by name, and what is known of them."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

from engine.explore.layout import start_of
from engine.explore.tables.playing import enabled, move
from engine.explore.tables.table import Step, Table

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in (HERE / "tables").glob("*.toml"))
LONG = {"dining_10", "filter_lock_5", "naive_attach_two"}  # seconds each, in a plain search
KNOWN: dict[str, dict[str, Any]] = tomllib.loads((HERE / "known.toml").read_text())


def table(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / "tables" / f"{name}.toml").read_text())


def walk(asked: Table, length: int, seed: int) -> list[Step]:
    """Return steps drawn at random, one after the other; fewer where no step leads on."""
    draw, values, steps = random.Random(seed), start_of(asked), list[Step]()
    for _ in range(length):
        can = enabled(asked, values)
        if not can:
            break
        steps.append(draw.choice(can))
        values = move(asked, values, steps[-1]).after
    return steps
