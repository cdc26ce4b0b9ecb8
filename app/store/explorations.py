"""Explorations: start, list, store progress and answers. app.store.jobs manages them as jobs."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from app.settings import Settings
from app.store.database import Database
from app.store.folder import make_room, refuse_full_disk
from app.store.jobs import Jobs, new_lease
from app.store.rows import ExplorationRow, exploration_rows
from app.store.runs import KEY_LIVES_NS, number_of
from app.store.tables import Exploration
from engine import VERSION
from engine.errors import UserError

CHECKPOINTS = "checkpoints"
"""Subfolder of the data folder for checkpoints."""


class RequestedExploration(NamedTuple):
    """A subject and the settings of its search; all but name and kind as JSON."""

    kind: str
    name: str
    subject_json: str
    subject_sha256: str
    asked_sha256: str
    plan_json: str
    limits_json: str


class Explorations:
    """The part of the store that manages explorations. Every call is its own transaction."""

    db: Database
    settings: Settings
    exploration_jobs: Jobs[ExplorationRow]

    # --- requests of users -------------------------------------------------------------------------------------------

    def explore(
        self, request: RequestedExploration, *, key: str | None = None, body_sha256: str | None = None
    ) -> tuple[ExplorationRow, bool]:
        """Queue an exploration and return it with True, or return the one already started by this key, with False.

        Raises UserError: idempotency_mismatch (the key came with another body), queue_full, storage_full.
        """
        make_room(self.db, self.settings)
        with self.db.write() as connection:
            if key is not None and (before := _started_by(connection, key, body_sha256)):
                return before, False
            refuse_full_disk(self.settings)
            waiting = self._waiting(connection)
            if waiting >= self.settings.queue_max:
                text = f"{waiting} explorations are waiting for a worker, the maximum: try again later"
                raise UserError(text, code="queue_full", status=503)
            exploration_id = _insert(connection, request, key, body_sha256)
            return exploration_rows(connection, Exploration.id == exploration_id)[0], True

    def explore_all(self, requests: Sequence[RequestedExploration]) -> list[RequestedExploration]:
        """Queue as many of these as the queue admits, except those already live; return the rest."""
        make_room(self.db, self.settings)
        with self.db.write() as connection:
            refuse_full_disk(self.settings)
            room = max(0, self.settings.queue_max - self._waiting(connection))
            live = select(Exploration.asked_sha256).where(Exploration.state.in_(("queued", "running")))
            there = set(connection.scalars(live))
            fresh = [one for one in requests if one.asked_sha256 not in there]
            for one in fresh[:room]:
                _insert(connection, one, None, None)
            return fresh[room:]

    def _waiting(self, connection: Connection) -> int:
        return connection.scalar(select(func.count()).where(Exploration.state == "queued")) or 0

    def exploration(self, exploration_id: str) -> ExplorationRow | None:
        """Return an exploration, None if there is none."""
        with self.db.read() as connection:
            return next(iter(exploration_rows(connection, Exploration.id == exploration_id)), None)

    def story(self, exploration_id: str) -> str | None:
        """Return the story of an exploration's finding as JSON, None if it has none."""
        with self.db.read() as connection:
            return connection.scalar(select(Exploration.story_json).where(Exploration.id == exploration_id))

    def explorations(
        self, size: int = 50, after: str | None = None, state: str | None = None, q: str | None = None
    ) -> tuple[list[ExplorationRow], str | None]:
        """Return explorations, newest first, and the token of the next page, None on the last.

        q: words that the name must hold, in any order. Raises UserError for a token that no page gave.
        """
        conditions: list[Any] = [Exploration.name.icontains(word, autoescape=True) for word in (q or "").split()[:20]]
        if after is not None:
            conditions.append(Exploration.number < number_of(after))
        if state is not None:
            conditions.append(Exploration.state == state)
        with self.db.read() as connection:
            rows = exploration_rows(connection, *conditions, size=size + 1)
        return rows[:size], f"{rows[size - 1].number:x}" if len(rows) > size else None

    def explored(self, digests: Sequence[str], *, others: bool = False) -> dict[str, ExplorationRow]:
        """Return for each asked_sha256 its newest exploration by this engine version, if it has one; others: by any
        other version.

        A finished exploration is preferred to one that failed or was cancelled.
        """
        version = Exploration.engine_version != VERSION if others else Exploration.engine_version == VERSION
        found: dict[str, ExplorationRow] = {}
        with self.db.read() as connection:
            for first in range(0, len(digests), 500):
                here = Exploration.asked_sha256.in_(digests[first : first + 500])
                for row in exploration_rows(connection, here, version, size=10_000):
                    before = found.get(row.asked_sha256)
                    if before is None or (before.state in ("failed", "cancelled") and row.state == "done"):
                        found[row.asked_sha256] = row
        return found

    def cancel_exploration(self, exploration_id: str) -> ExplorationRow:
        """Dequeue a queued exploration, stop a running one, leave an ended one. Raises UserError."""
        row = self.exploration_jobs.cancel(exploration_id)
        if row is None:
            raise _no_exploration(exploration_id)
        return row

    def delete_exploration(self, exploration_id: str) -> None:
        """Delete an exploration and fence off its worker. Raises UserError (no_exploration)."""
        make_room(self.db, self.settings, ballast=True)
        with self.db.write() as connection:
            if connection.execute(delete(Exploration).where(Exploration.id == exploration_id)).rowcount == 0:
                raise _no_exploration(exploration_id)
        self.drop_checkpoint(exploration_id)

    # --- writes of workers -------------------------------------------------------------------------------------------

    def note_exploration(self, exploration_id: str, attempt: int, **values: str) -> None:
        """Store the progress (progress_json) or the checkpoint of a search. Raises Fenced."""
        self.exploration_jobs.change(exploration_id, attempt, {**values, "lease_until": new_lease()})

    def finish_exploration(
        self,
        exploration_id: str,
        attempt: int,
        state: Literal["done", "failed", "cancelled"],
        *,
        reason: str | None = None,
        detail: str | None = None,
        verdict: str | None = None,
        answer_json: str | None = None,
        story_json: str | None = None,
        progress_json: str | None = None,
    ) -> None:
        """End an exploration. Raises Fenced if the attempt no longer holds it."""
        values = {"verdict": verdict, "answer_json": answer_json, "story_json": story_json, "checkpoint": None}
        values |= {"progress_json": progress_json} if progress_json else {}
        self.exploration_jobs.end(exploration_id, attempt, state, reason, detail, values)
        self.drop_checkpoint(exploration_id)

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def checkpoint_path(self, exploration_id: str) -> Path:
        """Return the path of an exploration's checkpoint; its folder exists."""
        folder = self.db.path.parent / CHECKPOINTS
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder / exploration_id

    def drop_checkpoint(self, exploration_id: str) -> None:
        """Remove an exploration's checkpoint, and drafts left by a killed worker."""
        folder = self.db.path.parent / CHECKPOINTS
        for path in (folder / exploration_id, *folder.glob(f".{exploration_id}.*")):
            with contextlib.suppress(OSError):
                path.unlink()


def _insert(connection: Connection, request: RequestedExploration, key: str | None, body_sha256: str | None) -> str:
    now, exploration_id = time.time_ns(), secrets.token_hex(6)
    old = (Exploration.key.is_not(None), Exploration.created_ns < now - KEY_LIVES_NS)
    connection.execute(update(Exploration).where(*old).values(key=None))
    first = {"state": "queued", "attempt": 1, "losses": 0, "cancel_requested": False}
    values = {**request._asdict(), **first, "id": exploration_id, "key": key, "body_sha256": body_sha256}
    connection.execute(insert(Exploration).values(**values, created_ns=now, engine_version=VERSION))
    return exploration_id


def _started_by(connection: Connection, key: str, body_sha256: str | None) -> ExplorationRow | None:
    found = connection.execute(select(Exploration.id, Exploration.body_sha256).where(Exploration.key == key)).first()
    if found is None:
        return None
    if found.body_sha256 != body_sha256:
        text = "this Idempotency-Key was used with another body: use a new key for a new exploration"
        raise UserError(text, code="idempotency_mismatch", field="Idempotency-Key")
    return exploration_rows(connection, Exploration.id == found.id)[0]


def _no_exploration(exploration_id: str) -> UserError:
    text = f"there is no exploration {exploration_id[:80]}"
    return UserError(text, code="no_exploration", field="exploration_id", status=404)
