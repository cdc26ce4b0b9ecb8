"""record(): the one place where an event is made; broken() and witness(): where a step says what it has seen."""

from __future__ import annotations

import numpy as np

from engine.events import Kind
from engine.jit import inlined, jit
from engine.state import BROKEN, CAPACITY, EVENTS, NOW, OVERFLOW, SEEN, World

INVARIANT_BROKEN = int(Kind.invariant_broken)


@inlined
def record(w: World, kind: int, task: int, page: int, a: int, b: int) -> None:
    """Append one event at the time now, on the task's CPU. The scheduler keeps room for it (state.SLACK)."""
    at = w.clock[EVENTS]
    if at >= CAPACITY:  # nothing is written beyond the arrays; cut_batch() refuses the batch
        w.clock[OVERFLOW] = kind
        return
    trace = w.trace
    trace.time[at] = w.clock[NOW]
    trace.kind[at] = kind
    trace.cpu[at] = w.tasks.cpu[task]
    trace.task[at] = task
    trace.page[at] = page
    trace.a[at] = a
    trace.b[at] = b
    w.clock[EVENTS] += 1


@jit
def broken(w: World, task: int, page: int, invariant: int) -> None:
    """Say that an invariant (its number in engine.invariants) is broken by this step of the task."""
    if not w.clock[BROKEN] >> invariant & 1:
        w.clock[BROKEN] |= int(np.int64(1) << np.int64(invariant))
        record(w, INVARIANT_BROKEN, task, page, invariant, 0)


@inlined
def witness(w: World, number: int) -> None:
    """Note that what a litmus test looks for was seen in this step (a number of engine.invariants.WITNESSES)."""
    w.clock[SEEN] |= int(np.int64(1) << np.int64(number))
