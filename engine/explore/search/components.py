"""The graph of states reachable without `eventually` becoming true, and the fair cycles in it.

Compiled. outline() explores from the start through states in which `eventually` does not hold, and keeps the edges;
components() finds the strongly connected components (Tarjan 1972, without recursion) and the nearest one in which a
fair path can stay for ever; way() searches that component for a step or state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.explore.search.calls import call_expand
from engine.explore.search.memory import STEP_MASK, Memory, hashed, judged
from engine.explore.search.native import EVENTUALLY, FAULT, STOPPED, TAIL
from engine.explore.search.search import DONE, MORE
from engine.world.jit import jit

(REACHED, EXPANDED, EDGES, ENDED, CLOCK, STACK, PATH, COMPONENTS, BEST, FAIR) = range(10)
COUNTERS = 10
"""Indices into Graph.counters. ENDED: 1 + the state without a step; BEST: 1 + the first state of component FAIR."""
HOPE = (1 << 32) - 1
"""In place of a local number: `eventually` holds in the state."""


class Graph(NamedTuple):
    """A subgraph of the states found. States have local numbers, in order of their distance from the start.

    local: (states,) 1 + the local number of a state of the memory, 0 for none; order: (n,) the reverse; parent, via:
    (n,) how each was reached; able: (n,) bits of the processes that can step; first: (n + 1,) where its edges begin in
    to, step: (edges,); seen, low, component, stack, path, at: (n,) for Tarjan's search; counters: (COUNTERS,).
    """

    local: NDArray[np.uint32]
    order: NDArray[np.uint32]
    parent: NDArray[np.uint32]
    via: NDArray[np.uint32]
    able: NDArray[np.uint64]
    first: NDArray[np.int64]
    to: NDArray[np.uint32]
    step: NDArray[np.uint32]
    seen: NDArray[np.uint32]
    low: NDArray[np.uint32]
    component: NDArray[np.uint32]
    stack: NDArray[np.uint32]
    path: NDArray[np.uint32]
    at: NDArray[np.int64]
    counters: NDArray[np.int64]


@jit
def number_of(memory: Memory, flat: Any, words: Any, at: Any) -> Any:
    """Return the number of a state, -1 if the search did not find it."""
    width = memory.states.shape[1]
    mask = np.uint64(len(memory.slots) - 1)
    slot = hashed(words, at, width) & mask
    while memory.slots[slot] != 0:
        number = np.int64(memory.slots[slot]) - 1
        same = True
        for i in range(width):
            if flat[number * width + i] != words[at + i]:
                same = False
                break
        if same:
            return number
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1)


@jit
def _enter(memory: Memory, g: Graph, judge: Any, base: Any, number: Any, parent: Any, step: Any) -> Any:
    """Return the local number of a state, assigning one if it has none; HOPE where `eventually` holds."""
    if g.local[number] == 0:
        if judged(memory, judge, base, number) & EVENTUALLY:
            g.local[number] = HOPE
        else:
            local = g.counters[REACHED]
            g.local[number], g.order[local], g.parent[local], g.via[local] = local + 1, number, parent, step
            g.counters[REACHED] += 1
    local_number = np.int64(g.local[number])
    return local_number if local_number == HOPE else local_number - 1


@jit
def outline(
    memory: Memory, flat: Any, g: Graph, process_of: Any, expand: Any, judge: Any, base: Any, out: Any, budget: Any
) -> Any:
    """Expand up to `budget` states, breadth first; DONE after the last state, or at a state without a step."""
    c, width = g.counters, memory.states.shape[1]
    if c[REACHED] == 0:
        _enter(memory, g, judge, base, 0, 0, 0)
    for _ in range(budget):
        if c[EXPANDED] == c[REACHED]:
            return DONE
        here = c[EXPANDED]
        n = call_expand(expand, base + np.int64(g.order[here]) * width * 8, out, -1)
        assert n >= 0, "a value that fitted before does not fit"
        if n == 0 and not judged(memory, judge, base, np.int64(g.order[here])) & STOPPED:
            c[ENDED] = here + 1
            return DONE
        able = np.uint64(0)
        for i in range(n):
            at = i * (width + TAIL)
            tail = np.int64(memory.out[at + width])
            step = tail & STEP_MASK
            able |= np.uint64(1) << np.uint64(process_of[step])
            if tail & FAULT:
                continue
            number = number_of(memory, flat, memory.out, at)
            assert number >= 0, "a step leads to a state that was not found"
            to = _enter(memory, g, judge, base, number, here, step)
            if to != HOPE:
                g.to[c[EDGES]], g.step[c[EDGES]] = to, step
                c[EDGES] += 1
        g.able[here], g.first[here + 1] = able, c[EDGES]
        c[EXPANDED] += 1
    return MORE


@jit
def _close(g: Graph, process_of: Any, everyone: Any, bottom: Any) -> None:
    """Pop a component off the stack, and record it if it is fair and the nearest so far.

    Fair: each process makes a step in it, or is unable to in one of its states.
    """
    c = g.counters
    c[COMPONENTS] += 1
    mine = c[COMPONENTS]
    nearest = np.int64(g.stack[bottom])
    for i in range(bottom, c[STACK]):
        g.component[g.stack[i]] = mine
        nearest = min(nearest, np.int64(g.stack[i]))
    stepping, resting = np.uint64(0), np.uint64(0)
    for i in range(bottom, c[STACK]):
        state = np.int64(g.stack[i])
        resting |= ~g.able[state]
        for edge in range(g.first[state], g.first[state + 1]):
            if g.component[g.to[edge]] == mine:
                stepping |= np.uint64(1) << np.uint64(process_of[g.step[edge]])
    c[STACK] = bottom
    fair = stepping != np.uint64(0) and (stepping | resting) & everyone == everyone
    if fair and (c[BEST] == 0 or nearest + 1 < c[BEST]):
        c[BEST], c[FAIR] = nearest + 1, mine


@jit
def components(g: Graph, process_of: Any, everyone: Any, budget: Any) -> Any:
    """Follow up to `budget` edges of Tarjan's search; DONE or MORE. everyone: all processes, as bits."""
    c = g.counters
    for _ in range(budget):
        if c[PATH] == 0:
            if c[CLOCK] > 0:  # all states are reachable from the first one
                return DONE
            new = np.int64(0)
        else:
            here = np.int64(g.path[c[PATH] - 1])
            if g.at[here] == g.first[here + 1]:
                c[PATH] -= 1
                if c[PATH] > 0:
                    below = g.path[c[PATH] - 1]
                    g.low[below] = min(g.low[below], g.low[here])
                if g.low[here] == g.seen[here]:
                    bottom = c[STACK] - 1
                    while g.stack[bottom] != here:
                        bottom -= 1
                    _close(g, process_of, everyone, bottom)
                continue
            new = np.int64(g.to[g.at[here]])
            g.at[here] += 1
            if g.seen[new] != 0:
                if g.component[new] == 0:
                    g.low[here] = min(g.low[here], g.seen[new])
                continue
        c[CLOCK] += 1
        g.seen[new] = g.low[new] = c[CLOCK]
        g.at[new] = g.first[new]
        g.stack[c[STACK]] = g.path[c[PATH]] = new
        c[STACK] += 1
        c[PATH] += 1
    return MORE


@jit
def way(g: Graph, process_of: Any, start: Any, steps: Any, rests: Any, home: Any, turn: Any) -> Any:
    """Search the fair component, breadth first from `start`, for a step of one of the processes `steps`, a state where
    one of `rests` cannot step, or the state `home`. Returns the state, and the edge or -1.

    turn: 1, 2, .. in successive calls; low and path record the way there (Tarjan's search no longer needs them).
    """
    mine = g.counters[FAIR]
    g.stack[0], g.seen[start] = start, turn
    head, tail = 0, 1
    while head < tail:
        here = np.int64(g.stack[head])
        head += 1
        if here == home or ~g.able[here] & rests != np.uint64(0):
            return here, np.int64(-1)
        for edge in range(g.first[here], g.first[here + 1]):
            to = np.int64(g.to[edge])
            if g.component[to] == mine:
                if np.uint64(1) << np.uint64(process_of[g.step[edge]]) & steps != np.uint64(0):
                    return here, edge
                if g.seen[to] != turn:
                    g.seen[to], g.low[to], g.path[to] = turn, here, g.step[edge]
                    g.stack[tail] = to
                    tail += 1
    return np.int64(-1), np.int64(-1)
