"""The life of a job: claimed by a worker, held under a lease, ended; and requeued when its worker dies.

    queued -> running -> done | failed | cancelled          queued -> cancelled          running -> queued, attempt + 1

A claim is a lease: it lasts LEASE_S and is renewed while the worker lives. Leases use the machine's monotonic clock,
which all processes share and nobody can set. The clock restarts at reboot; a lease that ends later than any lease can
last dates from before the reboot. The attempt number is the fencing token: every write of a worker carries the attempt
it claimed, and is rejected once the job has another attempt.

Runs and explorations are jobs. A job may have a parent, of its own kind or of another; cancelling the parent cancels
its children that have not ended.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from sqlalchemy import Connection, and_, func, or_, select, update

from app.store.database import Database
from app.store.rows import ExplorationRow, RunRow, exploration_rows, run_rows
from app.store.tables import Exploration, Fenced, Run

LEASE_S = 7.0
BEAT_S = 2.0
"""Interval between renewals: three may fail before the lease expires."""
RECOVER_S = 1.0
"""Interval between checks for expired leases: a job leaves its dead worker within LEASE_S + RECOVER_S."""
LOSSES_MAX = 3
"""Max. workers lost to a job before the job fails."""

Beat = Literal["held", "cancel", "lost"]
Row = TypeVar("Row")


class Kind(NamedTuple, Generic[Row]):
    """A kind of job."""

    name: str
    table: Any
    there: tuple[Any, ...]
    """Conditions that exclude rows being deleted."""
    rows: Callable[[Connection, Any], list[Row]]
    given_up: str
    """Detail of a job that failed after LOSSES_MAX lost workers."""


RUNS: Kind[RunRow] = Kind("run", Run, (Run.deleted.is_(False),), run_rows, f"{LOSSES_MAX} workers died during this run")
EXPLORATIONS: Kind[ExplorationRow] = Kind(
    "exploration",
    Exploration,
    (),
    exploration_rows,
    f"{LOSSES_MAX} workers died during this exploration: lower the limit on states or on memory",
)
KINDS: tuple[Kind[Any], ...] = (RUNS, EXPLORATIONS)


def worker_name(pid: int) -> str:
    """Return the name under which a process of this machine claims jobs."""
    return f"{socket.gethostname()[:40]}:{pid}"


def new_lease() -> int:
    """Return the expiry of a lease granted now, in ns of the monotonic clock."""
    return time.monotonic_ns() + int(LEASE_S * 1e9)


class Jobs(Generic[Row]):
    """The jobs of one kind, for workers. Every call is its own transaction."""

    def __init__(self, db: Database, kind: Kind[Row]) -> None:
        self._db, self._kind, self._table = db, kind, kind.table

    def held(self, job_id: str, attempt: int) -> tuple[Any, ...]:
        """Return the conditions that this attempt still holds the job."""
        of = self._table
        return of.id == job_id, of.attempt == attempt, of.state == "running", *self._kind.there

    def fenced(self, job_id: str, attempt: int) -> Fenced:
        """Return the exception for an attempt that no longer holds the job."""
        return Fenced(f"{self._kind.name} {job_id} no longer belongs to attempt {attempt}")

    def claim(self, worker: str) -> Row | None:
        """Claim the oldest queued job, None if the queue is empty."""
        of = self._table
        oldest = select(of.number).where(of.state == "queued", *self._kind.there).order_by(of.number).limit(1)
        with self._db.read() as connection:
            if connection.scalar(oldest) is None:
                return None
        first = {"state": "running", "worker": worker, "lease_until": new_lease()}
        started = func.coalesce(of.started_ns, time.time_ns())
        with self._db.write() as connection:
            taken = connection.scalar(
                update(of)
                .where(of.number == oldest.scalar_subquery(), of.state == "queued")
                .values(**first, started_ns=started)
                .returning(of.id)
            )
            return None if taken is None else self._kind.rows(connection, of.id == taken)[0]

    def beat(self, job_id: str, attempt: int) -> Beat:
        """Renew the lease; return whether the attempt still holds the job, and whether it is to be cancelled."""
        of = self._table
        renew = update(of).where(*self.held(job_id, attempt)).values(lease_until=new_lease())
        with self._db.write() as connection:
            return _beat(connection.execute(renew.returning(of.cancel_requested)).one_or_none())

    def look(self, job_id: str, attempt: int) -> Beat:
        """Return the same as beat() without renewing the lease: a read."""
        query = select(self._table.cancel_requested).where(*self.held(job_id, attempt))
        with self._db.read() as connection:
            return _beat(connection.execute(query).one_or_none())

    def change(self, job_id: str, attempt: int, values: dict[str, Any]) -> None:
        """Update columns of a held job. Raises Fenced if the attempt no longer holds it."""
        with self._db.write() as connection:
            done = connection.execute(update(self._table).where(*self.held(job_id, attempt)).values(**values))
            if done.rowcount == 0:
                raise self.fenced(job_id, attempt)

    def end(
        self,
        job_id: str,
        attempt: int,
        state: Literal["done", "failed", "cancelled"],
        reason: str | None,
        detail: str | None,
        values: dict[str, Any],
    ) -> None:
        """End a held job with its results. Raises Fenced if the attempt no longer holds it."""
        ended = {"state": state, "reason": reason, "detail": detail, "ended_ns": time.time_ns(), "lease_until": None}
        self.change(job_id, attempt, values | ended)

    def release(self, job_id: str, attempt: int) -> None:
        """Requeue a job whose worker is stopping. Does nothing if the attempt no longer holds it."""
        values = {"state": "queued", "attempt": attempt + 1, "worker": None, "lease_until": None}
        with self._db.write() as connection:
            connection.execute(update(self._table).where(*self.held(job_id, attempt)).values(**values))

    def recover(self, worker: str | None = None) -> int:
        """Requeue jobs whose lease expired; end those with a pending cancellation or too many lost workers.

        worker: take the jobs of this one, which has died, whatever their lease. Returns the number of jobs.
        """
        of = self._table

        def lost() -> Any:
            return self.expired() if worker is None else and_(of.state == "running", of.worker == worker)

        with self._db.read() as connection:
            if connection.scalar(select(of.id).where(lost()).limit(1)) is None:
                return 0
        ended = {"lease_until": None, "ended_ns": time.time_ns()}
        more = {"losses": of.losses + 1}
        failed = {"state": "failed", "reason": "interrupted", "detail": self._kind.given_up, **more, **ended}
        again = {"state": "queued", "attempt": of.attempt + 1, "worker": None, "lease_until": None, **more}
        with self._db.write() as connection:
            changes = (
                update(of).where(lost(), of.cancel_requested).values(state="cancelled", reason="user", **ended),
                update(of).where(lost(), of.losses >= LOSSES_MAX - 1).values(**failed),
                update(of).where(lost()).values(**again),
            )
            return sum(connection.execute(change).rowcount for change in changes)

    def expired(self) -> Any:
        """Return the condition of a lease that expired, or dates from before a reboot. Use it under the write lock: a
        renewal between reading the clock and reading the row would look like a lease from before a reboot."""
        of, now = self._table, time.monotonic_ns()
        far = now + int(2 * LEASE_S * 1e9)
        return and_(of.state == "running", or_(of.lease_until.is_(None), of.lease_until <= now, of.lease_until > far))

    def cancel(self, job_id: str) -> Row | None:
        """Cancel a job and its children: dequeue queued ones, stop running ones, leave ended ones.

        Returns the job, None if it does not exist.
        """
        of = self._table
        with self._db.write() as connection:
            _cancel(connection, of, of.id == job_id, *self._kind.there)
            for kind in KINDS:
                _cancel(connection, kind.table, kind.table.parent_id == job_id, *kind.there)
            return next(iter(self._kind.rows(connection, and_(of.id == job_id, *self._kind.there))), None)


def _beat(row: Any) -> Beat:
    return "lost" if row is None else "cancel" if row.cancel_requested else "held"


def _cancel(connection: Connection, of: Any, *here: Any) -> None:
    values = {"state": "cancelled", "reason": "user", "ended_ns": time.time_ns()}
    connection.execute(update(of).where(*here, of.state == "queued").values(**values))
    connection.execute(update(of).where(*here, of.state == "running").values(cancel_requested=True))
