"""Counting sorts, compiled: events by kind and by task, for packing; cells by key."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.events import Batch
from engine.nodes import Cells, Ints
from engine.raster import stable_order
from engine.world.jit import inlined, jit

KEYS = 1 << 16
"""Max. number of tasks or keys for a counting sort; with more, numpy sorts."""


@inlined
def _begin(counts: Any) -> None:
    """Turn counts into the start of each key."""
    at = 0
    for key in range(len(counts)):
        count = counts[key]
        counts[key] = at
        at += count


@jit
def _by_count(kinds: Any, tasks: Any, of_kind: Any, of_task: Any, by_kind: Any, by_task: Any) -> None:
    """Write the places of the events in stable order by kind and by task. of_kind and of_task have a place for every
    kind and task, all 0 before and after the call. The two sorts are interleaved: each sum waits for the last."""
    for i in range(len(kinds)):
        of_kind[kinds[i]] += 1
        of_task[tasks[i]] += 1
    _begin(of_kind)
    _begin(of_task)
    for i in range(len(kinds)):
        kind, task = kinds[i], tasks[i]
        by_kind[of_kind[kind]] = i
        by_task[of_task[task]] = i
        of_kind[kind] += 1
        of_task[task] += 1
    of_kind[:] = 0
    of_task[:] = 0


class Orders:
    """Sorts a run's batches by kind and by task; keeps its counters."""

    def __init__(self, tasks: int) -> None:
        self._kinds = np.zeros(256, np.int32)
        self._tasks = np.zeros(tasks, np.int32) if tasks <= KEYS else None

    def __call__(self, batch: Batch) -> tuple[Ints, Ints]:
        """Return the places of the events sorted by kind, and sorted by task; both stable."""
        if self._tasks is None or int(batch.task.max()) >= len(self._tasks):
            return stable_order(batch.kind), stable_order(batch.task)
        by_kind, by_task = np.empty(len(batch), np.int32), np.empty(len(batch), np.int32)
        _by_count(batch.kind, batch.task, self._kinds, self._tasks, by_kind, by_task)
        return by_kind, by_task


@jit
def _place_cells(cells: Any, starts: Any, keys: Any, counts: Any, columns: Any) -> int:
    """Sort cells (rows of key, bin, high, last, low) stably by key into columns (bin, high, last, low); write the
    distinct keys and the number of cells of each. starts is all 0 before and after the call. Return how many keys."""
    for i in range(len(cells)):
        starts[cells[i, 0]] += 1
    at, n = 0, 0
    for key in range(len(starts)):
        if starts[key] > 0:
            keys[n], counts[n] = key, starts[key]
            starts[key] = at
            at += counts[n]
            n += 1
    lows = cells.shape[1] > 4
    for i in range(len(cells)):
        key = cells[i, 0]
        at = starts[key]
        columns[0, at], columns[1, at], columns[2, at] = cells[i, 1], cells[i, 2], cells[i, 3]
        if lows:
            columns[3, at] = cells[i, 4]
        starts[key] = at + 1
    for i in range(n):
        starts[keys[i]] = 0
    return n


class CellSorter:
    """Sorts cells, passed in order of their bins, by key and then bin; keeps its counters."""

    def __init__(self, keys: int) -> None:
        self._starts = np.zeros(keys, np.int32) if keys <= KEYS else None

    def __call__(self, cells: NDArray[np.int32], *, lows: bool) -> Cells:
        """Return rows of (key, bin, high, last, low) as Cells; lows: whether low is valid."""
        n, none = len(cells), np.zeros(0, np.int32)
        if self._starts is None:
            order = stable_order(cells[:, 0])
            sorted_keys = cells[:, 0][order]
            firsts = np.flatnonzero(np.diff(sorted_keys, prepend=-1))
            bins, high, last = (cells[:, i][order] for i in (1, 2, 3))
            low = cells[:, 4][order] if lows else none
            return Cells(sorted_keys[firsts], np.diff(firsts, append=n), bins, low, high, last)
        keys, counts = np.empty(n, np.int32), np.empty(n, np.int64)
        columns = np.empty((cells.shape[1] - 1, n), np.int32)
        found = _place_cells(cells, self._starts, keys, counts, columns)
        return Cells(keys[:found], counts[:found], columns[0], columns[3] if lows else none, columns[1], columns[2])
