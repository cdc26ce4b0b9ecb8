"""The results of a search, read from its memory: counts, outcomes, and schedules to errors and witnesses."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from engine.explore.layout import Layout, unpack
from engine.explore.search import memory as s
from engine.explore.search.memory import Memory
from engine.explore.search.subject import Subject
from engine.invariants import INVARIANTS, WITNESSES

ERRORS = ("", "deadlock", "assertion", "range", "no value", "final", *(one.name for one in INVARIANTS))
"""Number of an error kind -> its name."""
_COUNTS = {
    "states": s.FOUND,
    "edges": s.EDGES,
    "deadlock_states": s.DEADLOCKS,
    "assert_failures": s.ASSERTS,
    "range_failures": s.OUTSIDES,
    "faults": s.FAULTS,
    "final_states": s.FINALS,
    "final_violations": s.FINALS_BROKEN,
}


class Seen(NamedTuple):
    """A broken invariant or a witness that was met: how often (edges, or end states), and the shortest schedule."""

    times: int
    schedule: list[Any]


class Found(NamedTuple):
    """The results of a search; the table format describes the counts. schedule: steps to the shortest error; broken,
    witnessed: by name, what a world's steps and end states reported."""

    states: int
    edges: int
    deadlock_states: int
    assert_failures: int
    range_failures: int
    faults: int
    final_states: int
    final_violations: int
    depth: int | None
    outcomes: Counter[tuple[Any, ...]]
    error: str
    schedule: list[Any] | None
    broken: dict[str, Seen]
    witnessed: dict[str, Seen]
    complete: bool
    stopped_by: str
    seconds: float
    memory: int


class Searched(NamedTuple):
    """A search to read. ends: outcomes counted during the search if final states were not kept; None: read them."""

    subject: Subject
    layout: Layout
    memory: Memory
    symmetry: bool
    deep: bool
    ends: Counter[tuple[Any, ...]] | None

    def found(self, stopped_by: str, seconds: float, size: int) -> Found:
        """Return the counts, the outcomes and the steps to the shortest error; size: bytes that the search takes."""
        memory, c = self.memory, self.memory.counters
        n = int(c[s.FOUND])
        counts = {name: int(c[place]) for name, place in _COUNTS.items()}
        ends = np.flatnonzero(memory.marks[:n] & s.MARK_ENDED)
        if self.layout.bounded:  # a state may occur with different numbers of preemptions left
            rows = {
                mark: np.flatnonzero(memory.marks[:n] & mark) for mark in (s.MARK_ENDED, s.MARK_DEADLOCK, s.MARK_BROKEN)
            }
            ends = self._distinct(rows[s.MARK_ENDED])
            counts |= {
                "states": len(self._distinct(np.arange(n))),
                "deadlock_states": len(self._distinct(rows[s.MARK_DEADLOCK])),
                "final_states": len(ends),
                "final_violations": len(self._distinct(rows[s.MARK_BROKEN])),
            }
        kind = int(c[s.ERROR_KIND])
        return Found(
            **counts,
            depth=None if self.deep else int(c[s.DEPTH]),
            outcomes=outcomes(self.subject, self.layout, memory.states[ends]) if self.ends is None else self.ends,
            error=ERRORS[kind],
            schedule=self._schedule(int(c[s.ERROR_STATE]), int(c[s.ERROR_STEP])) if kind else None,
            broken=self._seen(0, [one.name for one in INVARIANTS]),
            witnessed=self._seen(len(INVARIANTS), [name for name, _ in WITNESSES]),
            complete=not stopped_by,
            stopped_by=stopped_by,
            seconds=seconds,
            memory=size,
        )

    def _distinct(self, rows: Any) -> Any:
        """Return the rows of distinct states, ignoring the word of the preemption bound."""
        _, first = np.unique(self.memory.states[rows, :-1], axis=0, return_index=True)
        return rows[first]

    def _seen(self, first: int, names: list[str]) -> dict[str, Seen]:
        rows = self.memory.seen[first : first + len(names)].tolist()
        return {
            name: Seen(times, self._schedule(state, step))
            for name, (times, _, state, step) in zip(names, rows, strict=True)
            if times
        }

    def _schedule(self, state: int, step: int) -> list[Any]:
        """Return the steps from the start to an error, with symmetry reduction undone.

        step: the step that is the error, -1 if the state itself is.
        """
        steps = [step] if step >= 0 else []
        while state:
            steps.append(int(self.memory.via[state]))
            state = int(self.memory.parent[state])
        return self.subject.schedule(steps[::-1], symmetry=self.symmetry)


def outcomes(subject: Subject, layout: Layout, states: Any) -> Counter[tuple[Any, ...]]:
    """Return how many of these states, shape (n, width), have each outcome."""
    names, counts = subject.outcomes, Counter[tuple[Any, ...]]()
    for state in states if names else ():
        values = unpack(layout, state)
        counts[tuple(values.variables[name] if array else values.variables[name][0] for name, array in names)] += 1
    return counts
