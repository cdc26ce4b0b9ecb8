"""The store beside the engine alone: how much of its speed is left, bytes an event, and what a window costs.

    python -m benchmarks.bench_store [--events N] [--rounds R]

In turn, W1 is played alone, and played, summarised, packed and stored as a worker does it; a ratio is taken within a
round, over CPU time of the whole process, all its threads. Windows are read from the last stored run, at places all
along it, from a server's cache that has seen the whole run once; what counts is the median over the places.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlalchemy import text

from app import windows
from app.chunks import decode
from app.runner import play_one, spare_the_collector
from app.settings import load_settings
from app.store import RunRow, Store, open_store
from engine.events import BATCH
from engine.runs.play import open_run
from engine.runs.w1 import scenario
from engine.scenario import Scenario

PLACES = 15
PIXELS = 2_000
ALL_PARTS = {"chunks": "length(data)", "keyframes": "length(data)"}
ALL_PARTS["nodes"] = "length(series) + length(cells) + coalesce(length(folded), 0)"


def cpu_of(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process, all threads, that the work took."""
    before = time.process_time()
    work()
    return time.process_time() - before


def play_alone(asked: Scenario) -> int:
    """Play and drop; return the number of events."""
    return sum(len(batch) for batch in open_run(asked).batches())


def stored(store: Store, asked: Scenario) -> tuple[RunRow, float]:
    """Play a run as a worker does and store it; return its row and the CPU seconds."""
    row, _ = store.start_run(asked, pace_ms_per_s=None, tags=[], key=None, body_sha256=None)
    claimed = store.run_jobs.claim("bench")
    assert claimed is not None, "the run was just queued"
    assert claimed.id == row.id, "nobody else plays here"
    cpu = cpu_of(partial(play_one, store, claimed))
    done = store.run(row.id)
    assert done is not None, "it was just stored"
    assert done.state == "done", f"{done.state}: {done.detail}"
    return done, cpu


def event_bytes(store: Store, run: RunRow, *tables: str) -> float:
    """Return the stored bytes of these tables for each event of the run."""
    size = 0
    with store.db.read() as connection:
        for table in tables:
            query = text(f"SELECT coalesce(sum({ALL_PARTS[table]}), 0) FROM {table} WHERE run_id = :run")
            size += int(connection.scalar(query, {"run": run.id}) or 0)
    return size / run.events


def read_events(store: Store, run: RunRow, first: int, count: int) -> int:
    """Read consecutive events as columns, as a window at the finest level does."""
    numbers = range(first // BATCH, (first + count - 1) // BATCH + 1)
    return sum(len(decode(store.chunk(run.id, number))) for number in numbers)


def median_ms(works: list[Callable[[], object]]) -> float:
    """Return the median CPU milliseconds of the works."""
    return 1e3 * statistics.median(cpu_of(work) for work in works)


def window_ms(store: Store, run: RunRow, share: float, *parts: str) -> float:
    """Return the median CPU milliseconds of a window over this share of the run."""
    width = max(PIXELS, int(run.time_ns * share))
    starts = [(run.time_ns - width) * place // (PLACES - 1) for place in range(PLACES)]
    return median_ms([partial(windows.window, store, run, t0, t0 + width, PIXELS, parts) for t0 in starts])


def measure(store: Store, rounds: int, asked: Scenario) -> list[tuple[str, float, float, float, str]]:
    """Return rows of what, found, gate, aim, unit; a ratio shall be large, all else small."""
    play_alone(scenario(events=50_000))
    stored(store, scenario(events=40 * BATCH))
    spare_the_collector()
    ratios = []
    for number in range(rounds):
        alone = cpu_of(partial(play_alone, asked))
        run, whole = stored(store, asked)
        ratios.append(alone / whole)
        rates = f"alone {run.events / alone / 1e6:.1f}, stored {run.events / whole / 1e6:.1f} M events/s"
        print(f"round {number + 1}/{rounds}  {rates}", flush=True)
    places = [(run.events - 10_000) * place // (PLACES - 1) for place in range(PLACES)]
    rows = [
        ("stored against played alone", statistics.median(ratios), 0.3, 0.5, "x"),
        ("chunks, an event", event_bytes(store, run, "chunks"), 6.0, 4.5, "B"),
        ("with summaries and keyframes, an event", event_bytes(store, run, *ALL_PARTS), 9.0, 6.0, "B"),
        ("10,000 events", median_ms([partial(read_events, store, run, at, 10_000) for at in places]), 10.0, 3.0, "ms"),
    ]
    window_ms(store, run, 1.0, "series", "lanes", "heat")
    for share in (1.0, 0.1, 0.01, 0.001):
        where = f"{PIXELS:,} px over {share:g} of the run"
        rows.append((f"series, {where}", window_ms(store, run, share, "series"), 5.0, 0.5, "ms"))
        rows.append((f"lanes and heat, {where}", window_ms(store, run, share, "lanes", "heat"), 50.0, 20.0, "ms"))
    return rows


def main() -> int:
    options = argparse.ArgumentParser(prog="benchmarks.bench_store", description=__doc__.splitlines()[0])
    options.add_argument("--events", type=float, default=1e7)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="folioscope-bench-") as folder:
        store = open_store(load_settings(data=Path(folder)))
        rows = measure(store, chosen.rounds, scenario(events=int(chosen.events)))
        store.close()
    print(f"\n{f'{int(chosen.events):,} events of W1':48}     found      gate       aim")
    met = True
    for name, found, gate, aim, unit in rows:
        good = found >= gate if unit == "x" else found <= gate
        met = met and good
        print(f"{name:48}{found:10.2f}{gate:10.2f}{aim:10.2f} {unit:3}{'' if good else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
