"""Arrays to bytes and back, and the checksum that every stored block carries.

A block is `digest | data`: the digest is taken over the place where it belongs (run, table, number) and its data,
so that a flipped bit, a cut block and two blocks that changed places are all seen. SQLite's own integrity_check sees
none of them.
"""

from __future__ import annotations

import struct
import sys
import threading
import zlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import Damaged
from engine.events import Batch
from engine.raster import stable_order

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DIGEST = 4
"""Bytes of a block's checksum: a CRC, which finds every single flipped bit and every burst of up to 32."""
ARRAYS_MAX = 64
RAW_MAX = 1 << 28
"""Bytes that one block may unpack to: a damaged length must not fill the memory."""
VALUES_MAX = RAW_MAX // 8
Ints = NDArray[Any]

_DTYPES: Final = tuple(map(np.dtype, ("<u1", "<u2", "<u4", "<i8")))
_HEAD = struct.Struct("<4sBBI")
_ARRAY = struct.Struct("<BBqI")


def checksum(place: str, data: bytes | memoryview) -> bytes:
    """Return the checksum of data that belongs to `place`."""
    return zlib.crc32(data, zlib.crc32(place.encode())).to_bytes(DIGEST, "little")


def seal(place: str, data: bytes) -> bytes:
    """Return data as a block that belongs to `place`."""
    return checksum(place, data) + data


def unseal(place: str, block: bytes) -> memoryview:
    """Return a block's data; raises Damaged if it is not what was stored at `place`."""
    data = memoryview(block)[DIGEST:]
    if checksum(place, data) != block[:DIGEST]:
        raise Damaged(f"{place} does not match its checksum")
    return data


class Way(NamedTuple):
    """How to compress. The logs are powers of two: bytes that matches reach back over, and entries of the table of
    possible matches; min_match is the shortest match; skip: bytes skipped between two attempts to find one. 0: the
    default of the level."""

    level: int = 1
    window_log: int = 0
    hash_log: int = 0
    min_match: int = 0
    skip: int = 0

    def options(self) -> dict[int, int]:
        """Return zstd's parameters."""
        names = ("compression_level", "window_log", "hash_log", "min_match", "target_length")
        chosen = {int(zstd.CompressionParameter[name]): value for name, value in zip(names, self, strict=True) if value}
        return chosen | ({LITERAL_COMPRESSION: 1} if self.skip else {})


LITERAL_COMPRESSION: Final = 1002
"""ZSTD_c_literalCompressionMode, which zstd.h calls ZSTD_c_experimentalParam5; 1 enables it. With a target_length, zstd
would store literals as they are. It changes the choice of the compressor only: every zstd reads the frame."""
PLAIN = Way()
# zstd works in blocks no larger than its window, each with its own code: so a full plane is one block (8 % smaller).
PLANES = Way(window_log=14, hash_log=10, min_match=7)
# Planes of events hold few distinct bytes and no long matches: entropy coding does the work (1.7 times as quick,
# and 3 % larger). Summaries would gain little and grow by a tenth.
EVENT_PLANES = PLANES._replace(skip=64)


class _Compressors(threading.local):
    """One compressor a thread and way: a new one for each block would cost a third more."""

    def __init__(self) -> None:
        self.of_way: dict[Way, zstd.ZstdCompressor] = {}


_compressors = _Compressors()


def _compressor(way: Way) -> zstd.ZstdCompressor:
    """Return a compressor; without `skip` where the library was built without experimental parameters."""
    try:
        return zstd.ZstdCompressor(options=way.options())
    except (ValueError, zstd.ZstdError):
        return zstd.ZstdCompressor(options=way._replace(skip=0).options())


def compress(raw: bytes | memoryview, way: Way = PLAIN) -> bytes:
    """Return raw as one zstd frame."""
    machine = _compressors.of_way.get(way)
    if machine is None:
        machine = _compressors.of_way.setdefault(way, _compressor(way))
    frame: bytes = machine.compress(raw, mode=machine.FLUSH_FRAME)
    return frame


def unpack_frame(frame: bytes | memoryview, most: int) -> bytes:
    """Return what a zstd frame holds; raises Damaged if that is more than `most` bytes, or it cannot be unpacked."""
    try:
        machine = zstd.ZstdDecompressor()
        raw: bytes = machine.decompress(frame, max_length=most + 1)
    except zstd.ZstdError as error:
        raise Damaged("a block that cannot be unpacked") from error
    if len(raw) > most or not machine.eof or machine.unused_data:
        raise Damaged("a block that is cut short or too long")
    return raw


def unpack_start(frame: bytes | memoryview, size: int) -> bytes:
    """Return the first `size` bytes of what a zstd frame holds, fewer if there are fewer; raises Damaged."""
    try:
        start: bytes = zstd.ZstdDecompressor().decompress(frame, max_length=size) if size else b""
    except zstd.ZstdError as error:
        raise Damaged("a block that cannot be unpacked") from error
    return start


def decompress(frame: bytes | memoryview, size: int) -> bytes:
    """Return what a zstd frame of exactly `size` bytes holds; raises Damaged if it does not."""
    if not 0 <= size <= RAW_MAX:
        raise Damaged(f"a block of {size} bytes, more than {RAW_MAX}")
    raw = unpack_frame(frame, size)
    if len(raw) != size:
        raise Damaged("a block that is cut short or too long")
    return raw


class Planes(Protocol):
    """What cuts columns into planes of bytes: NumpyPlanes, or for workers a compiled one (engine.summaries.planes)."""

    def orders(self, batch: Batch, /) -> tuple[Ints, Ints]: ...
    def add(self, column: Ints, order: Ints | None = None) -> tuple[int, int]: ...
    def add_rising(self, column: Ints) -> tuple[int, int]: ...
    def add_followed(self, column: Ints, order: Ints) -> tuple[int, int]: ...
    def taken(self) -> bytes | memoryview: ...


class NumpyPlanes:
    """Puts columns down as the bytes that differ among their values, plane by plane: all lowest bytes, then all next
    ones. What add() and its kin return is which bytes those are, a bit each, and the first value."""

    def __init__(self) -> None:
        self._bytes: list[bytes] = []

    def orders(self, batch: Batch, /) -> tuple[Ints, Ints]:
        """Return the places of the events sorted by kind, and sorted by task; both stable."""
        return stable_order(batch.kind), stable_order(batch.task)

    def add(self, column: Ints, order: Ints | None = None) -> tuple[int, int]:
        """Put down the column's values, in this order."""
        values = np.ascontiguousarray(column if order is None else column[order])
        if not len(values):
            return 0, 0
        size = values.dtype.itemsize
        changes = int(np.bitwise_or.reduce(values ^ values[0])) & (1 << 8 * size) - 1
        planes = [i for i in range(size) if changes >> 8 * i & 0xFF]
        parts = values.view(np.uint8).reshape(-1, size)
        self._bytes += [parts[:, i].tobytes() for i in planes]
        return sum(1 << i for i in planes), int(values[0])

    def add_rising(self, column: Ints) -> tuple[int, int]:
        """Put down what each value is more than the one before; 0 for the first."""
        steps = np.zeros(len(column), np.int64)
        np.subtract(column[1:], column[:-1], out=steps[1:])
        return self.add(steps)[0], int(column[0]) if len(column) else 0

    def add_followed(self, column: Ints, order: Ints) -> tuple[int, int]:
        """Put down a bit for each value that differs from the one before, then those that do as add() does."""
        values = column[order]
        fresh = np.empty(len(values), np.bool_)
        fresh[0] = True
        np.not_equal(values[1:], values[:-1], out=fresh[1:])
        self._bytes.append(np.packbits(fresh).tobytes())
        return self.add(values, np.flatnonzero(fresh))

    def taken(self) -> bytes:
        """Return all that was put down since the last call."""
        raw = b"".join(self._bytes)
        self._bytes.clear()
        return raw


def joined(raw: bytes, at: int, mask: int, first: int, n: int, dtype: np.dtype[Any]) -> tuple[Ints, int]:
    """Return n values that add() put down at raw[at], and where the next planes begin; ValueError if raw is short."""
    if mask == 1 and dtype.itemsize == 1:
        return np.frombuffer(raw, dtype, n, at), at + n
    column = np.full(n, np.int64(first).astype(dtype))
    values = column.view(np.uint8).reshape(n, dtype.itemsize)
    for i in range(8):
        if mask >> i & 1:
            values[:, i] = np.frombuffer(raw, np.uint8, n, at)
            at += n
    return column, at


def _dtype(mask: int, first: int) -> np.dtype[Any]:
    """Return the smallest of our number types that holds all values with this first one."""
    used = 8 if first < 0 else max(mask.bit_length(), (first.bit_length() + 7) // 8)
    return _DTYPES[0 if used < 2 else 1 if used == 2 else 2 if used < 5 else 3]


def pack(
    magic: bytes, version: int, arrays: Sequence[Ints], rising: Sequence[int] = (), planes: Planes | None = None
) -> bytes:
    """Return 1-d integer arrays as bytes: a table of them, then one zstd frame of their planes.

    rising: places of those that rise, stored as differences.
    """
    assert len(arrays) <= ARRAYS_MAX, "too many arrays for one block"
    planes = planes or NumpyPlanes()
    table = []
    for place, array in enumerate(arrays):
        rises = place in rising
        mask, first = planes.add_rising(array) if rises else planes.add(array)
        table.append(_ARRAY.pack(rises, mask, first, len(array)))
    raw = planes.taken()
    return b"".join((_HEAD.pack(magic, version, len(arrays), len(raw)), *table, compress(raw, PLANES)))


def version_of(magic: bytes, newest: int, data: bytes | memoryview) -> int:
    """Return the version that a block of pack() was written in; raises Damaged for another kind, or a newer one."""
    try:
        found, number, _, _ = _HEAD.unpack_from(data)
    except struct.error as error:
        raise Damaged("a block with a damaged head") from error
    if found != magic or not 1 <= number <= newest:
        raise Damaged(f"a block of another kind or version: {bytes(found)!r} {number}")
    return int(number)


def unpack(magic: bytes, version: int, data: bytes | memoryview) -> list[Ints]:
    """Return the arrays of pack(), each in a small type; raises Damaged for anything else."""
    try:
        found, number, count, size = _HEAD.unpack_from(data)
        table = [_ARRAY.unpack_from(data, _HEAD.size + i * _ARRAY.size) for i in range(count)]
    except struct.error as error:
        raise Damaged("a block with a damaged head") from error
    if found != magic or number != version or count > ARRAYS_MAX:
        raise Damaged(f"a block of another kind or version: {bytes(found)!r} {number}")
    if sum(length for *_, length in table) > VALUES_MAX:
        raise Damaged(f"a block of more than {VALUES_MAX} values")
    raw = decompress(memoryview(data)[_HEAD.size + count * _ARRAY.size :], size)
    arrays: list[Ints] = []
    at = 0
    try:
        for rises, mask, first, length in table:
            start = 0 if rises else first
            array, at = joined(raw, at, mask, start, length, _dtype(mask, start))
            arrays.append(first + np.cumsum(array, dtype=np.int64) if rises else array)
    except (ValueError, IndexError) as error:
        raise Damaged("a block that is cut short or too long") from error
    if at != len(raw):
        raise Damaged("a block that is cut short or too long")
    return arrays
