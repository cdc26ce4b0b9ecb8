"""What a search found: counts, outcomes, and the ways to what broke, read from its memory."""

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
"""Kinds of errors, by number."""
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
    """An invariant that broke, or a witness that was met: how often (edges, or end states), and the shortest way."""

    times: int
    schedule: list[Any]


class Found(NamedTuple):
    """What a search found: see the table's format for the counts. schedule: steps of the shortest error; broken,
    witnessed: by name, what a world's steps and end states told."""

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
    """A search to be read. ends: outcomes counted on the way, where final states were not kept; None: read them."""

    subject: Subject
    layout: Layout
    memory: Memory
    symmetry: bool
    deep: bool
    ends: Counter[tuple[Any, ...]] | None

    def found(self, stopped_by: str, seconds: float, size: int) -> Found:
        """Return the counts, the outcomes, and the steps of the shortest error; size: bytes that the search takes."""
        memory, c = self.memory, self.memory.counters
        n = int(c[s.FOUND])
        counts = {name: int(c[place]) for name, place in _COUNTS.items()}
        ends = np.flatnonzero(memory.marks[:n] & s.MARK_ENDED)
        if self.layout.bounded:  # a state may have been met with more and with fewer preemptions left
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
        """Return one of each of these states, whoever ran last in it."""
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
        """Return the steps from the start to an error: as the processes themselves make them, not their stand-ins.

        step: the step that goes wrong, -1 where the state itself does.
        """
        steps = [step] if step >= 0 else []
        while state:
            steps.append(int(self.memory.via[state]))
            state = int(self.memory.parent[state])
        return self.subject.schedule(steps[::-1], symmetry=self.symmetry)


def outcomes(subject: Subject, layout: Layout, states: Any) -> Counter[tuple[Any, ...]]:
    """Return how many of these states, shape (n, width), have each outcome."""
    names, told = subject.outcomes, Counter[tuple[Any, ...]]()
    for state in states if names else ():
        values = unpack(layout, state)
        told[tuple(values.variables[name] if array else values.variables[name][0] for name, array in names)] += 1
    return told
