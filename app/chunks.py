"""The codec of events: a Batch to bytes and back, exactly, whatever the values; and the state of the page after each.

    head    magic "FCHK", version, flags, count, first_seq, then for both frames: bytes packed and unpacked
    table   for each column: which bytes of its values change within the chunk (a bit each), and its first value
    what    zstd frame: time (differences), kind, a, b; all that series and heat maps need
    who     zstd frame: task, page, cpu, state

A state is a number of engine.page_state.PageState, 0 for an event that is about no page. Version 1, of program 0.1.0,
has no states: app.windows.states works them out where they are needed.

A frame holds the bytes that change, plane by plane: all lowest bytes of a column, then all next ones. a, b and state
lie sorted by kind, because the words of one kind are alike. A task mostly goes on with its page, on its CPU: those two
columns are read in the order of the tasks, and only what differs from the task's event before is stored.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.packing import EVENT_PLANES, Ints, NumpyPlanes, Planes, compress, decompress, joined, unpack_start
from engine.errors import Damaged
from engine.events import BATCH, COLUMNS, Batch
from engine.raster import stable_order

MAGIC = b"FCHK"
VERSION = 2
COUNT_MAX = BATCH
RAW_MAX = 64 * COUNT_MAX
_HEAD = struct.Struct("<4sBBIqIIII")
_COLUMN = struct.Struct("<Bq")
_WHAT = ("time", "kind", "a", "b")
_WHO = ("task", "page", "cpu")
_DTYPES = {name: np.dtype(kind) for name, kind in COLUMNS} | {"state": np.dtype("<u1")}
_TABLE = _HEAD.size
_COLUMNS_OF = {1: len(COLUMNS), 2: len(COLUMNS) + 1}
"""Version -> columns in its table."""
_CPU_FOLLOWS = 1
"""Flag: the column cpu is stored by what changes along a task; without it, as the difference to the task's row."""


States = NDArray[np.uint8]


class What(NamedTuple):
    """The first half of a chunk, enough for series and queues; columns of shape (n,)."""

    first_seq: int
    time: NDArray[np.int64]
    kind: NDArray[np.uint8]
    a: NDArray[np.int64]
    b: NDArray[np.int64]


def encode(batch: Batch, states: States, planes: Planes | None = None) -> bytes:
    """Return the batch's events, 1 to COUNT_MAX, as bytes. states: the page's state after each, shape (n,).

    planes: what cuts the columns; workers have a faster one.
    """
    n = len(batch)
    assert 0 < n <= COUNT_MAX, f"a chunk of {n} events"
    assert len(states) == n, f"{len(states)} states for {n} events"
    planes = planes or NumpyPlanes()
    by_kind, by_task = planes.orders(batch)
    what = (
        planes.add_rising(batch.time),
        planes.add(batch.kind),
        planes.add(batch.a, by_kind),
        planes.add(batch.b, by_kind),
    )
    first, first_raw = _frame(planes)
    away = batch.cpu - batch.task.astype(np.uint16)
    follows = bool((away != away[0]).any())
    who = (
        planes.add(batch.task),
        planes.add_followed(batch.page, by_task),
        planes.add_followed(batch.cpu, by_task) if follows else planes.add(away),
        planes.add(states, by_kind),
    )
    second, second_raw = _frame(planes)
    flags = _CPU_FOLLOWS * follows
    sizes = (len(first), first_raw, len(second), second_raw)
    head = _HEAD.pack(MAGIC, VERSION, flags, n, batch.first_seq, *sizes)
    return b"".join((head, *(_COLUMN.pack(*row) for row in (*what, *who)), first, second))


def _frame(planes: Planes) -> tuple[bytes, int]:
    """Return what was put down as a zstd frame, and its size before."""
    raw = planes.taken()
    return compress(raw, EVENT_PLANES), len(raw)


class _Reader:
    """The head of a chunk, and the planes of one of its frames, column after column."""

    def __init__(self, data: bytes | memoryview, columns: tuple[str, ...], *, alone: bool = False) -> None:
        """alone: unpack no more than the first column. Raises Damaged for what is no chunk of this version;
        struct.error where it is cut short."""
        magic, version, self.flags, self.n, self.first_seq, *sizes = _HEAD.unpack_from(data)
        if magic != MAGIC or version not in _COLUMNS_OF:
            raise Damaged(f"no chunk of events, or one of another version: {bytes(magic)!r} {version}")
        self.version = version
        if not 0 < self.n <= COUNT_MAX or max(sizes) > RAW_MAX:
            raise Damaged(f"a chunk of {self.n} events in {max(sizes)} bytes")
        start, (length, size) = _TABLE + _COLUMN.size * _COLUMNS_OF[version], sizes[:2]
        if columns is _WHO:
            start, (length, size) = start + length, sizes[2:]
        self._row = _TABLE + _COLUMN.size * (len(_WHAT) if columns is _WHO else 0)
        frame = memoryview(data)[start : start + length]
        if alone:
            self._raw = unpack_start(frame, self.n * _COLUMN.unpack_from(data, self._row)[0].bit_count())
        else:
            self._raw = decompress(frame, size)
        self._data = data
        self._at = 0

    def column(self, name: str, n: int) -> Ints:
        """Return the next n values, as the column `name` has them."""
        mask, first = self._table()
        values, self._at = joined(self._raw, self._at, mask, first, n, _DTYPES[name])
        return values

    def rising(self, name: str) -> Ints:
        """Return the values of add_rising()."""
        mask, first = self._table()
        steps, self._at = joined(self._raw, self._at, mask, 0, self.n, _DTYPES[name])
        return first + np.cumsum(steps)

    def _table(self) -> tuple[int, int]:
        mask, first = _COLUMN.unpack_from(self._data, self._row)
        self._row += _COLUMN.size
        return mask, first

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
        time, kind = reader.rising("time"), reader.column("kind", n)
        by_kind = stable_order(kind)
        a, b = np.empty(n, np.int64), np.empty(n, np.int64)
        a[by_kind] = reader.column("a", n)
        b[by_kind] = reader.column("b", n)
        reader.end()
    except (struct.error, IndexError, ValueError) as error:
        raise Damaged("a chunk of events that cannot be read") from error
    return What(reader.first_seq, time, kind, a, b)


def decode_times(data: bytes | memoryview) -> NDArray[np.int64]:
    """Return the time alone, the first column: a quarter of the work of decode_what(). Raises Damaged."""
    try:
        return _Reader(data, _WHAT, alone=True).rising("time")
    except (struct.error, IndexError, ValueError) as error:
        raise Damaged("a chunk of events that cannot be read") from error


def decode(data: bytes | memoryview) -> Batch:
    """Return the events of encode(); raises Damaged for bytes that are not a chunk of a known version."""
    return decode_with_states(data)[0]


def decode_with_states(data: bytes | memoryview) -> tuple[Batch, States | None]:
    """Return the events of encode() and their states, None for a chunk that has none (version 1). Raises Damaged."""
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
        states = None
        if reader.version > 1:
            states = np.empty(reader.n, np.uint8)
            states[stable_order(what.kind)] = reader.column("state", reader.n)
        reader.end()
    except (struct.error, IndexError, ValueError) as error:
        raise Damaged("a chunk of events that cannot be read") from error
    return Batch(what.first_seq, what.time, what.kind, cpu, task, page, what.a, what.b), states
