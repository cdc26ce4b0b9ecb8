"""Random walks through a table's states, to estimate the values that its variables take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import UserError
from engine.explore.layout import Layout, Spans, pack, start_of
from engine.explore.search.calls import call_expand
from engine.explore.search.native import FAULT, TAIL, Native
from engine.explore.tables.expressions import Tree, parts
from engine.explore.tables.table import Table
from engine.explore.tables.wording import BadTable
from engine.world.jit import jit

LOOK_STEPS = 20_000
SMALL = 1 << 10
"""Numbers in a table below this are assumed to be values of variables."""
GROWN_MIN = 512
"""A variable that is this far from its initial value and still moving away is assumed to be unbounded."""


@jit
def _walk(
    state: Any,
    start: Any,
    out: Any,
    expand: Any,
    at: Any,
    to: Any,
    steps: Any,
    seed: Any,
    places: Any,
    lows: Any,
    highs: Any,
) -> Any:
    """Walk at random, restarting at each end, and keep the minimum and maximum of each stored value.

    places: (values, 3) word, shift and mask of each. Returns the seed, and the step that did not fit or -1.
    """
    width = len(state)
    for _ in range(steps):
        for i in range(len(places)):
            value = np.int64((state[places[i, 0]] >> places[i, 1]) & places[i, 2])
            if highs[i] < 0:
                lows[i] = value
            lows[i], highs[i] = min(lows[i], value), max(highs[i], value)
        n = call_expand(expand, at, to, -1)
        if n < 0:
            return seed, -1 - n
        chosen = np.int64(-1)
        if n > 0:
            seed = seed * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
            chosen = np.int64((seed >> np.uint64(33)) % np.uint64(n))
        if chosen < 0 or out[chosen * (width + TAIL) + width] & np.uint64(FAULT):
            for i in range(width):
                state[i] = start[i]
        else:
            for i in range(width):
                state[i] = out[chosen * (width + TAIL) + i]
    return seed, -1


class Look(NamedTuple):
    """Values seen on a walk: each variable's span in its first half and in all of it, or the step that did not fit."""

    half: Spans
    whole: Spans
    misfit: int
    state: list[int]


def guessed(table: Table) -> Spans:
    """Return, for each variable, a span of the literal numbers that the table uses with it; usually it suffices."""
    seen = [list(variable.initial) for variable in table.variables]
    for step in table.steps:
        for effect in step.effects:
            if effect.variable >= 0:
                seen[effect.variable] += [effect.value[1]] if effect.value[0] == "num" else [0, 1]
    for tree in _trees(table):
        for part in parts(tree):
            if part[0] == "bin" and part[3][0] == "num" and part[2][0] in {"var", "elem"}:
                seen[table.variable(part[2][1])].append(part[3][1])
    spans = []
    for variable, values in zip(table.variables, seen, strict=True):
        low, high = min(values), max(values)
        if variable.low is not None and variable.high is not None and variable.high - variable.low < SMALL:
            low, high = min(low, variable.low), max(high, variable.high)
        near = [value for value in values if abs(value) < SMALL]
        spans.append((low, high) if high - low < SMALL else (min(near, default=0), max(near, default=1)))
        if not all(spans[-1][0] <= value <= spans[-1][1] for value in variable.initial):
            spans[-1] = low, high
    return spans


def _trees(table: Table) -> Iterator[Tree]:
    yield from (tree for tree in (table.final, table.eventually) if tree is not None)
    for step in table.steps:
        yield step.guard
        yield from (effect.value for effect in step.effects)


def look(table: Table, layout: Layout, native: Native) -> Look:
    """Walk at random through a table's states, and return the values seen."""
    start = np.array(pack(layout, start_of(table)), np.uint64)
    state, lows, highs = start.copy(), *(np.zeros(count_of(layout), np.int64) for _ in range(2))
    places = np.array(
        [(*field.place(i), field.mask) for field in layout.variables for i in range(field.size)], np.uint64
    )
    places = places.reshape(-1, 3)
    highs[:] = -1
    out = np.zeros((len(table.steps) + 1) * (layout.width + TAIL), np.uint64)
    halves: list[Spans] = []
    seed = np.uint64(1)
    for _ in range(2):
        where = (native.expand, state.ctypes.data, out.ctypes.data)
        next_seed, misfit = _walk(state, start, out, *where, LOOK_STEPS // 2, seed, places, lows, highs)
        seed = np.uint64(next_seed)
        if misfit >= 0:
            return Look([], [], int(misfit), state.tolist())
        halves.append(_spans(layout, lows, highs))
    return Look(halves[0], halves[1], -1, [])


def count_of(layout: Layout) -> int:
    """Return the number of values in a state, not counting the labels of the processes."""
    return sum(field.size for field in layout.variables)


def _spans(layout: Layout, lows: NDArray[np.int64], highs: NDArray[np.int64]) -> Spans:
    spans, at = [], 0
    for field in layout.variables:
        mine = slice(at, at + field.size)
        spans.append((int(lows[mine].min()) + field.low, int(highs[mine].max()) + field.low))
        at += field.size
    return spans


def refuse_unbounded(table: Table, seen: Look) -> None:
    """Raise BadTable if a variable without a range keeps moving away from its initial value."""
    for variable, (low, high), (lowest, highest) in zip(table.variables, seen.half, seen.whole, strict=True):
        if variable.low is not None:
            continue
        first = (min(variable.initial), max(variable.initial))
        if max(_grown(highest - first[1], high - first[1]), _grown(first[0] - lowest, first[0] - low)) > GROWN_MIN:
            raise unbounded(f"vars.{variable.name}", max(lowest, highest, key=abs))


def _grown(later: int, earlier: int) -> int:
    return later if later > earlier * 1.25 else 0


def unbounded(name: str, value: int) -> UserError:
    """Return the error for a variable that seems unbounded."""
    text = f"{name}: it reached {value} and keeps growing: bound it by a guard, wrap it with %, or give it a range"
    return BadTable(text, code="unbounded", field=name)
