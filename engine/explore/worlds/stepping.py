"""expand() and judge() for worlds: the moves possible in a state, and the verdict on a state without any."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from engine.explore.search.calls import call_packer, kept
from engine.explore.search.native import ENDED, EVENTUALLY, FINAL, REPORTED, STOPPED, TAIL, WRONG
from engine.explore.worlds.equals import arrange
from engine.invariants import DEADLOCK, LOST_WAKEUP
from engine.runs.schedule import at_end, choices, make_move
from engine.world.jit import INTERPRETED, callback
from engine.world.state import BROKEN, EVENTS, FINISHED, READY, SEEN, World
from engine.world.world_type import WorldType

_WORLD = WorldType()


@intrinsic  # type: ignore[untyped-decorator]
def world_at(typing_context: Any, address: Any) -> Any:
    """Return the World whose header is at an address."""

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
"""Address of a header -> its World, for interpreted code."""

if INTERPRETED:  # numba.extending has no plain form of these

    def world_at(address: int) -> World:
        """Return the World whose header is at an address."""
        return KNOWN[int(address)]

    def store(address: int, word: int) -> None:
        """Store a word at an address."""
        ctypes.c_int64.from_address(int(address)).value = int(word)


def _expand(
    header: Any, unpack: Any, pack: Any, width: Any, symmetry: Any, context: Any, state: Any, out: Any, only: Any
) -> Any:
    w = world_at(header)
    n = 0
    call_packer(unpack, state)
    if w.clock[BROKEN]:
        return 0
    n_tasks = w.rules.n_tasks
    first, last = (0, n_tasks) if only < 0 else (only, only + 1)
    for task in range(first, last):
        if w.tasks.state[task] != READY:
            continue
        for choice in range(choices(w, task)):
            w.clock[EVENTS] = 0
            w.tasks.in_pass[task] = 0  # not part of a state: a walk pauses after 65 entries, more than there are tasks
            number = task + choice * n_tasks
            if make_move(w, task, choice):
                if symmetry:
                    arrange(w)
                here = out + n * (width + TAIL) * 8
                if call_packer(pack, here):
                    return -1 - number
                tail = here + width * 8
                if w.clock[BROKEN] | w.clock[SEEN]:
                    number |= REPORTED
                    store(tail + 8, w.clock[BROKEN])
                    store(tail + 16, w.clock[SEEN])
                store(tail, number)
                n += 1
            call_packer(unpack, state)
    return n


def _judge(header: Any, unpack: Any, pages: Any, references: Any, state: Any, wrong: Any) -> Any:
    w = world_at(header)
    call_packer(unpack, state)
    if w.clock[BROKEN]:
        return STOPPED | EVENTUALLY  # `eventually` is not checked on a path that was cut off
    broken = at_end(w, pages, references)
    ended = broken & ((1 << LOST_WAKEUP) | (1 << DEADLOCK)) == 0
    kept = True
    for task in range(w.rules.n_tasks):  # a task that repeats for ever need not finish
        kept &= w.tasks.rounds[task] < 0 or w.tasks.state[task] == FINISHED
    bits = (ENDED if ended else 0) | (EVENTUALLY if kept else 0) | (0 if ended and broken else FINAL)
    if broken:
        store(wrong, broken)
        bits |= WRONG
    return bits


def _address(function: Callable[..., Any], arguments: int) -> tuple[int, Any]:
    """Return the address of a compiled function of `arguments` words, and the object that keeps it alive."""
    if INTERPRETED:
        plain = ctypes.CFUNCTYPE(*[ctypes.c_int64] * (arguments + 1))(kept(function))
        return ctypes.cast(plain, ctypes.c_void_p).value or 0, plain
    compiled = callback(function, types.int64(*[types.int64] * arguments))
    return compiled.address, compiled


EXPAND, _keep_expand = _address(_expand, 9)
JUDGE, _keep_judge = _address(_judge, 6)
