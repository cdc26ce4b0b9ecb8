"""Compiled: integers split into byte planes, for app.packing; packed records of events, for the seal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.events import BATCH, RECORD, Batch
from engine.summaries.order import Orders
from engine.world.jit import inlined, jit

Ints = NDArray[Any]


@jit
def _gather(column: Any, order: Any, values: Any) -> None:
    for i in range(len(order)):
        values[i] = column[order[i]]


@inlined
def _split(values: Any, n: int, out: Any, at: int) -> int:
    """Write the bytes that differ among the n values, plane by plane, from out[at] on; return a bit mask of them."""
    changes, mask, first = 0, 0, values[0]
    for i in range(n):
        changes |= values[i] ^ first
    for byte in range(8):
        if changes >> 8 * byte & 0xFF:
            mask |= 1 << byte
            plane = out[at : at + n]
            for i in range(n):
                plane[i] = values[i] >> 8 * byte & 0xFF
            at += n
    return mask


@jit
def _to_deltas(values: Any, n: int) -> None:
    """Replace each value by its difference from the one before, and the first by 0."""
    for i in range(n - 1, 0, -1):
        values[i] -= values[i - 1]
    values[0] = 0


@jit
def _planes(values: Any, n: int, out: Any, at: int) -> int:
    return _split(values, n, out, at)


@jit
def _followed(values: Any, n: int, out: Any, at: int) -> tuple[int, int]:
    """Write one bit per value, 1 where it differs from the one before, then _split() the values that differ, moved to
    the front of `values`. Return the mask of their bytes, and how many there are."""
    word, fresh, last = 0, 0, ~values[0]
    for i in range(n):
        value = values[i]
        new = value != last
        values[fresh] = value
        fresh += new
        last = value
        word = word << 1 | new
        if i & 7 == 7:
            out[at] = word & 0xFF
            at += 1
    if n & 7:
        out[at] = word << (8 - (n & 7)) & 0xFF
        at += 1
    return _split(values, fresh, out, at), fresh


@jit
def _records(rows: Any, times: Any, kinds: Any, cpus: Any, tasks: Any, pages: Any, a_words: Any, b_words: Any) -> None:
    for i in range(len(rows)):
        row = rows[i]
        row.time, row.kind, row.cpu, row.task, row.page = times[i], kinds[i], cpus[i], tasks[i], pages[i]
        row.a, row.b = a_words[i], b_words[i]


class CompiledPlanes:
    """Compiled equivalent of app.packing.NumpyPlanes; keeps its buffers."""

    def __init__(self, tasks: int) -> None:
        self.orders = Orders(tasks)
        self._values = np.empty(BATCH, np.int64)
        self._out = np.empty(32 * BATCH, np.uint8)
        self._at = 0
        self._rows = np.empty(BATCH, RECORD)

    def add(self, column: Ints, order: Ints | None = None) -> tuple[int, int]:
        n = self._take(column, order)
        return self._put(n) if n else (0, 0)

    def add_rising(self, column: Ints) -> tuple[int, int]:
        n = self._take(column, None)
        if not n:
            return 0, 0
        first = int(self._values[0])
        _to_deltas(self._values, n)
        return self._put(n)[0], first

    def add_followed(self, column: Ints, order: Ints) -> tuple[int, int]:
        n = self._take(column, order)
        mask, fresh = _followed(self._values, n, self._out, self._at)
        self._at += (n + 7) // 8 + fresh * mask.bit_count()
        return mask, int(self._values[0])

    def taken(self) -> memoryview:
        size, self._at = self._at, 0
        return self._out[:size].data

    def _take(self, column: Ints, order: Ints | None) -> int:
        """Copy the values to the scratch array, and make room for their planes in the output."""
        n = len(column)
        if n > len(self._values):
            self._values = np.empty(2 * n, np.int64)
        if self._at + 9 * n > len(self._out):
            self._out = np.concatenate((self._out[: self._at], np.empty(32 * n, np.uint8)))
        if order is None:
            self._values[:n] = column
        else:
            _gather(column, order, self._values)
        return n

    def _put(self, n: int) -> tuple[int, int]:
        mask = _planes(self._values, n, self._out, self._at)
        self._at += n * mask.bit_count()
        return mask, int(self._values[0])

    def records(self, batch: Batch) -> memoryview:
        """Return the bytes of batch.records(); valid until the next call."""
        rows = self._rows[: len(batch)]
        _records(rows, *batch[1:])
        return rows.view(np.uint8).data
