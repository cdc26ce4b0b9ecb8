"""The worker's part in explorations: run a claimed search to its answer, and store its progress."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import threading
import time
from typing import Any

from app.commands.exploring import rendered, story_of, subject_of
from app.commands.shrinking import shrunk
from app.keeping import Halt, Held, Keeper
from app.store import ExplorationRow, Fenced, Store
from app.store.rows import scenario_to_play
from engine.errors import FolioscopeError, UserError
from engine.explore.plan import Limits, Plan, Progress
from engine.explore.schedules import of_answer
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.search.saving import resume, save
from engine.explore.shrink import Budget
from engine.explore.tables.checking import checked
from engine.explore.tables.table import Table
from engine.identity import engine_words
from engine.scenario import Scenario

log = logging.getLogger("folioscope.runner")

SHRINK_STATES = 4_000_000
"""Max. states searched to shrink a finding, a few seconds; the smallest one found by then is kept."""
REPORT_S = 0.5
"""Interval between progress reports."""
CHECKPOINT_S = 15.0
"""Min. interval between checkpoints."""
QUICK_BYTES = 64 << 20
"""Max. size of a checkpoint written at a stop; writing a larger one would exceed the grace period."""
OUTCOMES_MAX = 1_000
"""Max. outcomes stored per exploration."""
STORY_MAX = 2_000
"""Max. steps of a story stored for the page."""
SPARE_BYTES = 1 << 30
"""Memory of a worker beyond the states: the engine, and the old hash table while it is being enlarged."""


def explore_one(store: Store, row: ExplorationRow, *, stop: threading.Event | None = None) -> None:
    """Search a claimed exploration to its end; whatever happens, its state tells. Returns when it is not ours any
    more, or back in the queue because `stop` was set."""
    held = Held(
        f"exploration {row.id}",
        lambda: store.exploration_jobs.beat(row.id, row.attempt),
        lambda: store.exploration_jobs.look(row.id, row.attempt),
        float("inf"),
        2 * int(json.loads(row.limits_json)["memory_bytes"]) + SPARE_BYTES,
    )
    with Keeper(held, stop or threading.Event()) as keeper:
        try:
            _explore(store, row, keeper)
        except Fenced as error:
            log.info("%s", error)
        except Exception as error:
            _abandon(store, row, error)


def _explore(store: Store, row: ExplorationRow, keeper: Keeper) -> None:
    limits, stop = limits_of(row), _Stop(keeper)
    explorer = _taken_up(store, row)
    reported_at, kept = 0.0, _Checkpoints(store, row)

    def note(phase: str) -> None:
        progress = explorer.progress()._asdict() | {"phase": phase}
        try:
            store.note_exploration(row.id, row.attempt, progress_json=json.dumps(progress))
        except UserError as error:  # a busy or full disk: the next report may succeed
            log.warning("exploration %s: its progress could not be stored: %s", row.id, error)

    def report(_: Progress) -> None:
        nonlocal reported_at
        if time.monotonic() - reported_at >= REPORT_S:
            reported_at = time.monotonic()
            note("search")
            kept.look(explorer)

    stopped_by = explorer.run(limits, report=report, stop=stop)
    ends_at = time.monotonic() + limits.seconds - explorer.seconds
    found = dict[str, Any]()
    if stop.heard not in {"lost", "stop"}:
        note("answer")
        why = "memory" if stop.heard == "limit_memory" else stopped_by
        found = shortened(answer(explorer, why, limits, stop, ends_at))
        if stop.heard == "limit_memory" and found["bounds"]["liveness_stopped_by"] == "cancel":
            found["bounds"]["liveness_stopped_by"] = "memory"
    found |= {"shrunk": None, "engine": engine_words()}
    if found.get("error") and not stop.heard:
        note("shrink")
        found["shrunk"] = smaller(_what(row), found, Budget(states=SHRINK_STATES, ends_at=ends_at, stop=stop))
    halt = stop.heard
    if halt == "lost":
        raise Fenced(f"exploration {row.id} no longer belongs to attempt {row.attempt}")
    if halt == "stop":
        if explorer.progress().memory <= QUICK_BYTES:
            kept.save(explorer)
        store.exploration_jobs.release(row.id, row.attempt)
        return
    store.finish_exploration(
        row.id,
        row.attempt,
        "cancelled" if halt == "cancel" else "done",
        reason="user" if halt == "cancel" else None,
        verdict=found["verdict"],
        answer_json=json.dumps(found),
        progress_json=json.dumps(explorer.progress()._asdict()),
        story_json=story_json(explorer, found),
    )


class _Stop:
    """Signals a search to stop, and remembers the reason: its answer is then incomplete.

    A reason that comes after the last question changes nothing: the answer is whole.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.heard: Halt = ""

    def __call__(self) -> bool:
        self.heard = self.heard or self._keeper.halt
        return self.heard != ""


class _Checkpoints:
    """Schedules checkpoints so that they take at most a twentieth of the time."""

    def __init__(self, store: Store, row: ExplorationRow) -> None:
        self._store, self._row = store, row
        self._next = time.monotonic() + CHECKPOINT_S

    def look(self, explorer: Explorer) -> None:
        """Write a checkpoint if one is due. Raises Fenced."""
        if time.monotonic() < self._next:
            return
        began = time.monotonic()
        self.save(explorer)
        now = time.monotonic()
        self._next = now + max(CHECKPOINT_S, 20 * (now - began))

    def save(self, explorer: Explorer) -> None:
        """Write a checkpoint; on a full disk the previous one is kept. Raises Fenced."""
        path, size = self._store.checkpoint_path(self._row.id), explorer.progress().memory
        if shutil.disk_usage(path.parent).free < 2 * size + self._store.settings.free_bytes_min:
            log.warning("exploration %s: no room for a checkpoint of %d MB", self._row.id, size >> 20)
            return
        try:
            save(explorer, path)
            self._store.note_exploration(self._row.id, self._row.attempt, checkpoint=path.name)
        except UserError as error:
            log.warning("exploration %s: %s", self._row.id, error)


def _taken_up(store: Store, row: ExplorationRow) -> Explorer:
    """Resume the search from its last checkpoint; without a usable one, start over."""
    subject = subject_of(_what(row))
    requested = json.loads(row.plan_json)
    plan = Plan(**{name: requested[name] for name in Plan._fields if name in requested})
    if row.checkpoint is not None:
        try:
            return resume(store.checkpoint_path(row.id), subject, plan)
        except UserError as error:  # another version of the program, or a damaged disk
            log.warning("exploration %s starts over: %s", row.id, error)
    store.drop_checkpoint(row.id)
    return Explorer(subject, plan)


def _what(row: ExplorationRow) -> Table | Scenario:
    """Return the subject of an exploration. Raises UserError if this version cannot read it."""
    data = json.loads(row.subject_json)
    return checked(data) if row.kind == "table" else scenario_to_play(data, f"exploration {row.id}", row.engine_version)


def story_json(explorer: Explorer, found: dict[str, Any]) -> str | None:
    """Return the story of an answer's schedule for the page, None without a schedule or for a very long one."""
    if (shown := of_answer(found)) is None:
        return None
    stem, loop = shown
    subject = explorer.subject
    begins, whole = len(subject.read(stem)), subject.read(".".join(filter(None, (stem, loop))))
    if len(whole) > STORY_MAX:
        return None
    return json.dumps(rendered(story_of(subject, whole[:begins], whole[begins:])))


def smaller(subject: Table | Scenario, found: dict[str, Any], budget: Budget) -> dict[str, Any] | None:
    """Shrink a finding to a smaller reproducer; None if nothing can be dropped or it has no schedule."""
    made = shrunk(subject, found, 120, budget)
    return made[0] if made and made[0]["dropped"] else None


def limits_of(row: ExplorationRow) -> Limits:
    """Return the limits of an exploration as the engine takes them."""
    values = json.loads(row.limits_json)
    return Limits(values["states"], values["memory_bytes"], values["seconds"])


def shortened(found: dict[str, Any]) -> dict[str, Any]:
    """Return an answer with its first OUTCOMES_MAX outcomes and the number of omitted ones."""
    outcomes = found["outcomes"]
    return found | {"outcomes": outcomes[:OUTCOMES_MAX], "outcomes_left_out": max(0, len(outcomes) - OUTCOMES_MAX)}


def _abandon(store: Store, row: ExplorationRow, error: Exception) -> None:
    """End a failed exploration: report a user error with its message, an internal error with a log reference."""
    reason, detail = "error", str(error)
    if isinstance(error, MemoryError):
        reason, detail = (
            "limit_memory",
            "the machine is out of memory: lower the limit on states or on memory",
        )
    elif isinstance(error, UserError) and error.code == "storage_full":
        reason = "disk_full"
        store.drop_ballast(half=True)
    elif not isinstance(error, FolioscopeError):
        reference = secrets.token_hex(4)
        log.exception("exploration %s, fault %s", row.id, reference)
        detail = f"internal error: see {reference} in the worker's log"
    try:
        store.finish_exploration(row.id, row.attempt, "failed", reason=reason, detail=detail)
    except Fenced as fenced:
        log.info("%s", fenced)
