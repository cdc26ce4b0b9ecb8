"""W1 or W2 on the product's own engine: an ordinary scenario, the normal steps, the complete event log on.

    python -m benchmarks.engine_w1 --n RECORDS --w2 0|1

Prints one line of JSON: CPU seconds in which the engine played and handed its events over, W1 records among them (fewer
than events: the engine's log tells more), events, and the hash of the first RECORDS records. The compiled engine is
loaded before the clock starts, by a short run.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from engine.events import BATCH, COLUMNS, Batch, Kind
from engine.runs.play import open_run
from engine.runs.w1 import log_hash, project, scenario

KINDS = np.array(
    [
        Kind.page_locked,
        Kind.waiter_queued,
        Kind.page_unlocked,
        Kind.waiter_woken,
        Kind.mapping_swapped,
        Kind.mapping_restored,
    ],
    np.uint8,
)
"""The events that W1's log has a record for."""


def play(wanted: int, design: str) -> tuple[float, int, Batch]:
    """Play until there are `wanted` W1 records; return CPU seconds, W1 records played and all events as one batch.

    The events are put away between the measured stretches, into memory that is there already: a worker, too, lets a
    batch go before the next one comes, and the C program's log lies in touched memory as well.
    """
    room = wanted * 5 // 4 + 10 * BATCH
    log = [np.zeros(room, dtype) for _, dtype in COLUMNS]
    cpu, found, played = 0.0, 0, 0
    run = iter(open_run(scenario(design, events=room - BATCH)).batches())
    while found < wanted:
        before = time.process_time()
        batch = next(run)
        cpu += time.process_time() - before
        for into, column in zip(log, batch[1:], strict=True):
            into[played : played + len(batch)] = column
        played += len(batch)
        found += int(np.isin(batch.kind, KINDS).sum())
        del batch
    return cpu, found, Batch(0, *log).cut(0, played)


def main() -> None:
    options = argparse.ArgumentParser(prog="benchmarks.engine_w1")
    options.add_argument("--n", type=float, default=1e7)
    options.add_argument("--w2", type=int, choices=(0, 1), default=0)
    chosen = options.parse_args()
    wanted, design = int(chosen.n), "page_wait" if chosen.w2 else "hashed"
    play(1_000, design)
    cpu, found, log = play(wanted, design)
    digest = log_hash(project(log)[:wanted])
    answer = {"peer": "engine", "w2": chosen.w2, "records": found, "events": len(log), "cpu": cpu, "hash": digest}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
