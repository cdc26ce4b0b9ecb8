"""The search: expand states in the order in which they were found, or the newest first.

Compiled once for all tables, which differ only in the code at two addresses (native.py). Each call expands a limited
number of states, and returns to Python earlier if it needs more room or a wider field.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.explore.search.calls import call_expand
from engine.explore.search.memory import (
    DEPTH,
    FOUND,
    LAYER_END,
    MISFIT,
    NEXT,
    REDUCED,
    STACK,
    STEP_MASK,
    Memory,
    fetch_slots,
    fetch_states,
    hashed,
    judge_end,
    judged,
    take,
)
from engine.explore.search.native import TAIL
from engine.world.jit import inlined, jit

DONE, MORE, FULL, WIDER = range(4)
"""Why a call stopped: nothing is left; its budget is spent; no room; a value does not fit its field."""


class Reduction(NamedTuple):
    """What a label's steps read and write, and what the process may read and write from there on, as bits of variables:
    (processes, labels). place: (processes, 3) word, shift and mask of each process's label. Empty: no reduction."""

    reads: NDArray[np.uint64]
    writes: NDArray[np.uint64]
    later_reads: NDArray[np.uint64]
    later_writes: NDArray[np.uint64]
    place: NDArray[np.int64]


class Bound(NamedTuple):
    """A bound of preemptions: a separate word of each state holds the last process to run and how many are left."""

    enabled: bool
    word: int
    shift: np.uint64
    left_shift: np.uint64
    mask: np.uint64
    process_of: NDArray[np.int64]


@jit
def _label(reduction: Reduction, flat: Any, at: Any, process: Any) -> Any:
    """Return the label of a process in the state that begins at word `at`."""
    word, shift, mask = reduction.place[process]
    return np.int64((flat[at + word] >> np.uint64(shift)) & np.uint64(mask))


@jit
def alone(reduction: Reduction, flat: Any, at: Any, process: Any) -> Any:
    """Whether no step that another process may make from here on depends on this process's steps at its label."""
    r = reduction
    label = _label(r, flat, at, process)
    reads, writes = r.reads[process, label], r.writes[process, label]
    for other in range(len(r.place)):
        if other != process:
            there = _label(r, flat, at, other)
            if r.later_writes[other, there] & (reads | writes) or r.later_reads[other, there] & writes:
                return False
    return True


@jit
def _any_new(memory: Memory, flat: Any, n: Any) -> Any:
    """Whether any successor is new."""
    width = memory.states.shape[1]
    mask = np.uint64(len(memory.slots) - 1)
    for i in range(n):
        at = i * (width + TAIL)
        slot = hashed(memory.out, at, width) & mask
        known = False
        while memory.slots[slot] != 0 and not known:
            number = np.int64(memory.slots[slot]) - 1
            known = True
            for word in range(width):
                if flat[number * width + word] != memory.out[at + word]:
                    known = False
                    break
            slot = (slot + np.uint64(1)) & mask
        if not known:
            return True
    return False


@jit
def _successors(memory: Memory, flat: Any, reduction: Reduction, expand: Any, state: Any, base: Any, out: Any) -> Any:
    """Write the successors of a state that must be explored. Returns how many, or less than 0 (see expand)."""
    width = memory.states.shape[1]
    for process in range(len(reduction.place)):
        if alone(reduction, flat, state * width, process):
            n = call_expand(expand, base + state * width * 8, out, process)
            # A process that is blocked or leads only to known states is not explored alone: others would never run.
            if n < 0 or (n > 0 and _any_new(memory, flat, n)):
                memory.counters[REDUCED] += n > 0
                return n
    return call_expand(expand, base + state * width * 8, out, -1)


@inlined
def _within(memory: Memory, flat: Any, bound: Bound, state: Any, n: Any) -> Any:
    """Keep the successors within the bound of preemptions; store in each the process that ran and how many are left.

    A preemption is a step of another process while the last one to run is enabled. Returns how many are kept.
    """
    out, b = memory.out, bound
    width = memory.states.shape[1]
    last = np.int64((flat[state * width + b.word] >> b.shift) & b.mask) - 1
    left = np.int64((flat[state * width + b.word] >> b.left_shift) & b.mask)
    could = False
    for i in range(n):
        could |= b.process_of[np.int64(out[i * (width + TAIL) + width]) & STEP_MASK] == last
    kept = 0
    for i in range(n):
        process = b.process_of[np.int64(out[i * (width + TAIL) + width]) & STEP_MASK]
        cost = 1 if could and process != last else 0
        if cost > left:
            continue
        for word in range(width + TAIL):
            out[kept * (width + TAIL) + word] = out[i * (width + TAIL) + word]
        bound_word = np.uint64(process + 1) << b.shift | np.uint64(left - cost) << b.left_shift
        out[kept * (width + TAIL) + b.word] = bound_word
        kept += 1
    return kept


@inlined
def _together(memory: Memory, flat: Any, expand: Any, base: Any, out: Any, most: Any) -> Any:
    """Expand up to `most` of the next states into `out`, and prefetch the states that their successors will be compared
    with. Returns how many were expanded; the last one may not fit (see expand)."""
    c, width = memory.counters, memory.states.shape[1]
    n_states = min(len(memory.fan), most, c[FOUND] - c[NEXT])
    end = 0
    for i in range(n_states):
        n = call_expand(expand, base + (c[NEXT] + i) * width * 8, out + end * 8, -1)
        memory.fan[i] = n
        if n < 0:
            n_states = i + 1
            break
        fetch_slots(memory, memory.out, end, end + n * (width + TAIL), width + TAIL)
        end += n * (width + TAIL)
    fetch_states(memory, memory.out, 0, end, width + TAIL, base)
    return n_states


@jit
def search(
    memory: Memory,
    flat: Any,
    reduction: Reduction,
    bound: Bound,
    expand: Any,
    judge: Any,
    base: Any,
    out: Any,
    deep: Any,
    budget: Any,
) -> Any:
    """Expand up to `budget` states, breadth first or (deep) newest first; returns DONE, MORE, FULL or WIDER.

    expand, judge, base, out: addresses of the code, the states and the buffer for successors.
    """
    c = memory.counters
    width = memory.states.shape[1]
    most = len(memory.out) // (width + TAIL)
    plain = not deep and not bound.enabled and len(reduction.place) == 0
    ready = used = row = 0  # the batch: its states, those already taken, the next row of `out`
    for i in range(budget):
        if (c[STACK] == 0) if deep else (c[NEXT] == c[FOUND]):
            return DONE
        if c[FOUND] + most > len(memory.states) or (c[FOUND] + most) * 2 > len(memory.slots):
            return FULL
        state = np.int64(memory.stack[c[STACK] - 1]) if deep else c[NEXT]
        if not deep and state == c[LAYER_END]:
            c[DEPTH] += 1
            c[LAYER_END] = c[FOUND]
        if plain:
            if used == ready:
                ready, used, row = _together(memory, flat, expand, base, out, budget - i), 0, 0
            n = memory.fan[used]
            used += 1
        else:
            n = _successors(memory, flat, reduction, expand, state, base, out)
        if n < 0:
            c[MISFIT] = -1 - n
            return WIDER
        if deep:
            c[STACK] -= 1
        else:
            c[NEXT] += 1
        depth = c[DEPTH]
        if n == 0:
            memory.marks[state] = judge_end(memory, judged(memory, judge, base, state), state, depth)
        elif bound.enabled:
            n = _within(memory, flat, bound, state, n)
        take(memory, flat, state, row, n, depth, deep)
        if plain:
            row += n
    return MORE
