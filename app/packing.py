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
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import Damaged

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DIGEST = 4
"""Bytes of a block's checksum: a CRC, which finds every single flipped bit and every burst of up to 32."""
ARRAYS_MAX = 64
RAW_MAX = 1 << 28
"""Bytes that one block may unpack to: a damaged length must not fill the memory."""

_CODES: Final = ("<u1", "<u2", "<u4", "<i8")
_HEAD = struct.Struct("<4sBB")
_ARRAY = struct.Struct("<BQ")


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


class _Compressors(threading.local):
    """One compressor a thread and way: a new one for each block would cost a third more."""

    def __init__(self) -> None:
        self.of_way: dict[tuple[int, int], zstd.ZstdCompressor] = {}


_compressors = _Compressors()


def compress(raw: bytes, level: int = 1, window_log: int = 0) -> bytes:
    """Return raw as one zstd frame. window_log: bytes that matches reach back over, as a power of two; 0: as usual."""
    machine = _compressors.of_way.get((level, window_log))
    if machine is None:
        ways = {int(zstd.CompressionParameter.compression_level): level}
        if window_log:
            ways[int(zstd.CompressionParameter.window_log)] = window_log
        machine = _compressors.of_way.setdefault((level, window_log), zstd.ZstdCompressor(options=ways))
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


def decompress(frame: bytes | memoryview, size: int) -> bytes:
    """Return what a zstd frame of exactly `size` bytes holds; raises Damaged if it does not."""
    if not 0 <= size <= RAW_MAX:
        raise Damaged(f"a block of {size} bytes, more than {RAW_MAX}")
    raw = unpack_frame(frame, size)
    if len(raw) != size:
        raise Damaged("a block that is cut short or too long")
    return raw


def narrowest(values: NDArray[Any]) -> str:
    """Return the smallest of our number types that holds all values."""
    used = int(np.bitwise_or.reduce(values, axis=None)) if len(values) else 0
    if used < 0 or used >> 32:
        return _CODES[3]
    return _CODES[0] if not used >> 8 else _CODES[1] if not used >> 16 else _CODES[2]


def pack(magic: bytes, version: int, arrays: Sequence[NDArray[Any]]) -> bytes:
    """Return 1-d integer arrays as bytes: a table of types and lengths, then one zstd frame of all values."""
    assert len(arrays) <= ARRAYS_MAX, "too many arrays for one block"
    table, raw = [], []
    for array in arrays:
        kind = narrowest(array)
        table.append(_ARRAY.pack(_CODES.index(kind), len(array)))
        raw.append(array.astype(kind).tobytes())
    return _HEAD.pack(magic, version, len(arrays)) + b"".join(table) + compress(b"".join(raw))


def unpack(magic: bytes, version: int, data: bytes | memoryview) -> list[NDArray[Any]]:
    """Return the arrays of pack(), read-only, each in its stored type; raises Damaged for anything else."""
    try:
        found, number, count = _HEAD.unpack_from(data)
        table = [_ARRAY.unpack_from(data, _HEAD.size + i * _ARRAY.size) for i in range(count)]
        kinds = [_CODES[code] for code, _ in table]
    except (struct.error, IndexError) as error:
        raise Damaged("a block with a damaged head") from error
    if found != magic or number != version or count > ARRAYS_MAX:
        raise Damaged(f"a block of another kind or version: {bytes(found)!r} {number}")
    sizes = [length * int(kind[2]) for kind, (_, length) in zip(kinds, table, strict=True)]
    raw = decompress(memoryview(data)[_HEAD.size + count * _ARRAY.size :], sum(sizes))
    arrays, at = [], 0
    for kind, (_, length), size in zip(kinds, table, sizes, strict=True):
        arrays.append(np.frombuffer(raw, kind, length, at))
        at += size
    return arrays
