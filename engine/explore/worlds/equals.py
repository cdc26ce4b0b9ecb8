"""Equal tasks: those of a group run the same program, so states that differ only in their ids count as one state.

arrange() sorts the tasks of each group by a key independent of ids. Any order is correct, because every reference to a
task is renumbered (columns.TASK_REFERENCES); this one maps nearly all equivalent states to the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.designs import DESIGNS
from engine.explore.tables.table import Values
from engine.explore.worlds.columns import TASK_REFERENCES, TASK_ROWS, StateColumn
from engine.world.jit import inlined, jit
from engine.world.state import NONE, World


@inlined
def _mixed(key: Any, value: Any) -> Any:
    key = (key ^ np.int64(value)) * np.int64(-0x61C8864680B583EB)
    return key ^ ((key >> np.int64(29)) & np.int64((1 << 35) - 1))


@jit
def _key(w: World, task: int) -> Any:
    """Return the sort key of a task: a hash of its state, independent of its id."""
    t, e = w.tasks, w.entries
    key = np.int64(t.step[task]) | np.int64(t.depth[task]) << np.int64(8)
    for depth in range(t.depth[task]):
        key = _mixed(key, _frame(w, depth * w.rules.n_tasks + task))
    key = _mixed(key, np.int64(t.at[task]) | np.int64(t.rounds[task]) << np.int64(16))
    key = _mixed(key, np.int64(t.page[task]) | np.int64(t.bit[task]) << np.int64(33) | np.int64(t.state[task]) << 40)
    key = _mixed(
        key,
        np.int64(t.state_set[task])
        | np.int64(t.unfairness[task]) << 8
        | (np.int64(t.holds[task]) | np.int64(t.argument[task]) << 8) << 24,
    )
    key = _mixed(key, np.int64(t.second[task]))
    key = _mixed(key, np.int64(t.walk_list[task]) | np.int64(t.matched[task]) << 33 | np.int64(t.other_bit[task]) << 40)
    key = _mixed(_mixed(key, t.seen[task]), t.made[task])
    key = _mixed(key, _position(w, t.cursor[task]))
    key = _mixed(key, np.int64(e.list[task]) | np.int64(e.bit[task]) << 33 | np.int64(e.flags[task]) << 40)
    return _mixed(key, _position(w, task))


@jit
def _frame(w: World, row: int) -> Any:
    """Return a hash of a frame."""
    f = w.frames
    key = np.int64(f.step[row]) | np.int64(f.kept[row]) << np.int64(8) | np.int64(f.argument[row]) << np.int64(9)
    return _mixed(key, np.int64(f.page[row]) | np.int64(f.second[row]) << np.int64(32))


@jit
def _position(w: World, entry: int) -> Any:
    """Return the number of entries before this one in its queue, -1 for no entry."""
    n = -1
    while entry != NONE and n < w.rules.n_tasks:
        entry = w.entries.prev[entry]
        n += 1
    return n


@jit
def arrange(w: World) -> None:
    """Write the order into machine.woken: rows 0..n-1 the i-th task in order, rows n..2n-1 each task's place in it."""
    n = w.rules.n_tasks
    order, key = w.machine.woken, w.machine.woken_delay
    for task in range(n):
        group, mine = w.program.first[w.tasks.at[task]], _key(w, task)
        key[task] = mine
        place = task
        while place > 0:
            before = order[place - 1]
            if w.program.first[w.tasks.at[before]] != group or key[before] <= mine:
                break
            order[place] = before
            place -= 1
        order[place] = task
    for place in range(n):
        order[n + order[place]] = place


def groups(w: World) -> tuple[tuple[int, ...], ...]:
    """Return the groups of two or more equal tasks; () if the wait design stores task ids in words."""
    if DESIGNS[w.designs["wait"]].names_tasks:
        return ()
    found: dict[tuple[int, int], list[int]] = {}
    for task in range(w.rules.n_tasks):
        found.setdefault((w.program.first[w.tasks.at[task]], w.tasks.modified[task]), []).append(task)
    return tuple(tuple(members) for members in found.values() if len(members) > 1)


def renamed(columns: Sequence[StateColumn], values: Values, order: Sequence[int]) -> Values:
    """Return the state with tasks renumbered: task order[i] becomes task i."""
    place = {task: at for at, task in enumerate(order)}
    reordered = []
    for column, old in zip(columns, values.variables, strict=True):
        rows = old
        if column.group in TASK_ROWS:
            n = len(order)
            rows = tuple(old[row - row % n + order[row % n]] for row in range(len(old)))
        reordered.append(tuple(place.get(one, one) for one in rows) if column.title in TASK_REFERENCES else rows)
    return Values(tuple(reordered), ())
