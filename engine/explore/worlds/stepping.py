"""One move of one task in a World, what it broke, and what is wrong where nobody can move.

The steps are the engine's own (engine.mm, engine.designs): the explorer adds the choice of who moves, and forgets what
no step will look at again.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from llvmlite import ir
from numba import cfunc, types
from numba.extending import intrinsic

from engine.explore.calls import call_judge
from engine.explore.memory import TOLD_INVARIANTS, TOLD_SHIFT
from engine.explore.native import ENDED, EVENTUALLY, FINAL, STOPPED
from engine.invariants import COUNTS, DEADLOCK, LEAK, LOST_WAKEUP, MAPPING_LOST, QUEUE_LENGTH
from engine.jit import INTERPRETED, OPTIONS, jit
from engine.mm.program import back
from engine.mm.steps import NEXT_OP, PICK, SPIN
from engine.schedule import step_once
from engine.state import ASLEEP, BROKEN, EVENTS, FINISHED, NONE, NOW, READY, SEEN, World
from engine.trace import broken
from engine.world_type import WorldType

_WORLD = WorldType()


@intrinsic  # type: ignore[untyped-decorator]
def world_at(typing_context: Any, address: Any) -> Any:
    """The World whose header begins at an address."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())

    return _WORLD(types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def store(typing_context: Any, address: Any, word: Any) -> Any:
    """Store a word at an address."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), code


KNOWN: WeakValueDictionary[int, World] = WeakValueDictionary()
"""Worlds by the address of their header: what interpreted code finds them by."""

if INTERPRETED:  # numba.extending has no plain form of these

    def world_at(address: int) -> World:
        """The World whose header begins at an address."""
        return KNOWN[int(address)]

    def store(address: int, word: int) -> None:
        """Store a word at an address."""
        ctypes.c_int64.from_address(int(address)).value = int(word)


@jit
def choices(w: World, task: int) -> Any:
    """Return how many moves the task's next step has: a pick as many as there are pages to pick."""
    if w.tasks.step[task] == PICK:
        return w.picks.count[w.program.arg[w.tasks.at[task]]]
    return 1


@jit
def tidy(w: World, task: int) -> None:
    """Between two operations: forget what the last one left in the task's row and in its wait entry."""
    t, e = w.tasks, w.entries
    t.bit[task] = 0
    t.cursor[task] = NONE
    t.walk_list[task] = NONE
    t.matched[task] = 0
    t.other_bit[task] = 0
    t.unfairness[task] = 0
    if e.list[task] == NONE:
        e.page[task] = NONE
        e.bit[task] = 0
        e.flags[task] = 0
        e.next[task] = NONE
        e.prev[task] = NONE


@jit
def make_move(w: World, task: int, choice: int) -> bool:
    """Make one move of a task that is READY; False: it finds a queue lock taken, and the world is to be restored."""
    at = w.tasks.at[task]
    w.clock[SEEN] = 0
    if w.tasks.step[task] == PICK:
        w.tasks.page[task] = w.picks.first[w.program.arg[at]] + choice
        back(w, task)
        w.clock[NOW] += 1
    elif step_once(w, task) == SPIN:
        return False
    if w.tasks.at[task] != at or w.tasks.step[task] == NEXT_OP:
        tidy(w, task)
    check(w, task)
    return True


@jit
def check(w: World, task: int) -> None:
    """Look at what no single step can see: queues and reference counts that do not fit."""
    e = w.entries
    for row in range(w.rules.n_tasks):
        list = e.list[row]
        if list != NONE:
            length = 0
            for other in range(w.rules.n_tasks):
                length += e.list[other] == list
            if w.lists.length[list] != length:
                broken(w, task, e.page[row], QUEUE_LENGTH)
    page = w.tasks.page[task]
    if page != NONE and w.pages.refcount[page] < 0:
        broken(w, task, page, COUNTS)


@jit
def at_end(w: World, pages: int, waits: int, references: int) -> Any:
    """Return the invariants that do not hold where no task can move, as bits; pages, waits: rows of those tables.

    references: the counts of all pages together when nobody holds one and no page is in a file.
    """
    told = 0
    ended = True
    for task in range(w.rules.n_tasks):
        if w.tasks.state[task] == FINISHED:
            continue
        ended = False
        lost = w.tasks.state[task] == ASLEEP and not w.pages.flags[w.tasks.page[task]] >> w.tasks.bit[task] & 1
        told |= 1 << (LOST_WAKEUP if lost else DEADLOCK)
    if told >> LOST_WAKEUP & 1:
        return 1 << LOST_WAKEUP
    if not ended:
        return told
    for task in range(w.rules.n_tasks):
        references += w.tasks.holds[task]
    for page in range(pages):
        file = w.pages.file[page]
        truth = 0 if file == NONE else w.files.address[file]
        if w.pages.mapping[page] != truth:
            told |= 1 << MAPPING_LOST
        references -= w.pages.refcount[page] - (file != NONE)
    for row in range(waits):
        if w.waits.page[row] != NONE:
            told |= 1 << LEAK
    if references != 0:
        told |= 1 << COUNTS
    return told


def _expand(
    header: Any, unpack: Any, pack: Any, width: Any, context: Any, state: Any, out: Any, only: Any
) -> Any:
    w = world_at(header)
    n = 0
    call_judge(unpack, state)
    if w.clock[BROKEN]:
        return 0
    n_tasks = w.rules.n_tasks
    first, last = (0, n_tasks) if only < 0 else (only, only + 1)
    for task in range(first, last):
        if w.tasks.state[task] != READY:
            continue
        for choice in range(choices(w, task)):
            w.clock[EVENTS] = 0
            number = task + choice * n_tasks
            if make_move(w, task, choice):
                if call_judge(pack, out + n * (width + 1) * 8):
                    return -1 - number
                told = w.clock[BROKEN] | (w.clock[SEEN] << TOLD_INVARIANTS)
                store(out + (n * (width + 1) + width) * 8, number | (told << TOLD_SHIFT))
                n += 1
            call_judge(unpack, state)
    return n


def _judge(header: Any, unpack: Any, pages: Any, waits: Any, references: Any, state: Any) -> Any:
    w = world_at(header)
    call_judge(unpack, state)
    if w.clock[BROKEN]:
        return STOPPED
    told = at_end(w, pages, waits, references)
    ended = told & ((1 << LOST_WAKEUP) | (1 << DEADLOCK)) == 0
    bits = (ENDED | EVENTUALLY if ended else 0) | (0 if ended and told else FINAL)
    return bits | (told << TOLD_SHIFT)


def _address(function: Callable[..., Any], arguments: int) -> tuple[int, Any]:
    """Return the address of a compiled function of so many words, and what keeps it alive."""
    if INTERPRETED:
        callback = ctypes.CFUNCTYPE(*[ctypes.c_int64] * (arguments + 1))(function)
        return ctypes.cast(callback, ctypes.c_void_p).value or 0, callback
    compiled = cfunc(types.int64(*[types.int64] * arguments), **OPTIONS)(function)
    return compiled.address, compiled


EXPAND, _keep_expand = _address(_expand, 8)
JUDGE, _keep_judge = _address(_judge, 6)
