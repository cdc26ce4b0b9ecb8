"""Explorer: runs the search that a plan asks for, within limits; found.py reads the results."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.explore.layout import Layout, Spans, pack, repack, unpack, widened
from engine.explore.plan import LIMITS, PLAN, Limits, Plan, Progress, check_plan
from engine.explore.search import compact
from engine.explore.search import memory as s
from engine.explore.search.footprints import no_reduction
from engine.explore.search.found import Found, Searched, outcomes
from engine.explore.search.memory import Memory
from engine.explore.search.native import TAIL
from engine.explore.search.samples import STATE, Samples, sample
from engine.explore.search.search import DONE, FULL, MORE, WIDER, Bound, Reduction, search
from engine.explore.search.subject import Subject, TableSubject
from engine.explore.search.walks import unbounded
from engine.explore.tables.table import Table, Values

CAPACITY = 1 << 12
ROWS_AHEAD = 2_048
"""Rows for the successors of states expanded together; a subject with more moves gets rows for one state."""
LEFT_SHIFT = 8
TURN_STATES = 1 << 16
"""States expanded between two checks of the clock."""
GIVE_UP_BITS = 20
"""A variable without a range that needs a wider field than this is taken to be unbounded."""


class Kept(NamedTuple):
    """A snapshot of a search, to be resumed in another process: values that JSON can hold, and arrays."""

    plain: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


class Explorer:
    """A search in progress: run() continues it until it is done, a limit is reached or `stop` returns True."""

    def __init__(self, subject: Table | Subject, plan: Plan = PLAN) -> None:
        """Raises UserError for an invalid plan, or a subject with unboundedly many states."""
        check_plan(plan)
        self.subject: Subject = TableSubject(subject) if isinstance(subject, Table) else subject
        self.plan = plan
        self.deep = plan.search == "dfs"
        self.symmetry = plan.reduction in {"symmetry", "all"}
        self._samples = self._walks() if plan.search in {"random", "pct"} else None
        self.spans: Spans = self.subject.spans()
        self._lay_out()
        self._look()
        self.layers: compact.Layers | None = None
        self.ends: Counter[tuple[Any, ...]] = Counter()
        self._begin()
        self.seconds = 0.0

    def _begin(self) -> None:
        """Allocate the memory, and enter the first state."""
        start, plan = pack(self.layout, self.subject.start(symmetry=self.symmetry)), self.plan
        if plan.compact:
            self.memory, self.layers = compact.begun(start, self.subject.moves)
            self.ends.clear()
            return
        self.memory = _room(self.layout, CAPACITY, self.subject.moves)
        self.memory.states[0] = start
        if self.layout.bounded:
            self.memory.states[0, -1] = (plan.preemptions or 0) << LEFT_SHIFT
        self.memory.counters[[s.FOUND, s.LAYER_END]] = 1
        if self.deep:
            self.memory.counters[s.STACK] = 1
        s.rehash(self.memory, self.memory.states.reshape(-1))

    @property
    def table(self) -> Table:
        """The table being explored."""
        assert isinstance(self.subject, TableSubject), "a world has no table"
        return self.subject.table

    def _look(self) -> None:
        """Take random walks and widen fields until every value that occurs fits."""
        while (seen := self.subject.look(self.shape)) is not None and seen.misfit >= 0:
            self._stretch(seen.misfit, unpack(self.layout, seen.state))
            self._lay_out()

    def _walks(self) -> Samples:
        plan, pct = self.plan, self.plan.search == "pct"
        priority, falls = np.zeros(len(self.subject.processes), np.int64), np.zeros(pct * (plan.depth - 1), np.int64)
        seed, counters = np.array([plan.seed], np.uint64), np.zeros(4, np.int64)
        process_of = self.subject.process_of
        return Samples(plan.walks, plan.longest, pct * plan.depth, priority, falls, process_of, seed, counters)

    def _lay_out(self) -> None:
        """Lay out a state for the current spans, and generate the code for that layout."""
        bounded, reduced = self.plan.preemptions is not None, self.plan.reduction in {"por", "all"}
        self.shape = self.subject.shape(self.spans, bounded=bounded, symmetry=self.symmetry, reduced=reduced)
        self.layout, self.native = self.shape.layout, self.shape.native
        self._reduction: Reduction = self.shape.reduction or no_reduction()
        shifts = np.uint64(0), np.uint64(LEFT_SHIFT), np.uint64((1 << LEFT_SHIFT) - 1)
        self._bound = Bound(bounded, self.layout.width - 1, *shifts, self.subject.process_of)

    def run(
        self,
        limits: Limits = LIMITS,
        *,
        report: Callable[[Progress], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> str:
        """Search, and return what ended it: "" if nothing is left, else states, memory, time or cancel.

        report: called with the progress after each turn.
        """
        began = time.monotonic() - self.seconds
        while True:
            ended = self._turn(limits.states)
            self.seconds = time.monotonic() - began
            if report:
                report(self.progress())
            if ended == DONE:
                return ""
            if ended == WIDER:
                self._widen()
                continue
            if self.memory.counters[s.FOUND] >= limits.states:
                return "states"
            if self.seconds >= limits.seconds:
                return "time"
            if stop():
                return "cancel"
            if ended == FULL and not self._grow(limits.memory):
                return "memory"

    def _turn(self, most: int) -> int:
        memory = self.memory
        budget = max(1, min(TURN_STATES, most - int(memory.counters[s.FOUND])))
        flat = memory.states.reshape(-1)
        code = (self.native.expand, self.native.judge, memory.states.ctypes.data, memory.out.ctypes.data)
        if self._samples is not None:
            return int(sample(memory, flat, self._samples, *code, budget))
        if self.layers is not None:
            return self._turn_compact(code, budget)
        return int(search(memory, flat, self._reduction, self._bound, *code, self.deep, budget))

    def _turn_compact(self, code: tuple[int, int, int, int], budget: int) -> int:
        assert self.layers is not None
        memory, ahead = self.memory, self.layers.ahead.reshape(-1)
        flat = memory.states.reshape(-1)
        ended = int(compact.search_compact(memory, flat, self.layers, ahead, self._reduction, *code, budget))
        self.ends += outcomes(self.subject, self.layout, self.layers.ends[: self.layers.counters[1]])
        self.layers.counters[1] = 0
        if ended == compact.LAYER:
            self.memory, self.layers = compact.turned(self.memory, self.layers)
            return MORE
        return ended

    def progress(self) -> Progress:
        """Return the progress of the search."""
        c = self.memory.counters
        left = c[s.STACK] if self.deep else c[s.FOUND] - c[s.NEXT]
        states, edges, depth = (int(c[place]) for place in (s.FOUND, s.EDGES, s.DEPTH))
        return Progress(states, edges, int(left), depth, self.seconds, self._bytes())

    # --- room --------------------------------------------------------------------------------------------------------

    def _grow(self, limit: int) -> bool:
        if self.layers is not None:
            memory, layers = compact.grown(self.memory, self.layers)
            if _bytes(memory) + _bytes(layers) > limit:
                return False
            self.memory, self.layers = memory, layers
            return True
        if 2 * _bytes(self.memory) > limit:
            return False
        old, found = self.memory, int(self.memory.counters[s.FOUND])
        new = _room(self.layout, 2 * len(old.states), self.subject.moves)
        self._move(old, new, old.states[:found])
        return True

    def _move(self, old: Memory, new: Memory, states: Any) -> None:
        found = len(states)
        new.states[:found] = states
        new.counters[:] = old.counters
        new.seen[:] = old.seen
        for name in ("parent", "via", "marks", "stack"):
            getattr(new, name)[: len(old.marks)] = getattr(old, name)
        s.rehash(new, new.states.reshape(-1))
        self.memory = new

    def _widen(self) -> None:
        """Widen the fields for the value that a step could not store, and repack all states."""
        c, old = self.memory.counters, self.layout
        number = int(self.memory.stack[c[s.STACK] - 1]) if self.deep else int(c[s.NEXT])
        if self._samples is not None:
            number = int(self._samples.counters[STATE])
        if self.layers is not None:
            number -= int(self.layers.counters[0])
        step = int(c[s.MISFIT])
        self._stretch(step, unpack(old, self.memory.states[number]))
        self._lay_out()
        if self.layers is not None:  # hashes of the old words are useless: start over
            self._begin()
            return
        memory = self.memory
        states = repack(memory.states[: int(c[s.FOUND])], old, self.layout)
        self._move(memory, _room(self.layout, len(memory.states), self.subject.moves), states)

    def _stretch(self, number: int, values: Values) -> None:
        """Widen the spans of the variables whose values a step could not store."""
        for variable, value in self.subject.missed(number, values):
            low, high = self.spans[variable]
            if not low <= value <= high:
                self.spans[variable] = low, high = widened((low, high), value)
                if (high - low).bit_length() > GIVE_UP_BITS and not self.subject.bounded(variable):
                    raise unbounded(self.subject.named(variable), value)

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def kept(self) -> Kept:
        """Return a snapshot of the search."""
        memory, c, found = self.memory, self.memory.counters, int(self.memory.counters[s.FOUND])
        arrays: dict[str, Any] = {
            "counters": c,
            "seen": memory.seen,
            "parent": memory.parent[:found],
            "via": memory.via[:found],
        }
        if self.layers is None:
            arrays |= {"states": memory.states[:found], "marks": memory.marks[:found]}
            arrays |= {"stack": memory.stack[: c[s.STACK]]}
        else:
            arrays |= {"states": memory.states, "slots": memory.slots}
            arrays |= {f"layers.{name}": array for name, array in self.layers._asdict().items()}
        if self._samples is not None:
            arrays |= {f"samples.{name}": getattr(self._samples, name) for name in _SAMPLED}
        ends = [[list(values), count] for values, count in self.ends.items()]
        return Kept({"spans": self.spans, "seconds": self.seconds, "ends": ends}, arrays)

    def restore(self, kept: Kept) -> None:
        """Restore a snapshot of the same subject and plan."""
        plain, arrays = kept
        self.seconds, self.spans = plain["seconds"], [(low, high) for low, high in plain["spans"]]
        self._lay_out()
        if self.layers is not None:
            own = {name: arrays[name].copy() for name in ("states", "parent", "via", "slots", "counters", "seen")}
            self.memory = self.memory._replace(**own)
            self.layers = compact.Layers(*(arrays[f"layers.{name}"].copy() for name in compact.Layers._fields))
            ends = ((tuple(tuple(one) if isinstance(one, list) else one for one in row), n) for row, n in plain["ends"])
            self.ends = Counter(dict(ends))
            return
        capacity = CAPACITY
        while capacity < 2 * len(arrays["states"]):
            capacity *= 2
        new = _room(self.layout, capacity, self.subject.moves)
        for name in ("states", "parent", "via", "marks", "stack", "counters", "seen"):
            getattr(new, name)[: len(arrays[name])] = arrays[name]
        s.rehash(new, new.states.reshape(-1))
        self.memory = new
        if self._samples is not None:
            for name in _SAMPLED:
                getattr(self._samples, name)[:] = arrays[f"samples.{name}"]

    def found(self, stopped_by: str) -> Found:
        """Return the results so far; stopped_by: as run() returned it."""
        ends = self.ends if self.layers is not None else None
        searched = Searched(self.subject, self.layout, self.memory, self.symmetry, self.deep, ends)
        return searched.found(stopped_by, self.seconds, self._bytes())

    def _bytes(self) -> int:
        return _bytes(self.memory) + (_bytes(self.layers) if self.layers is not None else 0)


_SAMPLED = ("priority", "falls", "seed", "counters")


def _room(layout: Layout, capacity: int, steps: int) -> Memory:
    together = max(1, min(s.AHEAD, ROWS_AHEAD // (steps + 1)))
    capacity = max(capacity, 2 * together * steps)
    return Memory(
        states=np.zeros((capacity, layout.width), np.uint64),
        parent=np.zeros(capacity, np.uint32),
        via=np.zeros(capacity, np.uint32),
        marks=np.zeros(capacity, np.uint8),
        slots=np.zeros(1 << (2 * capacity - 1).bit_length(), np.uint32),
        stack=np.zeros(capacity, np.uint32),
        out=np.zeros((together * steps + 1) * (layout.width + TAIL), np.uint64),
        fan=np.zeros(together, np.int64),
        counters=np.zeros(s.COUNTERS, np.int64),
        last=np.zeros(1, np.int64),
        wrong=np.zeros(1, np.uint64),
        seen=np.zeros((s.SEEN, 4), np.int64),
    )


def _bytes(memory: Memory | compact.Layers) -> int:
    return sum(array.nbytes for array in memory)
