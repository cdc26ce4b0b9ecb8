"""Hash compaction: a breadth-first search that stores a 64-bit hash of each state instead of the state.

Full states are kept for two layers only: the one being expanded, and the next. What stays of each state is 8 bytes in
a table that is at least 64 % full, the number of its parent state, and the step. Two states with the same hash count
as one, so the second, and any state reached only through it, may be missed: n states have n^2 / 2^65 such pairs in
expectation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.explore.search.calls import call_expand
from engine.explore.search.memory import (
    COUNTERS,
    DEPTH,
    FOUND,
    LAYER_END,
    MARK_ENDED,
    MISFIT,
    NEXT,
    REDUCED,
    SEEN,
    STEP_MASK,
    Memory,
    hashed,
    judge_end,
    judged,
    tell,
)
from engine.explore.search.native import TAIL
from engine.explore.search.search import DONE, FULL, MORE, WIDER, Reduction, alone
from engine.world.jit import jit

LAYER = 4
"""A further reason to stop, beside those of search.py: the layer is done, and the next one takes its place."""
FULL_TENTHS = 8
"""The table of hashes grows by a quarter when this many tenths of it are in use."""
ENDS = 1 << 12
HASH_BITS = 64


class Layers(NamedTuple):
    """Complements a Memory whose states are the layer being expanded and whose slots are the hashes (0: free).

    ahead: (rows, width) the next layer; ends: (ENDS, width) end states not yet counted; counters: (2,) the number of
    the layer's first state, and the number of `ends`.
    """

    ahead: NDArray[np.uint64]
    ends: NDArray[np.uint64]
    counters: NDArray[np.int64]


@jit
def _key(words: Any, at: Any, width: Any) -> Any:
    key = hashed(words, at, width)
    return key if key != np.uint64(0) else np.uint64(1)


@jit
def _slot(slots: Any, key: Any) -> Any:
    """Return the slot of a key, or the free slot where it belongs."""
    slot = ((key >> np.uint64(32)) * np.uint64(len(slots))) >> np.uint64(32)
    while slots[slot] != np.uint64(0) and slots[slot] != key:
        slot += np.uint64(1)
        if slot == np.uint64(len(slots)):
            slot = np.uint64(0)
    return slot


@jit
def _enter(slots: Any, words: Any, width: Any) -> None:
    """Insert the first state into an empty table."""
    key = _key(words, 0, width)
    slots[_slot(slots, key)] = key


@jit
def refill(slots: Any, old: Any) -> None:
    """Insert all keys of a table into an empty one."""
    for i in range(len(old)):
        if old[i] != np.uint64(0):
            slots[_slot(slots, old[i])] = old[i]


@jit
def _successors(memory: Memory, flat: Any, reduction: Reduction, expand: Any, row: Any, base: Any, out: Any) -> Any:
    """Write the successors of a state that must be explored, as in search.py."""
    width = memory.states.shape[1]
    for process in range(len(reduction.place)):
        if alone(reduction, flat, row * width, process):
            n = call_expand(expand, base + row * width * 8, out, process)
            new = False
            for i in range(n):
                new |= memory.slots[_slot(memory.slots, _key(memory.out, i * (width + TAIL), width))] == np.uint64(0)
            if n < 0 or new:
                memory.counters[REDUCED] += n > 0
                return n
    return call_expand(expand, base + row * width * 8, out, -1)


@jit
def search_compact(
    memory: Memory,
    flat: Any,
    layers: Layers,
    ahead: Any,
    reduction: Reduction,
    expand: Any,
    judge: Any,
    base: Any,
    out: Any,
    budget: Any,
) -> Any:
    """Expand up to `budget` states; returns as search() does, or LAYER. flat, ahead: both layers as words."""
    c, at_layer, width = memory.counters, layers.counters, memory.states.shape[1]
    most = len(memory.out) // (width + TAIL)
    for _ in range(budget):
        if c[NEXT] == c[FOUND]:
            return DONE
        if c[NEXT] == c[LAYER_END]:
            return LAYER
        full = (c[FOUND] + most) * 10 > len(memory.slots) * FULL_TENTHS or at_layer[1] == len(layers.ends)
        if full or c[FOUND] + most > len(memory.parent) or c[FOUND] - c[LAYER_END] + most > len(layers.ahead):
            return FULL
        number, row = c[NEXT], c[NEXT] - at_layer[0]
        n = _successors(memory, flat, reduction, expand, row, base, out)
        if n < 0:
            c[MISFIT] = -1 - n
            return WIDER
        c[NEXT] += 1
        if n == 0:
            mark = judge_end(memory, judged(memory, judge, base, row), number, c[DEPTH])
            if mark & MARK_ENDED:
                for word in range(width):
                    layers.ends[at_layer[1], word] = memory.states[row, word]
                at_layer[1] += 1
        for i in range(n):
            at = i * (width + TAIL)
            if not tell(memory, at + width, c[DEPTH], number):
                continue
            key = _key(memory.out, at, width)
            slot = _slot(memory.slots, key)
            if memory.slots[slot] == np.uint64(0):
                memory.slots[slot] = key
                to = (c[FOUND] - c[LAYER_END]) * width
                for word in range(width):
                    ahead[to + word] = memory.out[at + word]
                memory.parent[c[FOUND]], memory.via[c[FOUND]] = number, np.int64(memory.out[at + width]) & STEP_MASK
                c[FOUND] += 1
    return MORE


# --- room ----------------------------------------------------------------------------------------------------------


def begun(start: Any, moves: int) -> tuple[Memory, Layers]:
    """Return the memory of a search that has found only its first state; start: its words (width,)."""
    width, most = len(start), moves + 1
    memory = Memory(
        states=np.zeros((2 * most, width), np.uint64),
        parent=np.zeros(4 * most, np.uint32),
        via=np.zeros(4 * most, np.uint16 if moves < 1 << 16 else np.uint32),
        marks=np.zeros(1, np.uint8),
        slots=np.zeros(8 * most, np.uint64),
        stack=np.zeros(1, np.uint32),
        out=np.zeros(most * (width + TAIL), np.uint64),
        fan=np.zeros(1, np.int64),
        counters=np.zeros(COUNTERS, np.int64),
        last=np.zeros(1, np.int64),
        wrong=np.zeros(1, np.uint64),
        seen=np.zeros((SEEN, 4), np.int64),
    )
    memory.states[0] = start
    memory.counters[[FOUND, LAYER_END]] = 1
    _enter(memory.slots, memory.states.reshape(-1), width)
    return memory, Layers(np.zeros_like(memory.states), np.zeros((ENDS, width), np.uint64), np.zeros(2, np.int64))


def turned(memory: Memory, layers: Layers) -> tuple[Memory, Layers]:
    """Return both with the next layer in place of the finished one."""
    c = memory.counters
    layers.counters[0] = c[LAYER_END]
    c[DEPTH] += 1
    c[LAYER_END] = c[FOUND]
    return memory._replace(states=layers.ahead), layers._replace(ahead=memory.states)


def grown(memory: Memory, layers: Layers) -> tuple[Memory, Layers]:
    """Return both with more room where it runs short."""
    found, most = int(memory.counters[FOUND]), len(memory.out) // (memory.states.shape[1] + TAIL)
    if (found + most) * 10 > len(memory.slots) * FULL_TENTHS:
        slots = np.zeros(len(memory.slots) * 5 // 4 + 2 * most, np.uint64)
        refill(slots, memory.slots)
        memory = memory._replace(slots=slots)
    if found + most > len(memory.parent):
        more = len(memory.parent) // 16 + 4 * most
        memory = memory._replace(
            parent=np.concatenate([memory.parent, np.zeros(more, np.uint32)]),
            via=np.concatenate([memory.via, np.zeros(more, memory.via.dtype)]),
        )
    if found - memory.counters[LAYER_END] + most > len(layers.ahead):
        more = len(layers.ahead) // 2 + most
        layers = layers._replace(
            ahead=np.concatenate([layers.ahead, np.zeros((more, layers.ahead.shape[1]), np.uint64)])
        )
    return memory, layers


def miss_probability(states: int) -> float:
    """Return the expected number of pairs of states with equal hashes, at most 1: bounds the chance of a collision."""
    return min(1.0, states * states / 2.0 ** (HASH_BITS + 1))
