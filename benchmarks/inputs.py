"""What W1 and W2 draw, written to files, so that every peer draws the same: its log can then be compared bit for bit.

    python -m benchmarks.inputs FOLDER [RECORDS]

tables.bin  the engine's own: threshold u32[PAGES] and alias u32[PAGES] (which page), exponential u64[4097] (how long)
draws.npz   think_ns, page, hold_ns, each of shape (TASKS, cycles): drawn ahead for peers in plain Python, so that they
            are measured by their simulation and not by a random generator written in Python
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.world import rng

SEED, TASKS, PAGES, ZIPF = 1, 1_000, 4_096, 0.99
HOLD_NS, WAKE_NS = 10_000, 500
THINK_NS = 120 * HOLD_NS * TASKS // 1_000
"""Mean. At 120 the hottest page, a ninth of all draws, is locked most of the time, and one request in six waits."""


def scrambled(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return splitmix64's output for each state, any shape."""
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def exponential(bits: NDArray[np.uint64], table: NDArray[np.uint64], mean_ns: int) -> NDArray[np.uint64]:
    """Return 1 + an exponential draw for each word of random bits, in ns: engine.world.rng.exponential over whole
    arrays."""
    step = (bits >> np.uint64(52)).astype(np.intp)
    part = (bits >> np.uint64(20)) & np.uint64(0xFFFFFFFF)
    low = table[step]
    height = low + (((table[step + 1] - low) * part) >> np.uint64(32))
    return np.uint64(1) + ((height * np.uint64(mean_ns)) >> np.uint64(20))


def draws(cycles: int) -> dict[str, NDArray[np.int64]]:
    """Return what each task draws in its first cycles of think, pick and hold: arrays of shape (TASKS, cycles)."""
    threshold, alias = rng.alias_table(PAGES, ZIPF)
    table = rng.exponential_table()
    with np.errstate(over="ignore"):
        number = np.arange(1, 3 * cycles + 1, dtype=np.uint64) * rng.GAMMA
        bits = scrambled(rng.seed_streams(SEED, TASKS)[:, None] + number[None, :])
    pick = bits[:, 1::3]
    column = (((pick >> np.uint64(32)) * np.uint64(PAGES)) >> np.uint64(32)).astype(np.intp)
    page = np.where((pick & np.uint64(0xFFFFFFFF)) < threshold[column], column, alias[column])
    return {
        "think_ns": exponential(bits[:, 0::3], table, THINK_NS).astype(np.int64),
        "page": page.astype(np.int64),
        "hold_ns": exponential(bits[:, 2::3], table, HOLD_NS).astype(np.int64),
    }


def write(folder: Path, records: int) -> None:
    """Write tables.bin, and draws.npz that last for a log of so many records (a cycle gives at least two of them)."""
    folder.mkdir(parents=True, exist_ok=True)
    threshold, alias = rng.alias_table(PAGES, ZIPF)
    (folder / "tables.bin").write_bytes(threshold.tobytes() + alias.tobytes() + rng.exponential_table().tobytes())
    np.savez(folder / "draws.npz", **draws(records // TASKS // 2 * 5 // 4 + 100))  # type: ignore[arg-type]


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(float(sys.argv[2])) if len(sys.argv) > 2 else 1_000_000)
