"""A scenario with a schedule: tasks move in exactly that order. What the explorer finds is shown this way."""

from __future__ import annotations

from collections.abc import Iterator

from engine.errors import BadScenario
from engine.events import Batch
from engine.runs.batches import cut_batch
from engine.runs.schedule import at_end, choices, enabled, make_move, step_name
from engine.runs.timed_run import TimedRun
from engine.scenario import Scenario
from engine.schedule_word import read
from engine.world.state import BROKEN, CAPACITY, EVENTS, NONE, NOW, SLACK, World
from engine.world.trace import broken

STEP_NS = 1_000
"""Time that each step is shown to take: only the order matters here, not the cost."""


def references(w: World) -> int:
    """Return the sum of all pages' reference counts, less those of the page cache and of page table entries
    (engine.runs.schedule.at_end).
    """
    counted = int((w.pages.file.array != NONE).sum()) + int(w.rmap.mapcount.array.sum())
    return int(w.pages.refcount.array.sum()) - counted


class ScheduledRun:
    """A schedule played move by move. If no task can move at its end, the violated invariants are recorded."""

    def __init__(self, scenario: Scenario) -> None:
        self._run = TimedRun(scenario)
        self.cast, self.world = self._run.cast, self._run.world
        self.moves = read(len(self.cast.tasks), scenario.schedule or "")
        self.total: int | None = None
        self.end_ns: int | None = max(1, len(self.moves) * STEP_NS)
        self._at = 0
        self._most = scenario.events_max

    @property
    def progress(self) -> float:
        return self._at / max(1, len(self.moves))

    def batches(self) -> Iterator[Batch]:
        """Play all moves. Raises BadScenario for a move that cannot be made, or if no event is recorded."""
        w, played = self.world, 0
        before = references(w)
        while self._at < len(self.moves) and played < self._most:
            while self._at < len(self.moves) and w.clock[EVENTS] < CAPACITY - SLACK:
                self._move()
            if self._at == len(self.moves):
                self._judge(before)
            batch = cut_batch(w)
            batch = batch.cut(0, min(len(batch), self._most - played))
            played += len(batch)
            if len(batch):
                yield batch
        if not played:
            raise BadScenario("no event is recorded in this schedule", field="scenario.schedule")

    def _move(self) -> None:
        w, n = self.world, len(self.cast.tasks)
        choice, task = divmod(self.moves[self._at], n)
        where = f"schedule: step {self._at + 1}: {self.cast.tasks[task].name}"
        if not enabled(w, task):
            raise BadScenario(f"{where} sleeps or has finished", field="scenario.schedule")
        if choice >= choices(w, task):
            text = f"{where}: {step_name(w, task)} has no choice {choice}"
            raise BadScenario(text, field="scenario.schedule")
        w.clock[NOW] = self._at * STEP_NS
        if not make_move(w, task, choice):
            raise BadScenario(f"{where} finds the queue lock taken", field="scenario.schedule")
        self._at += 1

    def _judge(self, before: int) -> None:
        """If no task can move any more, record the violated invariants."""
        w = self.world
        if w.clock[BROKEN] or any(enabled(w, task) for task in range(len(self.cast.tasks))):
            return
        w.clock[NOW] = self._at * STEP_NS
        violated = at_end(w, w.pages.flags.array.size, before)
        for invariant in range(violated.bit_length()):
            if violated >> invariant & 1:
                broken(w, 0, w.tasks.page[0], invariant)
