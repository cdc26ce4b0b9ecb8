"""verify(): read everything stored of a run, and check it against its checksums and its seal."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import select

from app.chunks import decode
from app.nodes import CellsPart, SeriesPart, decode_folded
from app.packing import unseal
from app.store.database import Database
from app.store.events import Events, keyframe_place, node_place
from app.store.rows import run_rows
from app.store.tables import Keyframe, Run, StoredNode
from engine.errors import Damaged, UserError

NODES_A_SLICE = 64
READERS: dict[str, Callable[[memoryview], object]] = {
    "series": SeriesPart,
    "cells": CellsPart,
    "folded": decode_folded,
}


@dataclass(frozen=True)
class Verdict:
    """The result of verify(). sound: nothing is damaged or missing, and the seal, if any, matches the events."""

    chunks: int
    events: int
    damaged: list[str]
    seal: str
    """SHA-256 of the stored events; meaningless if any are damaged."""
    sealed: str | None
    """The seal stored when the run was done."""

    @property
    def sound(self) -> bool:
        return not self.damaged and self.sealed in (None, self.seal)


class Verifying(Events):
    """The part of the store that verifies runs."""

    db: Database

    def verify(self, run_id: str) -> Verdict:
        """Check every chunk, summary and keyframe of a run. Raises UserError (no_run, newer_events)."""
        with self.db.read() as connection:
            run = next(iter(run_rows(connection, Run.id == run_id)), None)
        if run is None:
            raise UserError(f"there is no run {run_id[:80]}", code="no_run", field="run_id", status=404)
        if run.newer_events:
            raise UserError(run.newer_events, code="newer_events", status=409)
        damaged: list[str] = []
        digest, rows, seq, time = hashlib.sha256(), self.chunk_rows(run_id), 0, 0
        for number, row in enumerate(rows):
            if row.number >= run.chunks:
                break  # stored since the run was read
            try:
                batch = decode(self.chunk(run_id, row.number))
            except Damaged as error:
                damaged.append(str(error))
                seq, time = row.first_seq + row.events, row.t1
                continue
            here = (row.number, row.first_seq, row.events, row.t0, row.t1)
            if here != (number, batch.first_seq, len(batch), time, int(batch.time[-1])) or batch.first_seq != seq:
                damaged.append(f"chunk {row.number} of run {run_id} stands in a wrong place")
            digest.update(batch.records().tobytes())
            seq, time = seq + len(batch), int(batch.time[-1])
        if seq < run.events or len(rows) < run.chunks:
            damaged.append(f"run {run_id} lacks chunks: {min(len(rows), run.chunks)} of {run.chunks}")
        damaged += self._damaged_nodes(run_id, run.chunks) + self._damaged_keyframes(run_id)
        return Verdict(run.chunks, run.events, damaged, digest.hexdigest(), run.seal)

    def _damaged_nodes(self, run_id: str, chunks: int) -> list[str]:
        levels = select(StoredNode.level).where(StoredNode.run_id == run_id).distinct().order_by(StoredNode.level)
        with self.db.read() as connection:
            found = list(connection.scalars(levels))
        return [
            fault
            for level in found or [0]
            for part in READERS
            if part != "folded" or level == 0
            for first in range(0, chunks >> 4 * level, NODES_A_SLICE)
            for fault in self._damaged_slice(run_id, level, part, first, chunks >> 4 * level)
        ]

    def _damaged_slice(self, run_id: str, level: int, part: str, first: int, end: int) -> Iterator[str]:
        last = min(first + NODES_A_SLICE, end) - 1
        stored = self.nodes(run_id, level, first, last, part)
        for number in range(first, last + 1):
            data = stored.get(number)
            try:
                if isinstance(data, Damaged):
                    raise data
                if data is None:
                    raise Damaged(f"{node_place(run_id, level, number, part)} is missing")
                READERS[part](data)
            except Damaged as error:
                yield str(error)

    def _damaged_keyframes(self, run_id: str) -> list[str]:
        query = select(Keyframe.chunk, Keyframe.data).where(Keyframe.run_id == run_id).order_by(Keyframe.chunk)
        with self.db.read() as connection:
            rows = connection.execute(query).all()
        damaged = []
        for chunk, data in rows:
            try:
                decode_folded(unseal(keyframe_place(run_id, chunk), data))
            except Damaged as error:
                damaged.append(str(error))
        return damaged
