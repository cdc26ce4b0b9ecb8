"""Runs as workers see them: claim, keep, append, end; and what becomes of a run whose worker died.

A claim is a lease: it holds for LEASE_S and is renewed while the worker lives. Leases are counted on the machine's
monotonic clock, which all its processes share and no one can set. After a reboot that clock begins anew; a lease that
seems to end further off than any lease lasts is an old one. The attempt number is the fence: whatever a worker writes
carries the attempt it claimed, and is refused once the run has another one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import and_, func, insert, or_, select, update

from app.store.database import Database
from app.store.rows import RunRow, run_rows
from app.store.tables import Cast, Chunk, Exploration, Fenced, Keyframe, Run, StoredNode
from engine import VERSION
from engine.events import FORMAT

LEASE_S = 7.0
BEAT_S = 2.0
"""Pause between two renewals: three may fail before the lease is lost."""
LOSSES_MAX = 3
"""Workers that a run may cost before it is given up."""

Beat = Literal["held", "cancel", "lost"]


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
    """What a worker knows of its run."""

    time_ns: int
    progress: float
    figures_json: str | None
    hot_json: str | None
    """None, here and there: as before."""


def new_lease() -> int:
    """Return when a lease that is given now ends."""
    return time.monotonic_ns() + int(LEASE_S * 1e9)


def expired(of: type[Run] | type[Exploration] = Run) -> Any:
    """The condition of a lease that has run out, or was given before a reboot. Ask with the write lock held: a renewal
    between reading the clock and reading the row would look like one from before a reboot."""
    now = time.monotonic_ns()
    far = now + int(2 * LEASE_S * 1e9)
    return and_(of.state == "running", or_(of.lease_until.is_(None), of.lease_until <= now, of.lease_until > far))


def _held(run_id: str, attempt: int) -> tuple[Any, ...]:
    return Run.id == run_id, Run.attempt == attempt, Run.state == "running", Run.deleted.is_(False)


def _told(known: Progress) -> dict[str, Any]:
    told = {"progress": known.progress, "figures_json": known.figures_json, "hot_json": known.hot_json}
    return {name: value for name, value in told.items() if value is not None}


class Work:
    """The part of the store that workers use. All calls open and close their own transaction."""

    db: Database

    def claim(self, worker: str) -> RunRow | None:
        """Take the oldest queued run, None if there is none."""
        oldest = select(Run.number).where(Run.state == "queued", Run.deleted.is_(False)).order_by(Run.number).limit(1)
        with self.db.read() as connection:
            if connection.scalar(oldest) is None:
                return None
        now = time.time_ns()
        first = {"state": "running", "worker": worker, "lease_until": new_lease()}
        with self.db.write() as connection:
            taken = connection.scalar(
                update(Run)
                .where(Run.number == oldest.scalar_subquery(), Run.state == "queued")
                .values(**first, started_ns=func.coalesce(Run.started_ns, now))
                .returning(Run.id)
            )
            return None if taken is None else run_rows(connection, Run.id == taken)[0]

    def beat(self, run_id: str, attempt: int) -> Beat:
        """Renew the lease, and tell whether the run is still this attempt's and shall go on."""
        with self.db.write() as connection:
            asked = connection.execute(
                update(Run)
                .where(*_held(run_id, attempt))
                .values(lease_until=new_lease())
                .returning(Run.cancel_requested)
            ).one_or_none()
        return "lost" if asked is None else "cancel" if asked.cancel_requested else "held"

    def look(self, run_id: str, attempt: int) -> Beat:
        """Tell the same without renewing the lease: a read."""
        with self.db.read() as connection:
            asked = connection.execute(select(Run.cancel_requested).where(*_held(run_id, attempt))).one_or_none()
        return "lost" if asked is None else "cancel" if asked.cancel_requested else "held"

    def set_cast(self, run_id: str, attempt: int, cast: bytes) -> None:
        """Store the run's cast; a later attempt's is the same. A run without events becomes one of this version.

        Raises Fenced.
        """
        ours = {"event_format": FORMAT, "engine_version": VERSION}
        with self.db.write() as connection:
            if connection.scalar(select(Run.id).where(*_held(run_id, attempt))) is None:
                raise Fenced(f"run {run_id} is not attempt {attempt}'s any more")
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
        """Store consecutive chunks with their summaries, all or nothing, behind what is stored.

        Raises Fenced if the run is not this attempt's any more, or if the chunks do not follow what is stored.
        """
        first, last = chunks[0], chunks[-1]
        values: dict[str, Any] = {
            "chunks": last.number + 1,
            "events": last.first_seq + last.events,
            "time_ns": known.time_ns,
            "lease_until": new_lease(),
            **_told(known),
        }
        behind = (Run.chunks == first.number, Run.events == first.first_seq)
        with self.db.write() as connection:
            done = connection.execute(update(Run).where(*_held(run_id, attempt), *behind).values(**values))
            if done.rowcount == 0:
                raise Fenced(f"run {run_id} is not attempt {attempt}'s any more, or has gone on")
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
        """End the run. Raises Fenced if it is not this attempt's any more."""
        values: dict[str, Any] = {"state": state, "reason": reason, "detail": detail, "seal": seal}
        values |= {"ended_ns": time.time_ns(), "lease_until": None}
        if known is not None:
            values |= _told(known)
        with self.db.write() as connection:
            if connection.execute(update(Run).where(*_held(run_id, attempt)).values(**values)).rowcount == 0:
                raise Fenced(f"run {run_id} is not attempt {attempt}'s any more")

    def release(self, run_id: str, attempt: int) -> None:
        """Put a run back into the queue: its worker was asked to stop. Nothing happens if it is not its any more."""
        values = {"state": "queued", "attempt": attempt + 1, "worker": None, "lease_until": None}
        with self.db.write() as connection:
            connection.execute(update(Run).where(*_held(run_id, attempt)).values(**values))

    def recover(self) -> int:
        """Deal with runs whose worker died; return how many. Queued again, or ended if it was asked or too often."""
        with self.db.read() as connection:
            if connection.scalar(select(Run.id).where(expired()).limit(1)) is None:
                return 0
        now = time.time_ns()
        ended = {"lease_until": None, "ended_ns": now}
        detail = f"{LOSSES_MAX} workers died while they played it"
        with self.db.write() as connection:
            changes = (
                update(Run).where(expired(), Run.cancel_requested).values(state="cancelled", reason="user", **ended),
                update(Run)
                .where(expired(), Run.losses >= LOSSES_MAX - 1)
                .values(state="failed", reason="interrupted", detail=detail, losses=Run.losses + 1, **ended),
                update(Run)
                .where(expired())
                .values(state="queued", attempt=Run.attempt + 1, losses=Run.losses + 1, worker=None, lease_until=None),
            )
            return sum(connection.execute(change).rowcount for change in changes)
