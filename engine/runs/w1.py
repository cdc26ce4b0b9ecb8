"""W1 and W2: the reference workload as a scenario, and its record projected from the event log (benchmarks, tests)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.events import Batch, Kind
from engine.scenario import Scenario

RECORD = np.dtype([("time", "<u8"), ("kind", "u1"), ("task", "<u4"), ("page", "<u4"), ("queue", "<u4")])
LOCK, WAIT, UNLOCK, WAKE, ATTACH, DETACH = range(1, 7)


def scenario(
    design: str = "hashed",
    *,
    tasks: int = 1000,
    pages: int = 4096,
    seed: int = 1,
    load: float = 120.0,
    events: int = 10**7,
) -> Scenario:
    """Return the workload: think, choose a page by Zipf 0.99, lock, hold 10 us, unlock. W1 is hashed, W2 page_wait."""
    program = [
        {"op": "think", "mean_ns": int(load * 10_000.0 * tasks / 1000.0)},
        {"op": "pick", "zipf": 0.99},
        {"op": "lock"},
        {"op": "hold", "mean_ns": 10_000},
        {"op": "unlock"},
    ]
    return Scenario.model_validate(
        {
            "name": f"W{1 if design == 'hashed' else 2}",
            "seed": seed,
            "wait": {"design": design},
            "workload": {
                "kind": "tasks",
                "pages": pages,
                "groups": [{"name": "locker", "tasks": tasks, "program": program}],
            },
            "limits": {"events": events},
        }
    )


_KINDS = {
    Kind.page_locked: LOCK,
    Kind.waiter_queued: WAIT,
    Kind.page_unlocked: UNLOCK,
    Kind.waiter_woken: WAKE,
    Kind.mapping_swapped: ATTACH,
    Kind.mapping_restored: DETACH,
}
_TABLE = np.zeros(256, np.uint8)
for _kind, _number in _KINDS.items():
    _TABLE[_kind] = _number


def project(batch: Batch) -> NDArray[np.void]:
    """Return the batch's events as W1 records (RECORD), shape (m,), m <= len(batch).

    W1's UNLOCK shows the queue after the waker dequeued its waiter, so its length is read from the wake that follows;
    DETACH names the waiter that left last. So the batch must not begin or end between an unlock and its wake: pass all
    events of a run, as records() does.
    """
    kind = _TABLE[batch.kind]
    keep = np.flatnonzero(kind)
    rows = np.empty(len(keep), RECORD)
    kind = kind[keep]
    b = batch.b[keep]
    rows["time"], rows["kind"] = batch.time[keep], kind
    rows["task"], rows["page"] = batch.task[keep], batch.page[keep]
    rows["queue"] = np.where((kind == ATTACH) | (kind == DETACH), 0, b & 0xFFFFFFFF)
    wakes = np.flatnonzero(kind == WAKE)
    rows["queue"][wakes - 1] = rows["queue"][wakes]
    detaches = np.flatnonzero(kind == DETACH)
    rows["task"][detaches] = rows["task"][detaches - 1]
    return rows


def records(batches: list[Batch], count: int) -> NDArray[np.void]:
    """Return the first `count` W1 records of a run's batches."""
    columns = [np.concatenate(column) for column in zip(*(batch[1:] for batch in batches), strict=True)]
    return project(Batch(0, *columns))[:count]


def log_hash(rows: NDArray[np.void]) -> str:
    """Return the reference hash over all columns of W1 records (FNV's constants, a word at a time), 16 hex digits."""
    from engine.runs.w1_hash import fold_hash

    columns = (np.ascontiguousarray(rows[name]) for name in ("time", "kind", "task", "page", "queue"))
    return f"{int(fold_hash(*columns)) & (1 << 64) - 1:016x}"
