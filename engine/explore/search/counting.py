"""Count the schedules and traces of a state graph without loops, from the start to its end states.

Traces (Mazurkiewicz) are schedules up to the exchange of adjacent independent steps. They are counted with sleep sets
(Godefroid 1996): of the schedules that differ only by such exchanges, one is followed to its end.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from engine.explore.layout import Layout, pack, unpack
from engine.explore.search.calls import raise_kept
from engine.explore.search.memory import STEP_MASK
from engine.explore.search.native import FAULT, TAIL, Native
from engine.explore.search.subject import Shape, Subject, TableSubject
from engine.explore.tables.table import Table
from engine.explore.tables.touches import footprint

STATES_MAX, VISITS_MAX = 100_000, 300_000
"""Larger graphs are not counted."""
TURN = 1_024
"""States, or visits, between two calls of stop()."""

State = tuple[int, ...]
Edges = dict[State, list[tuple[int, State]]]


class Counted(NamedTuple):
    """Numbers of schedules and traces; None if unknown, e.g. because the graph has a loop or is too large."""

    schedules: int | None
    traces: int | None


class _Stopped(Exception):
    """stop() returned True."""


def counted(subject: Subject, shape: Shape, states: int, stop: Callable[[], bool] = lambda: False) -> Counted:
    """Return the numbers of schedules and traces; states: how many the search found.

    stop: polled; True leaves both unknown. Traces are counted for tables only: the reads and writes of an engine step
    are not known in advance.
    """
    if states > STATES_MAX:
        return Counted(None, None)
    try:
        return _counted(subject, shape, stop)
    except _Stopped:
        return Counted(None, None)


def _counted(subject: Subject, shape: Shape, stop: Callable[[], bool]) -> Counted:
    edges = _edges(subject, shape.layout, shape.native, stop)
    order = _backwards(edges)
    if order is None:
        return Counted(None, None)
    schedules: dict[State, int] = {}
    for state in order:
        schedules[state] = sum(schedules[to] for _, to in edges[state]) or 1
    traces = _traces(subject.table, shape.layout, edges, order[-1], stop) if isinstance(subject, TableSubject) else None
    return Counted(schedules[order[-1]], traces)


def _edges(subject: Subject, layout: Layout, native: Native, stop: Callable[[], bool]) -> Edges:
    """Return the outgoing steps of each state, the start first."""
    width = layout.width
    expand = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)(native.expand)
    here, out = np.zeros(width, np.uint64), np.zeros((subject.moves + 1) * (width + TAIL), np.uint64)
    edges: Edges = {}
    waiting = [tuple(pack(layout, subject.start(symmetry=False)))]
    while waiting:
        state = waiting.pop()
        if state in edges:
            continue
        if len(edges) % TURN == 0 and stop():
            raise _Stopped
        here[:] = state
        n = expand(0, here.ctypes.data, out.ctypes.data, -1)
        raise_kept()
        rows = out[: n * (width + TAIL)].reshape(n, width + TAIL).tolist()
        edges[state] = [(row[width] & STEP_MASK, tuple(row[:width])) for row in rows if not row[width] & FAULT]
        waiting += [to for _, to in edges[state] if to not in edges]
    return edges


def _backwards(edges: Edges) -> list[State] | None:
    """Return the states, each after all of its successors, the start last; None if the graph has a loop."""
    start = next(iter(edges))
    order: list[State] = []
    done: dict[State, bool] = {start: False}
    stack: list[tuple[State, Iterator[tuple[int, State]]]] = [(start, iter(edges[start]))]
    while stack:
        state, left = stack[-1]
        to = next((to for _, to in left), None)
        if to is None:
            stack.pop()
            done[state] = True
            order.append(state)
        elif to not in done:
            done[to] = False
            stack.append((to, iter(edges[to])))
        elif not done[to]:
            return None
    return order


def _traces(table: Table, layout: Layout, edges: Edges, start: State, stop: Callable[[], bool]) -> int | None:
    """Return the number of traces from a state; no recursion, as graphs can be deeper than Python's stack."""
    steps = table.steps
    Key = tuple[State, frozenset[int]]
    known: dict[Key, int] = {}

    def children(key: Key) -> list[Key]:
        state, asleep = key
        values = unpack(layout, state)
        prints = {step: footprint(table, steps[step], values) for step, _ in edges[state]}
        found = []
        for step, to in edges[state]:
            if step not in asleep:
                others = (other for other in asleep if steps[other].process != steps[step].process)
                found.append((to, frozenset(other for other in others if not prints[step].depends(prints[other]))))
                asleep |= {step}
        return found

    stack: list[tuple[Key, list[Key] | None]] = [((start, frozenset()), None)]
    turns = 0
    while stack:
        key, below = stack.pop()
        turns += 1
        if turns % TURN == 0 and stop():
            raise _Stopped
        if key in known:
            continue
        if below is None:
            if not edges[key[0]]:
                known[key] = 1
                continue
            below = children(key)
            stack.append((key, below))
            stack += [(child, None) for child in below if child not in known]
            if len(known) + len(stack) > VISITS_MAX:
                return None
        else:
            known[key] = sum(known[child] for child in below)
    return known[start, frozenset()]
