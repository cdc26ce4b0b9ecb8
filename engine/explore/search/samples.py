"""Sample schedules: random walks, and PCT (Burckhardt et al. 2010), which finds bugs with a guaranteed probability.

PCT gives each process a priority and runs the enabled process with the highest; at d - 1 steps drawn in advance, the
running process drops below all others. A walk finds a bug that needs d orderings among n processes in k steps with
probability at least 1 / (n k^(d-1)).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.explore.search.calls import call_expand
from engine.explore.search.memory import ERROR_KIND, FOUND, MISFIT, STEP_MASK, Memory, judge_end, judged, take
from engine.explore.search.native import TAIL
from engine.explore.search.search import DONE, FULL, MORE, WIDER
from engine.world.jit import jit

WALK, STEP, STATE, LONGEST = range(4)
"""Indices into Samples.counters: walks done, steps of the current walk, its state, steps of the longest walk."""


class Samples(NamedTuple):
    """How to walk. pct: bug depth, 0 for plain random walks; priority: (processes,) the highest runs; falls: (d - 1,)
    the steps at which the running process's priority drops; process_of: (steps,); seed: (1,); counters: (4,)."""

    walks: int
    longest: int
    pct: int
    priority: NDArray[np.int64]
    falls: NDArray[np.int64]
    process_of: NDArray[np.int64]
    seed: NDArray[np.uint64]
    counters: NDArray[np.int64]


@jit
def _draw(samples: Samples, below: Any) -> Any:
    """Return a random number in [0, below) (splitmix64, like the engine's own generator)."""
    samples.seed[0] += np.uint64(0x9E3779B97F4A7C15)
    z = samples.seed[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) % np.uint64(below))


@jit
def _begin(samples: Samples) -> None:
    """Draw the priorities of a new walk and the steps at which they drop, within the longest walk so far."""
    c, priority = samples.counters, samples.priority
    c[STEP] = c[STATE] = 0
    for i in range(len(priority)):
        priority[i] = len(samples.falls) + 1 + i
    for i in range(len(priority) - 1, 0, -1):
        other = _draw(samples, i + 1)
        priority[i], priority[other] = priority[other], priority[i]
    for i in range(len(samples.falls)):
        samples.falls[i] = 1 + _draw(samples, max(c[LONGEST], 1))


@jit
def _choose(memory: Memory, samples: Samples, n: Any) -> Any:
    """Return which of n successors the walk takes."""
    if not samples.pct:
        return _draw(samples, n)
    width = memory.states.shape[1]
    best, count = -1, 0
    for i in range(n):
        process = samples.process_of[np.int64(memory.out[i * (width + TAIL) + width]) & STEP_MASK]
        if best < 0 or samples.priority[process] > samples.priority[best]:
            best, count = process, 0
        count += process == best
    chosen = _draw(samples, count)
    for i in range(n):
        if samples.process_of[np.int64(memory.out[i * (width + TAIL) + width]) & STEP_MASK] == best:
            if chosen == 0:
                return i
            chosen -= 1
    return 0


@jit
def sample(
    memory: Memory, flat: Any, samples: Samples, expand: Any, judge: Any, base: Any, out: Any, budget: Any
) -> Any:
    """Walk up to `budget` steps; returns as search() does, and records states and errors like it."""
    c, s, width = memory.counters, samples.counters, memory.states.shape[1]
    for _ in range(budget):
        if s[WALK] == samples.walks:
            return DONE
        if c[FOUND] + 1 > len(memory.states) or (c[FOUND] + 1) * 2 > len(memory.slots):
            return FULL
        if s[STEP] == 0:
            _begin(samples)
        state = s[STATE]
        n = call_expand(expand, base + state * width * 8, out, -1)
        if n < 0:
            c[MISFIT] = -1 - n
            return WIDER
        if n == 0 and memory.marks[state] == 0:
            flags = judged(memory, judge, base, state)
            memory.marks[state] = judge_end(memory, flags, state, s[STEP])
        if n > 0:
            chosen = _choose(memory, samples, n)
            for word in range(width + TAIL):
                memory.out[word] = memory.out[chosen * (width + TAIL) + word]
            step = np.int64(memory.out[width])
            take(memory, flat, state, 0, 1, s[STEP], False)
            s[STATE] = memory.last[0]
            s[STEP] += 1
            s[LONGEST] = max(s[LONGEST], s[STEP])
            for i in range(len(samples.falls)):
                if samples.falls[i] == s[STEP]:
                    samples.priority[samples.process_of[step & STEP_MASK]] = i + 1
        if n == 0 or s[STEP] == samples.longest or s[STATE] < 0:
            s[WALK] += 1
            s[STEP] = 0
            if c[ERROR_KIND]:
                return DONE
    return MORE
