"""Read a run's cast, chunks, summaries and keyframes. Every read verifies the checksums."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from app.packing import RAW_MAX, Way, checksum, compress, seal, unpack_frame, unseal
from app.store.database import Database
from app.store.tables import Cast as StoredCast
from app.store.tables import Chunk, Keyframe, Run, StoredNode
from engine.cast import Cast
from engine.errors import Damaged, UserError
from engine.formats import EVENTS, newer_events

PARTS = {"series": StoredNode.series, "cells": StoredNode.cells, "folded": StoredNode.folded}
# Frequent queries are built once: building costs SQLAlchemy more time than the answer costs SQLite.
_RUN: Any = bindparam("run_id")
_FIRST: Any = bindparam("first")
_LAST: Any = bindparam("last")
_LEVEL: Any = bindparam("level")
_ROWS = (
    select(Chunk.number, Chunk.first_seq, Chunk.events, Chunk.t0, Chunk.t1)
    .where(Chunk.run_id == _RUN, Chunk.number >= _FIRST)
    .order_by(Chunk.number)
)
_CHUNKS = select(Chunk.number, Chunk.checksum, Chunk.data).where(
    Chunk.run_id == _RUN, Chunk.number.between(_FIRST, _LAST)
)
_NODES = {
    part: select(StoredNode.number, column).where(
        StoredNode.run_id == _RUN, StoredNode.level == _LEVEL, StoredNode.number.between(_FIRST, _LAST)
    )
    for part, column in PARTS.items()
}


class ChunkRow(NamedTuple):
    """The position of a chunk: its sequence numbers and its time range."""

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
    return seal(f"cast of run {run_id}", compress(cast.model_dump_json().encode(), Way(level=3)))


class Events:
    """The part of the store that reads the events of runs. Every call is its own transaction."""

    db: Database

    def event_format(self, run_id: str) -> int:
        """Return the format of a run's events. Raises UserError (newer_events) where this version cannot read it."""
        query = select(Run.event_format, Run.engine_version).where(Run.id == run_id)
        with self.db.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return EVENTS
        if why := newer_events(row.event_format, f"run {run_id}", row.engine_version):
            raise UserError(why, code="newer_events", status=409)
        return int(row.event_format)

    def cast(self, run_id: str) -> Cast:
        """Return the cast of a run. Raises UserError (no_cast) before its worker has started, Damaged."""
        with self.db.read() as connection:
            block = connection.scalar(select(StoredCast.data).where(StoredCast.run_id == run_id))
        if block is None:
            raise UserError(f"run {run_id[:80]} has no events yet", code="no_cast", field="run_id", status=404)
        return Cast.model_validate_json(unpack_frame(unseal(f"cast of run {run_id}", block), RAW_MAX))

    def chunk_rows(self, run_id: str, after: int = -1) -> list[ChunkRow]:
        """Return the positions of the chunks after number `after`, in order."""
        with self.db.read() as connection:
            return [ChunkRow(*row) for row in connection.execute(_ROWS, {"run_id": run_id, "first": after + 1})]

    def chunk(self, run_id: str, number: int) -> bytes:
        """Return a chunk's data (app.chunks). Raises Damaged if it is missing or corrupt."""
        data = self.chunks(run_id, number, number)[number]
        if isinstance(data, Damaged):
            raise data
        return data

    def chunks(self, run_id: str, first: int, last: int) -> dict[int, bytes | Damaged]:
        """Return the data of the chunks first..last; for a damaged chunk, the exception."""
        with self.db.read() as connection:
            rows = connection.execute(_CHUNKS, {"run_id": run_id, "first": first, "last": last}).all()
        places = {number: chunk_place(run_id, number) for number in range(first, last + 1)}
        found: dict[int, bytes | Damaged] = {n: Damaged(f"{place} is missing") for n, place in places.items()}
        for number, digest, data in rows:
            fits = checksum(places[number], data) == digest
            found[number] = data if fits else Damaged(f"{places[number]} does not match its checksum")
        return found

    def nodes(self, run_id: str, level: int, first: int, last: int, part: str) -> dict[int, memoryview | Damaged]:
        """Return one part of the stored nodes first..last of a level; for a damaged node, the exception."""
        here = {"run_id": run_id, "level": level, "first": first, "last": last}
        with self.db.read() as connection:
            rows = connection.execute(_NODES[part], here).all()
        found: dict[int, memoryview | Damaged] = {}
        for number, block in rows:
            try:
                found[number] = unseal(node_place(run_id, level, number, part), block or b"")
            except Damaged as error:
                found[number] = error
        return found

    def keyframe(self, run_id: str, chunk: int) -> tuple[int, memoryview] | None:
        """Return the newest keyframe at or before a chunk, with the chunk that it precedes; None if there is none."""
        query = select(Keyframe.chunk, Keyframe.data).where(Keyframe.run_id == run_id, Keyframe.chunk <= chunk)
        with self.db.read() as connection:
            row = connection.execute(query.order_by(Keyframe.chunk.desc()).limit(1)).one_or_none()
        if row is None:
            return None
        return row.chunk, unseal(keyframe_place(run_id, row.chunk), row.data)
