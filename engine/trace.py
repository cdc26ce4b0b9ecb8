"""record(): the one place where an event is made."""

from __future__ import annotations

from engine.jit import inlined
from engine.state import EVENTS, NOW, World


@inlined
def record(w: World, kind: int, task: int, page: int, a: int, b: int) -> None:
    """Append one event at the time now, on the task's CPU. The scheduler keeps room for it (state.SLACK)."""
    at = w.clock[EVENTS]
    trace = w.trace
    trace.time[at] = w.clock[NOW]
    trace.kind[at] = kind
    trace.cpu[at] = w.tasks.cpu[task]
    trace.task[at] = task
    trace.page[at] = page
    trace.a[at] = a
    trace.b[at] = b
    w.clock[EVENTS] += 1
