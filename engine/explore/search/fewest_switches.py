"""Find, among all shortest schedules to an error of one kind, one with the fewest switches between processes.

The states of a breadth-first search and the steps that lead to the next depth contain every shortest path. Dynamic
programming over them: for each state and each process that may have made the last step, the fewest switches so far.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.explore.search import memory as s
from engine.explore.search.calls import call_expand
from engine.explore.search.components import number_of
from engine.explore.search.explorer import Explorer
from engine.explore.search.memory import STEP_MASK, Memory, judged
from engine.explore.search.native import ENDED, FAILED, FAULT, FINAL, OUTSIDE, REPORTED, STOPPED, TAIL, WRONG
from engine.explore.search.search import DONE, MORE
from engine.world.jit import inlined, jit

CELLS_MAX = 1 << 23
"""Limit of states times (processes + 1): 11 bytes each, and a second or two of work in all."""
TURN = 1 << 14
NEVER = (1 << 16) - 1
"""More switches than any path considered can have."""

(AT, BEST, BEST_STATE, BEST_LAST, BEST_STEP) = range(5)


class Paths(NamedTuple):
    """Shortest paths. depth: (states,); switches: (states, processes + 1) the fewest on a path to the state
    whose last step a given process made (last column: the start, without one); step, before, came: the same shape,
    that last step, the process that made the step before it, and the state it was made in; counters: (5,)."""

    depth: NDArray[np.uint16]
    switches: NDArray[np.uint16]
    step: NDArray[np.uint32]
    before: NDArray[np.uint8]
    came: NDArray[np.uint32]
    counters: NDArray[np.int64]


@jit
def depths(memory: Memory, depth: Any, length: Any) -> Any:
    """Write the depths of states, in the order in which they were found, and return how many have at most depth
    `length`."""
    for state in range(1, len(depth)):
        depth[state] = depth[memory.parent[state]] + 1
        if depth[state] > length:
            return state
    return len(depth)


@inlined
def _breaks(invariants: Any, kind: Any) -> Any:
    """Whether these bits include the invariant of this kind of error."""
    return kind >= s.BROKEN_INVARIANT and invariants >> np.uint64(kind - s.BROKEN_INVARIANT) & np.uint64(1) != 0


@jit
def _is_wanted(memory: Memory, at: Any, kind: Any) -> Any:
    """Whether a step is an error of this kind; at: start of its tail in `out`."""
    tail = np.int64(memory.out[at])
    if kind == s.ASSERTION:
        return tail & FAILED != 0
    if kind == s.RANGE:
        return tail & OUTSIDE != 0
    if kind == s.NO_VALUE:
        return tail & FAULT != 0
    return tail & REPORTED != 0 and _breaks(memory.out[at + 1], kind)


@jit
def _is_wanted_end(memory: Memory, flags: Any, kind: Any) -> Any:
    """Whether a state without successors is an error of this kind; flags: what judge() has just returned for it."""
    if flags & STOPPED:
        return False
    if kind == s.DEADLOCK:
        return flags & ENDED == 0
    if kind == s.BROKEN_FINAL:
        return flags & ENDED != 0 and flags & FINAL == 0
    return flags & WRONG != 0 and _breaks(memory.wrong[0], kind)


@jit
def _reach(p: Paths, state: Any, last: Any, switches: Any, to: Any, process: Any, step: Any) -> None:
    if switches < p.switches[to, process]:
        p.switches[to, process], p.step[to, process] = switches, step
        p.came[to, process], p.before[to, process] = state, last


@jit
def follow(
    memory: Memory,
    flat: Any,
    p: Paths,
    process_of: Any,
    expand: Any,
    judge: Any,
    base: Any,
    out: Any,
    kind: Any,
    length: Any,
    budget: Any,
) -> Any:
    """Extend paths from up to `budget` states, in the order in which they were found; returns DONE or MORE.

    kind, length: of the errors wanted; if a step is the error, `length` includes that step.
    """
    c, width, processes = p.counters, memory.states.shape[1], p.switches.shape[1] - 1
    for _ in range(budget):
        state = c[AT]
        if state == len(p.depth):
            return DONE
        c[AT] += 1
        depth = np.int64(p.depth[state])
        n = call_expand(expand, base + state * width * 8, out, -1)
        flags = judged(memory, judge, base, state) if n == 0 else 0
        if n == 0 and depth == length and _is_wanted_end(memory, flags, kind):
            for last in range(processes + 1):
                if p.switches[state, last] < c[BEST]:
                    c[BEST], c[BEST_STATE], c[BEST_LAST], c[BEST_STEP] = p.switches[state, last], state, last, -1
        if depth == length:
            continue
        for i in range(n):
            at = i * (width + TAIL)
            tail = np.int64(memory.out[at + width])
            step = tail & STEP_MASK
            process = process_of[step]
            wanted = depth + 1 == length and _is_wanted(memory, at + width, kind)
            to = np.int64(-1)
            if not wanted and not tail & FAULT:
                to = number_of(memory, flat, memory.out, at)
                if to >= len(p.depth) or (to >= 0 and np.int64(p.depth[to]) != depth + 1):
                    to = np.int64(-1)  # not on a shortest path
            for last in range(processes + 1):
                so_far = np.int64(p.switches[state, last])
                if so_far == NEVER:
                    continue
                switches = so_far + (1 if last != process and last != processes else 0)
                if wanted and switches < c[BEST]:
                    c[BEST], c[BEST_STATE], c[BEST_LAST], c[BEST_STEP] = switches, state, last, step
                if to >= 0:
                    _reach(p, state, last, switches, to, process, step)
    return MORE


def fewest_switches(explorer: Explorer, stop: Callable[[], bool] = lambda: False) -> list[Any] | None:
    """Return, of the shortest schedules to the error found or another of its kind, one with the fewest switches.

    None if the search did not keep all shortest paths, or there are too many. stop: polled; True gives None. There is
    no time limit, so the same search gives the same schedule.
    """
    plan, memory, c = explorer.plan, explorer.memory, explorer.memory.counters
    kind, length = int(c[s.ERROR_KIND]), int(c[s.ERROR_LENGTH])
    kept = plan.search == "bfs" and plan.reduction == "none" and plan.preemptions is None and not plan.compact
    processes = len(explorer.subject.processes)
    if not kind or not kept or length >= NEVER:
        return None
    depth = np.zeros(int(c[s.NEXT]), np.uint16)
    states = int(depths(memory, depth, length))
    if states * (processes + 1) > CELLS_MAX:
        return None
    paths = Paths(
        depth=depth[:states],
        switches=np.full((states, processes + 1), NEVER, np.uint16),
        step=np.zeros((states, processes + 1), np.uint32),
        before=np.zeros((states, processes + 1), np.uint8),
        came=np.zeros((states, processes + 1), np.uint32),
        counters=np.array([0, NEVER, -1, -1, -1], np.int64),
    )
    paths.switches[0, processes] = 0
    flat, base, out = memory.states.reshape(-1), memory.states.ctypes.data, memory.out.ctypes.data
    code = (explorer.native.expand, explorer.native.judge, base, out)
    while follow(memory, flat, paths, explorer.subject.process_of, *code, kind, length, TURN) != DONE:
        if stop():
            return None
    _, _, state, last, step = (int(counter) for counter in paths.counters)
    if state < 0:
        return None
    moves = [step] if step >= 0 else []
    while state:
        moves.append(int(paths.step[state, last]))
        state, last = int(paths.came[state, last]), int(paths.before[state, last])
    return explorer.subject.schedule(moves[::-1], symmetry=False)
