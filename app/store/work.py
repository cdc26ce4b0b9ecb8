"""Writes of workers: cast, events with their summaries, end of a run. app.store.jobs manages runs as jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import insert, select, update

from app.store.database import Database
from app.store.jobs import Jobs, new_lease
from app.store.rows import RunRow
from app.store.tables import Cast, Chunk, Fenced, Keyframe, Run, StoredNode
from engine import VERSION
from engine.events import FORMAT


class NewChunk(NamedTuple):
    number: int
    first_seq: int
    events: int
    t0: int
    t1: int
    checksum: bytes
    data: bytes


class NewNode(NamedTuple):
    level: int
    number: int
    series: bytes
    cells: bytes
    folded: bytes | None


class Progress(NamedTuple):
    """The progress of a run, as its worker reports it."""

    time_ns: int
    progress: float
    figures_json: str | None
    hot_json: str | None
    """None, here and above: unchanged."""


def _values(known: Progress) -> dict[str, Any]:
    values = {"progress": known.progress, "figures_json": known.figures_json, "hot_json": known.hot_json}
    return {name: value for name, value in values.items() if value is not None}


class Work:
    """The part of the store that writes runs. Every call is its own transaction."""

    db: Database
    run_jobs: Jobs[RunRow]

    def set_cast(self, run_id: str, attempt: int, cast: bytes) -> None:
        """Store the run's cast, which every attempt computes alike. A run without events gets this version's formats.

        Raises Fenced.
        """
        ours = {"event_format": FORMAT, "engine_version": VERSION}
        with self.db.write() as connection:
            if connection.scalar(select(Run.id).where(*self.run_jobs.held(run_id, attempt))) is None:
                raise self.run_jobs.fenced(run_id, attempt)
            if connection.scalar(select(Cast.run_id).where(Cast.run_id == run_id)) is None:
                connection.execute(insert(Cast).values(run_id=run_id, data=cast))
            connection.execute(update(Run).where(Run.id == run_id, Run.chunks == 0).values(**ours))

    def append(
        self,
        run_id: str,
        attempt: int,
        chunks: Sequence[NewChunk],
        nodes: Sequence[NewNode],
        keyframes: Sequence[tuple[int, bytes]],
        known: Progress,
    ) -> None:
        """Append consecutive chunks with their summaries, all or nothing.

        Raises Fenced if the attempt no longer holds the run, or if the chunks do not follow the stored ones.
        """
        first, last = chunks[0], chunks[-1]
        values: dict[str, Any] = {
            "chunks": last.number + 1,
            "events": last.first_seq + last.events,
            "time_ns": known.time_ns,
            "lease_until": new_lease(),
            **_values(known),
        }
        behind = (Run.chunks == first.number, Run.events == first.first_seq)
        with self.db.write() as connection:
            done = connection.execute(update(Run).where(*self.run_jobs.held(run_id, attempt), *behind).values(**values))
            if done.rowcount == 0:
                raise Fenced(f"run {run_id} no longer belongs to attempt {attempt}, or has advanced")
            connection.execute(insert(Chunk), [{"run_id": run_id, **chunk._asdict()} for chunk in chunks])
            if nodes:
                connection.execute(insert(StoredNode), [{"run_id": run_id, **node._asdict()} for node in nodes])
            if keyframes:
                rows = [{"run_id": run_id, "chunk": chunk, "data": data} for chunk, data in keyframes]
                connection.execute(insert(Keyframe), rows)

    def finish(
        self,
        run_id: str,
        attempt: int,
        state: Literal["done", "failed", "cancelled"],
        *,
        reason: str | None = None,
        detail: str | None = None,
        seal: str | None = None,
        known: Progress | None = None,
    ) -> None:
        """End the run. Raises Fenced if the attempt no longer holds it."""
        values = {"seal": seal} | ({} if known is None else _values(known))
        self.run_jobs.end(run_id, attempt, state, reason, detail, values)
