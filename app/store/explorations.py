"""Explorations: asked for, listed, claimed by workers, answered. Leases and fences are those of app.store.work."""

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
from app.store.rows import EXPLORATION_COLUMNS, ExplorationRow
from app.store.runs import KEY_LIVES_NS, number_of, refuse_full_disk
from app.store.tables import Exploration, Fenced
from app.store.work import LOSSES_MAX, Beat, expired, new_lease
from engine import VERSION
from engine.errors import AskedWrongly

CHECKPOINTS = "checkpoints"
"""Folder of the data folder that holds them."""


class AskedExploration(NamedTuple):
    """What is to be explored, and how; all but name and kind as JSON."""

    kind: str
    name: str
    subject_json: str
    subject_sha256: str
    asked_sha256: str
    plan_json: str
    limits_json: str


class Explorations:
    """The part of the store that keeps explorations. All calls open and close their own transaction."""

    db: Database
    settings: Settings

    # --- as users see them -------------------------------------------------------------------------------------------

    def explore(
        self, asked: AskedExploration, *, key: str | None = None, body_sha256: str | None = None
    ) -> tuple[ExplorationRow, bool]:
        """Queue an exploration and return it with True; or the one that this key asked for before, with False.

        Raises AskedWrongly: idempotency_mismatch (the key came with another body), queue_full, storage_full.
        """
        with self.db.write() as connection:
            if key is not None and (before := _asked_by(connection, key, body_sha256)):
                return before, False
            refuse_full_disk(self.db, self.settings)
            waiting = self._waiting(connection)
            if waiting >= self.settings.queue_max:
                text = f"{waiting} explorations wait for a worker, the most there may be: ask when some have ended"
                raise AskedWrongly(text, code="queue_full", status=503)
            exploration_id = _insert(connection, asked, key, body_sha256)
            return _rows(connection, Exploration.id == exploration_id)[0], True

    def explore_all(self, asked: Sequence[AskedExploration]) -> list[AskedExploration]:
        """Queue as many of these as may wait, but none that is under way already; return what did not fit."""
        with self.db.write() as connection:
            refuse_full_disk(self.db, self.settings)
            room = max(0, self.settings.queue_max - self._waiting(connection))
            live = select(Exploration.asked_sha256).where(Exploration.state.in_(("queued", "running")))
            there = set(connection.scalars(live))
            fresh = [one for one in asked if one.asked_sha256 not in there]
            for one in fresh[:room]:
                _insert(connection, one, None, None)
            return fresh[room:]

    def _waiting(self, connection: Connection) -> int:
        return connection.scalar(select(func.count()).where(Exploration.state == "queued")) or 0

    def exploration(self, exploration_id: str) -> ExplorationRow | None:
        """Return an exploration, None if there is none."""
        with self.db.read() as connection:
            return next(iter(_rows(connection, Exploration.id == exploration_id)), None)

    def story(self, exploration_id: str) -> str | None:
        """Return the story of an exploration's finding as JSON, None if it has none."""
        with self.db.read() as connection:
            return connection.scalar(select(Exploration.story_json).where(Exploration.id == exploration_id))

    def explorations(
        self, size: int = 50, after: str | None = None, state: str | None = None, q: str | None = None
    ) -> tuple[list[ExplorationRow], str | None]:
        """Return explorations, newest first, and the token of the next page, None on the last.

        q: words that the name must hold, in any order. Raises AskedWrongly for a token that no page gave.
        """
        conditions: list[Any] = [Exploration.name.icontains(word, autoescape=True) for word in (q or "").split()[:20]]
        if after is not None:
            conditions.append(Exploration.number < number_of(after))
        if state is not None:
            conditions.append(Exploration.state == state)
        with self.db.read() as connection:
            rows = _rows(connection, *conditions, size=size + 1)
        return rows[:size], f"{rows[size - 1].number:x}" if len(rows) > size else None

    def explored(self, asked: Sequence[str]) -> dict[str, ExplorationRow]:
        """Return for each of these asked_sha256 its newest exploration by this version of the engine: a finished one
        before one that failed or was cancelled. Those that have none are left out."""
        found: dict[str, ExplorationRow] = {}
        with self.db.read() as connection:
            for first in range(0, len(asked), 500):
                here = Exploration.asked_sha256.in_(asked[first : first + 500])
                for row in _rows(connection, here, Exploration.engine_version == VERSION, size=10_000):
                    before = found.get(row.asked_sha256)
                    if before is None or (before.state in ("failed", "cancelled") and row.state == "done"):
                        found[row.asked_sha256] = row
        return found

    def cancel_exploration(self, exploration_id: str) -> ExplorationRow:
        """Take it from the queue, or ask its worker to stop; one that has ended stays. Raises AskedWrongly."""
        here = Exploration.id == exploration_id
        with self.db.write() as connection:
            values = {"state": "cancelled", "reason": "user", "ended_ns": time.time_ns()}
            connection.execute(update(Exploration).where(here, Exploration.state == "queued").values(**values))
            asked = update(Exploration).where(here, Exploration.state == "running")
            connection.execute(asked.values(cancel_requested=True))
            rows = _rows(connection, here)
        if not rows:
            raise _no_exploration(exploration_id)
        return rows[0]

    def delete_exploration(self, exploration_id: str) -> None:
        """Delete it; a worker that explores it is fenced off. Raises AskedWrongly (no_exploration)."""
        with self.db.write() as connection:
            if connection.execute(delete(Exploration).where(Exploration.id == exploration_id)).rowcount == 0:
                raise _no_exploration(exploration_id)
        self.drop_checkpoint(exploration_id)

    # --- as workers see them -----------------------------------------------------------------------------------------

    def claim_exploration(self, worker: str) -> ExplorationRow | None:
        """Take the oldest queued one, None if there is none."""
        oldest = select(Exploration.number).where(Exploration.state == "queued").order_by(Exploration.number).limit(1)
        with self.db.read() as connection:
            if connection.scalar(oldest) is None:
                return None
        first = {"state": "running", "worker": worker, "lease_until": new_lease()}
        started = func.coalesce(Exploration.started_ns, time.time_ns())
        with self.db.write() as connection:
            taken = connection.scalar(
                update(Exploration)
                .where(Exploration.number == oldest.scalar_subquery(), Exploration.state == "queued")
                .values(**first, started_ns=started)
                .returning(Exploration.id)
            )
            return None if taken is None else _rows(connection, Exploration.id == taken)[0]

    def beat_exploration(self, exploration_id: str, attempt: int) -> Beat:
        """Renew the lease, and tell whether it is still this attempt's and shall go on."""
        with self.db.write() as connection:
            asked = connection.execute(
                update(Exploration)
                .where(*_held(exploration_id, attempt))
                .values(lease_until=new_lease())
                .returning(Exploration.cancel_requested)
            ).one_or_none()
        return "lost" if asked is None else "cancel" if asked.cancel_requested else "held"

    def look_exploration(self, exploration_id: str, attempt: int) -> Beat:
        """Tell the same without renewing the lease: a read."""
        query = select(Exploration.cancel_requested).where(*_held(exploration_id, attempt))
        with self.db.read() as connection:
            asked = connection.execute(query).one_or_none()
        return "lost" if asked is None else "cancel" if asked.cancel_requested else "held"

    def note_exploration(self, exploration_id: str, attempt: int, **told: str) -> None:
        """Store how far it is (progress_json), or where it can be taken up (checkpoint). Raises Fenced."""
        self._change(exploration_id, attempt, {**told, "lease_until": new_lease()})

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
        """End it. Raises Fenced if it is not this attempt's any more."""
        values: dict[str, Any] = {"state": state, "reason": reason, "detail": detail, "verdict": verdict}
        values |= {"answer_json": answer_json, "story_json": story_json, "checkpoint": None}
        values |= {"progress_json": progress_json} if progress_json else {}
        self._change(exploration_id, attempt, values | {"ended_ns": time.time_ns(), "lease_until": None})
        self.drop_checkpoint(exploration_id)

    def _change(self, exploration_id: str, attempt: int, values: dict[str, Any]) -> None:
        with self.db.write() as connection:
            change = update(Exploration).where(*_held(exploration_id, attempt)).values(**values)
            if connection.execute(change).rowcount == 0:
                raise Fenced(f"exploration {exploration_id} is not attempt {attempt}'s any more")

    def release_exploration(self, exploration_id: str, attempt: int) -> None:
        """Put it back into the queue: its worker was asked to stop. Nothing happens if it is not its any more."""
        values = {"state": "queued", "attempt": attempt + 1, "worker": None, "lease_until": None}
        with self.db.write() as connection:
            connection.execute(update(Exploration).where(*_held(exploration_id, attempt)).values(**values))

    def recover_explorations(self) -> int:
        """Deal with those whose worker died; return how many. Queued again, or ended if it was asked or too often."""
        lost = expired(Exploration)
        with self.db.read() as connection:
            if connection.scalar(select(Exploration.id).where(lost).limit(1)) is None:
                return 0
        ended = {"lease_until": None, "ended_ns": time.time_ns()}
        detail = f"{LOSSES_MAX} workers died while they explored it: ask for fewer states, or for less memory"
        again = {"state": "queued", "worker": None, "lease_until": None, "attempt": Exploration.attempt + 1}
        often = Exploration.losses >= LOSSES_MAX - 1
        with self.db.write() as connection:
            change = update(Exploration)
            changes = (
                change.where(expired(Exploration), Exploration.cancel_requested).values(
                    state="cancelled", reason="user", **ended
                ),
                change.where(expired(Exploration), often).values(
                    state="failed", reason="interrupted", detail=detail, losses=Exploration.losses + 1, **ended
                ),
                change.where(expired(Exploration)).values(losses=Exploration.losses + 1, **again),
            )
            return sum(connection.execute(one).rowcount for one in changes)

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def checkpoint_path(self, exploration_id: str) -> Path:
        """Return where the checkpoint of an exploration lies; its folder is there."""
        folder = self.db.path.parent / CHECKPOINTS
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder / exploration_id

    def drop_checkpoint(self, exploration_id: str) -> None:
        """Remove an exploration's checkpoint, and drafts of it that a killed worker left."""
        folder = self.db.path.parent / CHECKPOINTS
        for path in (folder / exploration_id, *folder.glob(f".{exploration_id}.*")):
            with contextlib.suppress(OSError):
                path.unlink()


def _held(exploration_id: str, attempt: int) -> tuple[Any, ...]:
    return Exploration.id == exploration_id, Exploration.attempt == attempt, Exploration.state == "running"


def _rows(connection: Connection, *conditions: Any, size: int = 1) -> list[ExplorationRow]:
    query = select(*EXPLORATION_COLUMNS).where(*conditions).order_by(Exploration.number.desc()).limit(size)
    return [ExplorationRow(*row) for row in connection.execute(query)]


def _insert(connection: Connection, asked: AskedExploration, key: str | None, body_sha256: str | None) -> str:
    now, exploration_id = time.time_ns(), secrets.token_hex(6)
    old = (Exploration.key.is_not(None), Exploration.created_ns < now - KEY_LIVES_NS)
    connection.execute(update(Exploration).where(*old).values(key=None))
    first = {"state": "queued", "attempt": 1, "losses": 0, "cancel_requested": False}
    values = {**asked._asdict(), **first, "id": exploration_id, "key": key, "body_sha256": body_sha256}
    connection.execute(insert(Exploration).values(**values, created_ns=now, engine_version=VERSION))
    return exploration_id


def _asked_by(connection: Connection, key: str, body_sha256: str | None) -> ExplorationRow | None:
    found = connection.execute(select(Exploration.id, Exploration.body_sha256).where(Exploration.key == key)).first()
    if found is None:
        return None
    if found.body_sha256 != body_sha256:
        text = "this Idempotency-Key came before with another body: take a new key for a new exploration"
        raise AskedWrongly(text, code="idempotency_mismatch", field="Idempotency-Key")
    return _rows(connection, Exploration.id == found.id)[0]


def _no_exploration(exploration_id: str) -> AskedWrongly:
    text = f"there is no exploration {exploration_id[:80]}"
    return AskedWrongly(text, code="no_exploration", field="exploration_id", status=404)
