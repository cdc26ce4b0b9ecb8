"""Serialise a Recording for the store, and read it back.

    "FOLIOREC" | version u2 | digest of the rest, 16 | length of the table u4 | table, JSON, zstd | columns, zstd

A column holds the values of one field; time is stored as differences between rows. Each column is a zstd frame of its
own, so that reading needs memory for only one column besides the result. Little-endian throughout.
"""

from __future__ import annotations

import hashlib
import struct
import sys

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import Damaged
from engine.recordings.limits import LIMITS
from engine.recordings.moves import MOVE, Recording, Report

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"FOLIOREC"
VERSION = 1
_HEAD = struct.Struct("<8sH16sI")
_LEVEL = 3
_TABLE_BYTES_MAX = 1 << 30


class _Table(BaseModel):
    """Everything but the columns."""

    model_config = ConfigDict(extra="forbid")
    moves: int
    pages: int
    tasks: list[tuple[str, int]]
    files: list[tuple[str, int]]
    marks: list[str]
    report: Report
    sha256: str
    vmemmap_base: int
    columns: dict[str, int]
    """Name -> compressed bytes, in the order of the file; pfns first."""


def pack(recording: Recording) -> bytes:
    """Return a recording as bytes; unpack returns an equal one."""
    moves = recording.moves
    frames = {"pfns": _compressed(recording.pfns.astype("<i8"))}
    for name in MOVE.fields or ():
        column = np.ascontiguousarray(moves[name])
        frames[name] = _compressed(np.diff(column, prepend=column.dtype.type(0)) if name == "time" else column)
    table = _Table(
        moves=len(moves),
        pages=len(recording.pfns),
        tasks=recording.tasks,
        files=recording.files,
        marks=recording.marks,
        report=recording.report,
        sha256=recording.sha256,
        vmemmap_base=recording.vmemmap_base,
        columns={name: len(frame) for name, frame in frames.items()},
    )
    table_frame = zstd.compress(table.model_dump_json().encode(), _LEVEL)
    body = table_frame + b"".join(frames.values())
    return _HEAD.pack(MAGIC, VERSION, _digest(body), len(table_frame)) + body


def unpack(data: bytes) -> Recording:
    """Return the recording stored by pack. Raises Damaged if the bytes are corrupt or of another version."""
    if len(data) < _HEAD.size:
        raise Damaged("the stored recording is cut off")
    magic, version, digest, table_bytes = _HEAD.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise Damaged(f"the stored recording is in a format that this version cannot read ({magic!r} {version})")
    if _digest(memoryview(data)[_HEAD.size :]) != digest:
        raise Damaged("the stored recording does not match its checksum")
    at = _HEAD.size + table_bytes
    try:
        table = _Table.model_validate_json(_decompressed(data[_HEAD.size : at], _TABLE_BYTES_MAX))
    except ValidationError as error:
        raise Damaged("the stored recording's table is invalid") from error
    if not (0 <= table.moves <= 2 * LIMITS.moves and 0 <= table.pages <= LIMITS.pages):
        raise Damaged("the stored recording is larger than the limits for recordings")
    frames = {}
    for name, length in table.columns.items():
        frames[name] = data[at : at + length]
        at += length
    if set(frames) != {"pfns", *(MOVE.fields or ())}:
        raise Damaged("the stored recording lacks columns")
    moves = np.empty(table.moves, MOVE)
    for name in MOVE.fields or ():
        column = _column(frames[name], MOVE[name], table.moves)
        moves[name] = np.cumsum(column) if name == "time" else column
    return Recording(
        moves=moves,
        tasks=table.tasks,
        pfns=_column(frames["pfns"], np.dtype("<i8"), table.pages).astype(np.int64),
        files=table.files,
        marks=table.marks,
        report=table.report,
        sha256=table.sha256,
        vmemmap_base=table.vmemmap_base,
    )


def _digest(body: bytes | memoryview) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()


def _compressed(column: NDArray[np.generic]) -> bytes:
    return zstd.compress(column.tobytes(), _LEVEL)


def _decompressed(frame: bytes, bytes_max: int) -> bytes:
    """Decompress one frame. Raises Damaged if it is invalid or longer than bytes_max."""
    try:
        decoder = zstd.ZstdDecompressor()
        plain = decoder.decompress(frame, bytes_max + 1)
    except zstd.ZstdError as error:
        raise Damaged("a column of the stored recording does not decompress") from error
    if not decoder.eof or len(plain) > bytes_max:
        raise Damaged("a column of the stored recording has the wrong length")
    return plain


def _column(frame: bytes, dtype: np.dtype[np.generic], count: int) -> NDArray[np.generic]:
    plain = _decompressed(frame, count * dtype.itemsize)
    if len(plain) != count * dtype.itemsize:
        raise Damaged("a column of the stored recording has the wrong length")
    return np.frombuffer(plain, dtype)
