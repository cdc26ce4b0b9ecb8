"""Requests of users: start, list, read, cancel and delete runs."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from app.limits import RECEIVED_AT
from app.settings import Settings
from app.store.database import EMPTY_S, WAL_LIMIT, Database
from app.store.folder import make_room, refuse_full_disk
from app.store.jobs import Jobs
from app.store.rows import RunRow, run_rows
from app.store.tables import STATES, Chunk, Key, Keyframe, Recording, Run, StoredNode, Tag
from engine import VERSION
from engine.errors import UserError
from engine.events import FORMAT
from engine.recordings.shipped import shipped_recordings
from engine.scenario import Scenario
from engine.workloads import Recorded

KEY_LIVES_NS = 7 * 24 * 3600 * 10**9
ROWS_A_SLICE = 64
"""Chunks deleted per transaction, so that other writers are not blocked."""
PAGES_A_SLICE = 256
"""Pages of the file given back to the disk at a time: 4 MiB."""
LONG_READS = 20
"""How often a deletion waits EMPTY_S for readers of the log before it lets it grow."""


class RequestedRun(NamedTuple):
    """A run to start. key: its Idempotency-Key, body_sha256: the hash of the body that came with it."""

    scenario: Scenario
    pace_ms_per_s: int | None = None
    tags: tuple[str, ...] = ()
    key: str | None = None
    body_sha256: str | None = None
    parent_id: str | None = None


class Runs:
    """The part of the store that starts, lists and ends runs. Every call is its own transaction."""

    db: Database
    settings: Settings
    run_jobs: Jobs[RunRow]
    clearing: set[str]
    """Deleted runs whose rows are being removed."""

    def start_run(
        self,
        scenario: Scenario,
        *,
        pace_ms_per_s: int | None = None,
        tags: list[str] | None = None,
        key: str | None = None,
        body_sha256: str | None = None,
        parent_id: str | None = None,
    ) -> tuple[RunRow, bool]:
        """Queue a run and return it with True, or return the run that this key has already started, with False.

        parent_id: job that the run belongs to. Raises UserError: idempotency_mismatch (the key came with another
        body), queue_full, storage_full, no_recording.
        """
        return self.start_runs([RequestedRun(scenario, pace_ms_per_s, tuple(tags or ()), key, body_sha256, parent_id)])[
            0
        ]

    def start_runs(self, requests: Sequence[RequestedRun]) -> list[tuple[RunRow, bool]]:
        """Do the same for several runs, all of them or none."""
        make_room(self.db, self.settings)
        with self.db.write() as connection:
            return [self._start(connection, request) for request in requests]

    def _start(self, connection: Connection, request: RequestedRun) -> tuple[RunRow, bool]:
        scenario, key, body_sha256 = request.scenario, request.key, request.body_sha256 or ""
        canonical = scenario.canonical()
        if key is not None and (before := _started_by(connection, key)):
            run, sha256 = before
            if sha256 == body_sha256 or _asks_for(run, canonical, request.pace_ms_per_s, request.tags):
                return run, False
            text = "this Idempotency-Key was used with another body: use a new key for a new run"
            raise UserError(text, code="idempotency_mismatch", field="Idempotency-Key")
        refuse_full_disk(self.settings)
        self._refuse_if_full(connection)
        _refuse_if_missing(connection, scenario)
        run_id = secrets.token_hex(6)
        values = _first_values(scenario, canonical, request.pace_ms_per_s)
        connection.execute(insert(Run).values(id=run_id, parent_id=request.parent_id, **values))
        if request.tags:
            connection.execute(insert(Tag), [{"run_id": run_id, "tag": tag} for tag in dict.fromkeys(request.tags)])
        now = time.time_ns()
        connection.execute(delete(Key).where(Key.created_ns < now - KEY_LIVES_NS))
        if key is not None:
            row = {"key": key, "body_sha256": body_sha256, "run_id": run_id, "created_ns": now}
            connection.execute(insert(Key).values(**row))
        return run_rows(connection, Run.id == run_id)[0], True

    def _refuse_if_full(self, connection: Connection) -> None:
        waiting = connection.scalar(select(func.count()).where(Run.state == "queued", Run.deleted.is_(False)))
        if waiting is not None and waiting >= self.settings.queue_max:
            text = f"{waiting} runs are waiting for a worker, the maximum: try again later"
            raise UserError(text, code="queue_full", status=503)

    def run(self, run_id: str) -> RunRow | None:
        """Return a run, None if there is none."""
        with self.db.read() as connection:
            return next(iter(run_rows(connection, Run.id == run_id)), None)

    def runs(
        self,
        size: int = 50,
        after: str | None = None,
        state: str | None = None,
        design: str | None = None,
        tag: str | None = None,
        q: str | None = None,
    ) -> tuple[list[RunRow], str | None]:
        """Return runs, newest first, and the token of the next page, None on the last.

        q: words that the name must hold, in any order. Raises UserError for a token that no page gave.
        """
        conditions: list[Any] = []
        if after is not None:
            conditions.append(Run.number < number_of(after))
        if state is not None:
            conditions.append(Run.state == state)
        if design is not None:
            conditions.append(Run.design == design)
        if tag is not None:
            conditions.append(Run.id.in_(select(Tag.run_id).where(Tag.tag == tag)))
        for word in (q or "").split()[:20]:
            conditions.append(Run.name.icontains(word, autoescape=True))
        with self.db.read() as connection:
            rows = run_rows(connection, *conditions, order=Run.number.desc(), size=size + 1)
        more = len(rows) > size
        return rows[:size], f"{rows[size - 1].number:x}" if more else None

    def counts(self) -> dict[str, int]:
        """Return the number of runs in each state."""
        query = select(Run.state, func.count().label("runs")).where(Run.deleted.is_(False)).group_by(Run.state)
        with self.db.read() as connection:
            found = {row.state: row.runs for row in connection.execute(query)}
        return {state: found.get(state, 0) for state in STATES}

    def cancel(self, run_id: str) -> RunRow:
        """Dequeue a queued run, stop a running one, leave an ended one.

        Raises UserError (no_run) if there is none.
        """
        row = self.run_jobs.cancel(run_id)
        if row is None:
            raise _no_run(run_id)
        return row

    def delete(self, run_id: str) -> None:
        """Delete a run with its events and fence off its worker. Raises UserError (no_run).

        The run is gone at once; what could not be cleared of it, clear_deleted() does later.
        """
        make_room(self.db, self.settings, ballast=True)
        with self.db.write() as connection:
            gone = update(Run).where(Run.id == run_id, Run.deleted.is_(False)).values(deleted=True)
            if connection.execute(gone).rowcount == 0:
                raise _no_run(run_id)
        RECEIVED_AT.set(None)  # each slice may wait for the lock as long as another request
        with contextlib.suppress(UserError):
            self._clear(run_id)

    def clear_deleted(self) -> None:
        """Finish interrupted deletions."""
        with self.db.read() as connection:
            left = list(connection.scalars(select(Run.id).where(Run.deleted.is_(True))))
        for run_id in left:
            self._clear(run_id)

    def _clear(self, run_id: str) -> None:
        """Remove a deleted run's rows, unless another thread is about it."""
        if run_id in self.clearing:
            return
        self.clearing.add(run_id)
        try:
            self._clear_in_slices(run_id)
        finally:
            self.clearing.discard(run_id)

    def _clear_in_slices(self, run_id: str) -> None:
        """Remove the rows of a run in slices, then the run, and release its disk space."""
        for table, order in ((Chunk, Chunk.number), (StoredNode, StoredNode.number), (Keyframe, Keyframe.chunk)):
            more = True
            while more:
                with self.db.write() as connection:
                    column: Any = table.run_id
                    some = select(order).where(column == run_id).order_by(order).limit(ROWS_A_SLICE)
                    result = connection.execute(delete(table).where(column == run_id, order.in_(some)))
                    more = result.rowcount > 0
                self._keep_log_short()
        with self.db.write() as connection:
            connection.execute(delete(Run).where(Run.id == run_id, Run.deleted.is_(True)))
        left = self.db.give_back(PAGES_A_SLICE)
        while left and left > (left := self.db.give_back(PAGES_A_SLICE)):
            self._keep_log_short()
        self.db.checkpoint(0, empty=0)

    def _keep_log_short(self) -> None:
        """Checkpoint the log; while a reader keeps it from being emptied, wait for him."""
        for _ in range(LONG_READS):
            self.db.checkpoint()
            if self.db.log_bytes < WAL_LIMIT:
                return
            time.sleep(EMPTY_S)


def _first_values(scenario: Scenario, canonical: bytes, pace_ms_per_s: int | None) -> dict[str, Any]:
    """Return the columns of a new run."""
    workload = scenario.workload
    return {
        "name": scenario.name,
        "scenario_json": canonical.decode(),
        "scenario_sha256": hashlib.sha256(canonical).hexdigest(),
        "design": scenario.wait.design,
        "kernel": scenario.profile,
        "workload_kind": workload.kind,
        "recording_id": workload.recording if isinstance(workload, Recorded) else None,
        "seed": scenario.seed,
        "pace_ms_per_s": pace_ms_per_s,
        "engine_version": VERSION,
        "event_format": FORMAT,
        "created_ns": time.time_ns(),
        "state": "queued",
        "attempt": 1,
        "losses": 0,
        "cancel_requested": False,
        "deleted": False,
        "chunks": 0,
        "events": 0,
        "time_ns": 0,
        "progress": 0.0,
    }


def _started_by(connection: Connection, key: str) -> tuple[RunRow, str] | None:
    """Return the run that a key started, and the hash of the request body."""
    found = connection.execute(select(Key.body_sha256, Key.run_id).where(Key.key == key)).one_or_none()
    rows = run_rows(connection, Run.id == found.run_id) if found is not None else []
    return (rows[0], found.body_sha256) if found is not None and rows else None


def _asks_for(run: RunRow, canonical: bytes, pace_ms_per_s: int | None, tags: Sequence[str]) -> bool:
    """Return whether a request is for this run. The hash of a body differs between versions of the program."""
    try:
        same = run.to_play().canonical() == canonical
    except UserError:
        return False
    return same and run.pace_ms_per_s == pace_ms_per_s and set(run.tags) == set(tags)


def _refuse_if_missing(connection: Connection, scenario: Scenario) -> None:
    workload = scenario.workload
    if not isinstance(workload, Recorded) or workload.recording in shipped_recordings():
        return
    if connection.scalar(select(Recording.id).where(Recording.id == workload.recording)) is None:
        known = ", ".join(shipped_recordings())
        text = f"there is no recording {workload.recording}: import it first, or use one of {known}"
        raise UserError(text, code="no_recording", field="scenario.workload.recording")


def number_of(token: str) -> int:
    """Decode a page token. Raises UserError for an invalid one."""
    if not 0 < len(token) <= 15 or not set(token) <= set("0123456789abcdef"):
        text = "invalid page token: use the `next` of the previous page"
        raise UserError(text, code="bad_token", field="_next")
    return int(token, 16)


def _no_run(run_id: str) -> UserError:
    return UserError(f"there is no run {run_id[:80]}", code="no_run", field="run_id", status=404)
