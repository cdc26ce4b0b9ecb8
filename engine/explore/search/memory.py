"""The memory of a search: the states found, each once, and how each was reached.

A state is a row of 64-bit words. All of them are compared, so two states are never confused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.explore.layout import WORD
from engine.explore.search.calls import call_judge, prefetch
from engine.explore.search.native import ENDED, FAILED, FAULT, FINAL, OUTSIDE, REPORTED, STOPPED, TAIL, WRONG
from engine.invariants import INVARIANTS, WITNESSES
from engine.world.jit import inlined, jit

(FOUND, NEXT, EDGES, DEADLOCKS, ASSERTS, OUTSIDES, FAULTS, FINALS, FINALS_BROKEN) = range(9)
(LAYER_END, DEPTH, ERROR_LENGTH, ERROR_STATE, ERROR_STEP, ERROR_KIND, STACK, MISFIT, REDUCED) = range(9, 18)
COUNTERS = 18
"""Indices into the counters. FOUND: number of states; NEXT: the one to expand; LAYER_END: first of the next depth."""
NO_ERROR, DEADLOCK, ASSERTION, RANGE, NO_VALUE, BROKEN_FINAL, BROKEN_INVARIANT = range(7)
"""Kinds of errors; BROKEN_INVARIANT + n is invariant n of a world."""
N_INVARIANTS = len(INVARIANTS)
SEEN = N_INVARIANTS + len(WITNESSES)
assert max(N_INVARIANTS, len(WITNESSES)) <= WORD, "invariants and witnesses must each fit the bits of one word"
STEP_MASK = (1 << 32) - 1
AHEAD = 16
"""States expanded or placed in one batch where possible, so that their memory loads overlap."""


class Memory(NamedTuple):
    """The states found. states: (capacity, width) words; parent, via: (capacity,) the state and step that found each;
    marks: (capacity,) MARK_ flags; slots: (2^k,) hash table of 1 + number of a state, 0 for none; stack: (capacity,)
    states still to expand in a depth-first search; out: successors of up to len(fan) states, width + TAIL words each;
    fan: how many successors each of these has; last: (1,) the state that the last step led to, -1 if it led to none;
    wrong: (1,) where judge() stores the invariants that do not hold in an end state; seen: (SEEN, 4) for each
    invariant, then for each witness: how often it was met, and length, state and step of the shortest path."""

    states: NDArray[np.uint64]
    parent: NDArray[np.uint32]
    via: NDArray[np.uint32]
    marks: NDArray[np.uint8]
    slots: NDArray[np.uint32]
    stack: NDArray[np.uint32]
    out: NDArray[np.uint64]
    fan: NDArray[np.int64]
    counters: NDArray[np.int64]
    last: NDArray[np.int64]
    wrong: NDArray[np.uint64]
    seen: NDArray[np.int64]


MARK_ENDED, MARK_DEADLOCK, MARK_BROKEN = 1, 2, 4


@inlined
def hashed(words: Any, at: Any, width: Any) -> Any:
    """Return the hash of `width` words of a flat array, from `at`."""
    h = np.uint64(0x9E3779B97F4A7C15)
    for i in range(width):
        h = (h ^ words[at + i]) * np.uint64(0xFF51AFD7ED558CCD)
        h ^= h >> np.uint64(32)
    h *= np.uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> np.uint64(29))


@inlined
def place(memory: Memory, flat: Any, words: Any, at: Any) -> Any:
    """Insert a state if it is new. Returns its number, and whether it is new; flat: all states as words."""
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
            return number, False
        slot = (slot + np.uint64(1)) & mask
    number = memory.counters[FOUND]
    memory.slots[slot] = number + 1
    for i in range(width):
        flat[number * width + i] = words[at + i]
    memory.counters[FOUND] += 1
    return number, True


@inlined
def _near(memory: Memory, words: Any, at: Any) -> Any:
    """Return the slot at which the lookup of a state begins."""
    return np.int64(hashed(words, at, memory.states.shape[1]) & np.uint64(len(memory.slots) - 1))


@inlined
def fetch_slots(memory: Memory, words: Any, first: Any, end: Any, step: Any) -> None:
    """Prefetch the slots of the states at words first, first + step .. before end. The table is larger than any cache,
    and without prefetch each load would wait for the one before."""
    base = memory.slots.ctypes.data
    for at in range(first, end, step):
        prefetch(base + _near(memory, words, at) * 4)


@inlined
def fetch_states(memory: Memory, words: Any, first: Any, end: Any, step: Any, base: Any) -> None:
    """Prefetch the states in those slots; base: the address of all states."""
    width = memory.states.shape[1]
    for at in range(first, end, step):
        number = np.int64(memory.slots[_near(memory, words, at)])
        if number != 0:
            prefetch(base + (number - 1) * width * 8)


@jit
def rehash(memory: Memory, flat: Any) -> None:
    """Fill an empty table with all states found."""
    width = memory.states.shape[1]
    mask = np.uint64(len(memory.slots) - 1)
    found = memory.counters[FOUND]
    for number in range(found):
        if number % AHEAD == 0:
            fetch_slots(memory, flat, number * width, min(number + AHEAD, found) * width, width)
        slot = hashed(flat, number * width, width) & mask
        while memory.slots[slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        memory.slots[slot] = number + 1


@jit
def error(memory: Memory, length: Any, state: Any, step: Any, kind: Any) -> None:
    """Record an error if it is the shortest so far."""
    c = memory.counters
    if c[ERROR_KIND] == NO_ERROR or length < c[ERROR_LENGTH]:
        c[ERROR_LENGTH], c[ERROR_STATE], c[ERROR_STEP], c[ERROR_KIND] = length, state, step, kind


@jit
def note(memory: Memory, first: Any, bits: Any, length: Any, state: Any, step: Any) -> None:
    """Count the invariants broken (first: 0) or the witnesses met (first: N_INVARIANTS) by a step, or in an end state
    (step -1); bits: an unsigned word."""
    number = first
    while bits != 0:
        if bits & np.uint64(1):
            seen = memory.seen
            if seen[number, 0] == 0 or length < seen[number, 1]:
                seen[number, 1], seen[number, 2], seen[number, 3] = length, state, step
            seen[number, 0] += 1
            if number < N_INVARIANTS:
                error(memory, length, state, step, BROKEN_INVARIANT + number)
        bits >>= np.uint64(1)
        number += 1


@inlined
def tell(memory: Memory, at: Any, depth: Any, state: Any) -> Any:
    """Count a step out of a state, and its errors; at: start of its tail in `out`. Returns False if the step faults and
    has no successor, else True."""
    c = memory.counters
    c[EDGES] += 1
    tail = np.int64(memory.out[at])
    step = tail & STEP_MASK
    if tail & (FAILED | OUTSIDE | FAULT):
        if tail & FAILED:
            c[ASSERTS] += 1
            error(memory, depth + 1, state, step, ASSERTION)
        if tail & OUTSIDE:
            c[OUTSIDES] += 1
            error(memory, depth + 1, state, step, RANGE)
        if tail & FAULT:
            c[FAULTS] += 1
            error(memory, depth + 1, state, step, NO_VALUE)
            return False
    if tail & REPORTED:
        note(memory, 0, memory.out[at + 1], depth + 1, state, step)
        note(memory, N_INVARIANTS, memory.out[at + 2], depth + 1, state, step)
    return True


@inlined
def take(memory: Memory, flat: Any, state: Any, row: Any, n: Any, depth: Any, deep: Any) -> Any:
    """Count and insert the n successors of a state, in `out` from row `row`. Returns how many of them are new."""
    c, out = memory.counters, memory.out
    width = memory.states.shape[1]
    fresh = 0
    for i in range(row, row + n):
        at = i * (width + TAIL)
        memory.last[0] = -1
        if not tell(memory, at + width, depth, state):
            continue
        number, new = place(memory, flat, out, at)
        memory.last[0] = number
        if new:
            fresh += 1
            step = np.int64(out[at + width]) & STEP_MASK
            memory.parent[number], memory.via[number], memory.marks[number] = state, step, 0
            if deep:
                memory.stack[c[STACK]] = number
                c[STACK] += 1
    return fresh


@inlined
def judged(memory: Memory, judge: Any, base: Any, state: Any) -> Any:
    """Return the flags that judge() gives a state; base: the address of all states."""
    return call_judge(judge, base + state * memory.states.shape[1] * 8, memory.wrong.ctypes.data)


@jit
def judge_end(memory: Memory, flags: Any, state: Any, depth: Any) -> Any:
    """Count a state without successors, by the flags that judge() has just returned, and return its mark.

    The mark says whether all processes have ended or they wait for each other; 0 if the search stopped there because
    the path broke an invariant.
    """
    c = memory.counters
    if flags & STOPPED:
        return 0
    if flags & WRONG:
        note(memory, 0, memory.wrong[0], depth, state, -1)
    if not flags & ENDED:
        c[DEADLOCKS] += 1
        error(memory, depth, state, -1, DEADLOCK)
        return MARK_DEADLOCK
    c[FINALS] += 1
    if flags & FINAL:
        return MARK_ENDED
    c[FINALS_BROKEN] += 1
    error(memory, depth, state, -1, BROKEN_FINAL)
    return MARK_ENDED | MARK_BROKEN
