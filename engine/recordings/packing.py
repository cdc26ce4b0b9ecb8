"""A Recording as bytes, for the store, and back.

    "FOLIOREC" | version u2 | digest of the rest, 16 | length of the table u4 | table, JSON, zstd | columns, zstd

A column is one run of values, time as steps from row to row; each is a frame of its own, so that reading needs memory
for one column beside the result. Little-endian throughout.
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
    """Return a recording as bytes; unpack gives an equal one."""
    moves = recording.moves
    frames = {"pfns": _squeeze(recording.pfns.astype("<i8"))}
    for name in MOVE.fields or ():
        column = np.ascontiguousarray(moves[name])
        frames[name] = _squeeze(np.diff(column, prepend=column.dtype.type(0)) if name == "time" else column)
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
    told = zstd.compress(table.model_dump_json().encode(), _LEVEL)
    body = told + b"".join(frames.values())
    return _HEAD.pack(MAGIC, VERSION, _digest(body), len(told)) + body


def unpack(data: bytes) -> Recording:
    """Return the recording that pack made bytes of. Raises Damaged if they are not the same bytes any more."""
    if len(data) < _HEAD.size:
        raise Damaged("the stored recording is cut off")
    magic, version, digest, told = _HEAD.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise Damaged(f"the stored recording is of a kind that this version cannot read ({magic!r} {version})")
    if _digest(memoryview(data)[_HEAD.size :]) != digest:
        raise Damaged("the stored recording does not match its checksum")
    at = _HEAD.size + told
    try:
        table = _Table.model_validate_json(_spread(data[_HEAD.size : at], _TABLE_BYTES_MAX))
    except ValidationError as error:
        raise Damaged("the stored recording's table does not read") from error
    if not (0 <= table.moves <= 2 * LIMITS.moves and 0 <= table.pages <= LIMITS.pages):
        raise Damaged("the stored recording is larger than any that is read")
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


def _squeeze(column: NDArray[np.generic]) -> bytes:
    return zstd.compress(column.tobytes(), _LEVEL)


def _spread(frame: bytes, most: int) -> bytes:
    """Decompress one frame; Damaged if it is not one of at most so many bytes."""
    try:
        decoder = zstd.ZstdDecompressor()
        plain = decoder.decompress(frame, most + 1)
    except zstd.ZstdError as error:
        raise Damaged("a column of the stored recording does not decompress") from error
    if not decoder.eof or len(plain) > most:
        raise Damaged("a column of the stored recording is of another length")
    return plain


def _column(frame: bytes, dtype: np.dtype[np.generic], count: int) -> NDArray[np.generic]:
    plain = _spread(frame, count * dtype.itemsize)
    if len(plain) != count * dtype.itemsize:
        raise Damaged("a column of the stored recording is of another length")
    return np.frombuffer(plain, dtype)
