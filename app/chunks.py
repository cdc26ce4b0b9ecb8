"""The codec of events: a Batch to bytes and back, exactly, whatever the values.

    head    magic "FCHK", version, flags, count, first_seq, first time, then for both frames: bytes packed and unpacked
    table   for each column: which bytes of its values change within the chunk (a bit each), and its first value
    what    zstd frame: time (differences), kind, a, b; all that series and heat maps need
    who     zstd frame: task, page, cpu

A frame holds the bytes that change, plane by plane: all lowest bytes of a column, then all next ones. a and b lie
sorted by kind, because the words of one kind are alike. A task mostly goes on with its page, on its CPU: those two
columns are read in the order of the tasks, and only what differs from the task's event before is stored.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.packing import compress, decompress
from engine.errors import Damaged
from engine.events import BATCH, COLUMNS, Batch
from engine.raster import stable_order

MAGIC = b"FCHK"
VERSION = 1
COUNT_MAX = BATCH
RAW_MAX = 64 * COUNT_MAX
_HEAD = struct.Struct("<4sBBIqqIIII")
_COLUMN = struct.Struct("<Bq")
_WHAT = ("time", "kind", "a", "b")
_WHO = ("task", "page", "cpu")
_DTYPES = {name: np.dtype(kind) for name, kind in COLUMNS}
_TABLE = _HEAD.size
_FRAMES = _TABLE + _COLUMN.size * len(COLUMNS)
# zstd works in blocks no larger than its window, each with its own code: so a full plane is one block (8 % smaller).
_WINDOW_LOG = 14
_CPU_FOLLOWS = 1
"""Flag: the column cpu is stored by what changes along a task; without it, as the difference to the task's row."""

Ints = NDArray[Any]


class What(NamedTuple):
    """The first half of a chunk, enough for series and queues; columns of shape (n,)."""

    first_seq: int
    time: NDArray[np.int64]
    kind: NDArray[np.uint8]
    a: NDArray[np.int64]
    b: NDArray[np.int64]


class _Planes:
    """Columns on their way into one frame: their rows of the table, and their bytes."""

    def __init__(self) -> None:
        self.table: list[bytes] = []
        self.bytes: list[bytes] = []

    def add(self, column: Ints) -> None:
        size = column.dtype.itemsize
        changes = int(np.bitwise_or.reduce(column ^ column[0])) & (1 << 8 * size) - 1
        planes = [i for i in range(size) if changes >> 8 * i & 0xFF]
        self.table.append(_COLUMN.pack(sum(1 << i for i in planes), int(column[0])))
        values = np.ascontiguousarray(column).view(np.uint8).reshape(-1, size)
        self.bytes += [values[:, i].tobytes() for i in planes]

    def add_followed(self, values: Ints) -> None:
        """Add the values that differ from the one before, and a bit for each value that says whether it does."""
        fresh = np.empty(len(values), np.bool_)
        fresh[0] = True
        np.not_equal(values[1:], values[:-1], out=fresh[1:])
        self.bytes.append(np.packbits(fresh).tobytes())
        self.add(values[np.flatnonzero(fresh)])

    def frame(self) -> tuple[bytes, int]:
        raw = b"".join(self.bytes)
        return compress(raw, window_log=_WINDOW_LOG), len(raw)


Orders = Callable[[Batch], tuple[Ints, Ints]]


def numpy_orders(batch: Batch) -> tuple[Ints, Ints]:
    """Return the places of the events sorted by kind, and sorted by task; both stable."""
    return stable_order(batch.kind), stable_order(batch.task)


def encode(batch: Batch, orders: Orders = numpy_orders) -> bytes:
    """Return the batch's events, 1 to COUNT_MAX, as bytes. orders: what sorts them; workers have a faster one."""
    n = len(batch)
    assert 0 < n <= COUNT_MAX, f"a chunk of {n} events"
    step = np.zeros(n, np.int64)
    np.subtract(batch.time[1:], batch.time[:-1], out=step[1:])
    by_kind, by_task = orders(batch)
    what = _Planes()
    for column in (step, batch.kind, batch.a[by_kind], batch.b[by_kind]):
        what.add(column)
    away = batch.cpu - batch.task.astype(np.uint16)
    follows = bool((away != away[0]).any())
    who = _Planes()
    who.add(batch.task)
    who.add_followed(batch.page[by_task])
    if follows:
        who.add_followed(batch.cpu[by_task])
    else:
        who.add(away)
    (first, first_raw), (second, second_raw) = what.frame(), who.frame()
    flags = _CPU_FOLLOWS * follows
    sizes = (len(first), first_raw, len(second), second_raw)
    head = _HEAD.pack(MAGIC, VERSION, flags, n, batch.first_seq, int(batch.time[0]), *sizes)
    return b"".join((head, *what.table, *who.table, first, second))


class _Reader:
    """The head of a chunk, and the planes of one of its frames, column after column."""

    def __init__(self, data: bytes | memoryview, columns: tuple[str, ...]) -> None:
        """Raises Damaged for what is no chunk of this version; struct.error where it is cut short."""
        magic, version, self.flags, self.n, self.first_seq, self.t0, *sizes = _HEAD.unpack_from(data)
        if magic != MAGIC or version != VERSION:
            raise Damaged(f"no chunk of events, or one of another version: {bytes(magic)!r} {version}")
        if not 0 < self.n <= COUNT_MAX or max(sizes) > RAW_MAX:
            raise Damaged(f"a chunk of {self.n} events in {max(sizes)} bytes")
        start, (length, size) = _FRAMES, sizes[:2]
        if columns is _WHO:
            start, (length, size) = start + length, sizes[2:]
        self._raw = decompress(memoryview(data)[start : start + length], size)
        self._row = _TABLE + _COLUMN.size * (len(_WHAT) if columns is _WHO else 0)
        self._data = data
        self._at = 0

    def column(self, name: str, n: int) -> Ints:
        """Return the next n values, as the column `name` has them."""
        mask, first = _COLUMN.unpack_from(self._data, self._row)
        self._row += _COLUMN.size
        column = np.full(n, np.int64(first).astype(_DTYPES[name]))
        values = column.view(np.uint8).reshape(n, -1)
        for i in range(8):
            if mask >> i & 1:
                values[:, i] = np.frombuffer(self._raw, np.uint8, n, self._at)
                self._at += n
        return column

    def followed(self, name: str, order: Ints) -> Ints:
        """Return the values of add_followed(), each back in its place of `order`."""
        bits = np.frombuffer(self._raw, np.uint8, (self.n + 7) // 8, self._at)
        self._at += len(bits)
        places = np.cumsum(np.unpackbits(bits, count=self.n), dtype=np.int64) - 1
        if places[0] != 0:
            raise Damaged("a chunk of events whose first value is missing")
        column = np.empty(self.n, _DTYPES[name])
        column[order] = self.column(name, int(places[-1]) + 1)[places]
        return column

    def end(self) -> None:
        if self._at != len(self._raw):
            raise Damaged("a chunk of events that holds more than it tells")


def decode_what(data: bytes | memoryview) -> What:
    """Return time, kind, a and b alone: half the work of decode(). Raises Damaged, as decode() does."""
    try:
        reader = _Reader(data, _WHAT)
        n = reader.n
        step, kind = reader.column("time", n), reader.column("kind", n)
        by_kind = stable_order(kind)
        a, b = np.empty(n, np.int64), np.empty(n, np.int64)
        a[by_kind] = reader.column("a", n)
        b[by_kind] = reader.column("b", n)
        reader.end()
    except (struct.error, IndexError, ValueError) as error:
        raise Damaged("a chunk of events that cannot be read") from error
    step[0] = reader.t0
    return What(reader.first_seq, np.cumsum(step), kind, a, b)


def decode(data: bytes | memoryview) -> Batch:
    """Return the events of encode(); raises Damaged for bytes that are not a chunk of this version."""
    what = decode_what(data)
    try:
        reader = _Reader(data, _WHO)
        task = reader.column("task", reader.n)
        by_task = stable_order(task)
        page = reader.followed("page", by_task)
        if reader.flags & _CPU_FOLLOWS:
            cpu = reader.followed("cpu", by_task)
        else:
            cpu = reader.column("cpu", reader.n) + task.astype(np.uint16)
        reader.end()
    except (struct.error, IndexError, ValueError) as error:
        raise Damaged("a chunk of events that cannot be read") from error
    return Batch(what.first_seq, what.time, what.kind, cpu, task, page, what.a, what.b)
