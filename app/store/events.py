"""What was stored of a run's events: its cast, chunks, summaries and keyframes. Blocks are checked on every read."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select

from app.packing import RAW_MAX, checksum, compress, seal, unpack_frame, unseal
from app.store.database import Database
from app.store.tables import Cast as StoredCast
from app.store.tables import Chunk, Keyframe, StoredNode
from engine.cast import Cast
from engine.errors import AskedWrongly, Damaged

PARTS = ("series", "cells", "folded")


class ChunkRow(NamedTuple):
    """Where a chunk stands: in the run's numbering, and in its time."""

    number: int
    first_seq: int
    events: int
    t0: int
    t1: int


def chunk_place(run_id: str, number: int) -> str:
    return f"chunk {number} of run {run_id}"


def node_place(run_id: str, level: int, number: int, part: str) -> str:
    return f"{part} {level}.{number} of run {run_id}"


def keyframe_place(run_id: str, chunk: int) -> str:
    return f"keyframe {chunk} of run {run_id}"


def cast_block(run_id: str, cast: Cast) -> bytes:
    """Return a run's cast as a block."""
    return seal(f"cast of run {run_id}", compress(cast.model_dump_json().encode(), level=3))


class Events:
    """The part of the store that reads what runs left. All calls open and close their own transaction."""

    db: Database

    def cast(self, run_id: str) -> Cast:
        """Return who plays in a run. Raises AskedWrongly (no_cast) before its worker has begun, Damaged."""
        with self.db.read() as connection:
            block = connection.scalar(select(StoredCast.data).where(StoredCast.run_id == run_id))
        if block is None:
            raise AskedWrongly(f"run {run_id[:80]} has no events yet", code="no_cast", field="run_id", status=404)
        return Cast.model_validate_json(unpack_frame(unseal(f"cast of run {run_id}", block), RAW_MAX))

    def chunk_rows(self, run_id: str, after: int = -1) -> list[ChunkRow]:
        """Return where the chunks behind number `after` stand, in order."""
        columns = (Chunk.number, Chunk.first_seq, Chunk.events, Chunk.t0, Chunk.t1)
        query = select(*columns).where(Chunk.run_id == run_id, Chunk.number > after).order_by(Chunk.number)
        with self.db.read() as connection:
            return [ChunkRow(*row) for row in connection.execute(query)]

    def chunk(self, run_id: str, number: int) -> bytes:
        """Return a chunk's data (app.chunks). Raises Damaged if it is missing or not what was stored."""
        query = select(Chunk.checksum, Chunk.data).where(Chunk.run_id == run_id, Chunk.number == number)
        with self.db.read() as connection:
            row = connection.execute(query).one_or_none()
        place = chunk_place(run_id, number)
        if row is None:
            raise Damaged(f"{place} is missing")
        if checksum(place, row.data) != row.checksum:
            raise Damaged(f"{place} does not match its checksum")
        data: bytes = row.data
        return data

    def nodes(self, run_id: str, level: int, first: int, last: int, part: str) -> dict[int, memoryview | Damaged]:
        """Return one part of the nodes first..last of a level that are stored: its data, or the fault found in it."""
        column = {"series": StoredNode.series, "cells": StoredNode.cells, "folded": StoredNode.folded}[part]
        here = (StoredNode.run_id == run_id, StoredNode.level == level, StoredNode.number.between(first, last))
        with self.db.read() as connection:
            rows = connection.execute(select(StoredNode.number, column).where(*here)).all()
        found: dict[int, memoryview | Damaged] = {}
        for number, block in rows:
            try:
                found[number] = unseal(node_place(run_id, level, number, part), block or b"")
            except Damaged as error:
                found[number] = error
        return found

    def keyframe(self, run_id: str, chunk: int) -> tuple[int, memoryview] | None:
        """Return the newest keyframe at or before a chunk, and which chunk it stands before; None if there is none."""
        query = select(Keyframe.chunk, Keyframe.data).where(Keyframe.run_id == run_id, Keyframe.chunk <= chunk)
        with self.db.read() as connection:
            row = connection.execute(query.order_by(Keyframe.chunk.desc()).limit(1)).one_or_none()
        if row is None:
            return None
        return row.chunk, unseal(keyframe_place(run_id, row.chunk), row.data)

    def stored_bytes(self, run_id: str) -> dict[str, int]:
        """Return the bytes that a run's chunks, summaries and keyframes take."""
        lengths = {
            "chunks": select(func.sum(func.length(Chunk.data))).where(Chunk.run_id == run_id),
            "summaries": select(
                func.sum(
                    func.length(StoredNode.series)
                    + func.length(StoredNode.cells)
                    + func.coalesce(func.length(StoredNode.folded), 0)
                )
            ).where(StoredNode.run_id == run_id),
            "keyframes": select(func.sum(func.length(Keyframe.data))).where(Keyframe.run_id == run_id),
        }
        with self.db.read() as connection:
            return {name: connection.scalar(query) or 0 for name, query in lengths.items()}
