"""A task's program between kernel paths: think, pick a page, hold, go on to the next operation."""

from __future__ import annotations

from engine.events import Kind
from engine.mm.frames import ret
from engine.mm.steps import BLOCKED, OFF_CPU
from engine.world.jit import inlined
from engine.world.rng import alias_pick, exponential
from engine.world.state import FINISHED, NONE, World
from engine.world.trace import record

TASK_FINISHED = int(Kind.task_finished)


@inlined
def next_op(w: World, task: int) -> int:
    """Begin the program again, or finish after its last round. Next: its first operation's first step."""
    rounds = w.tasks.rounds[task] - 1
    if rounds >= 0:
        w.tasks.rounds[task] = rounds
        if rounds == 0:
            w.tasks.state[task] = FINISHED
            record(w, TASK_FINISHED, task, NONE, 0, 0)
            return BLOCKED
    at = w.program.first[w.tasks.at[task]]
    w.tasks.at[task] = at
    w.tasks.step[task] = w.program.step[at]
    return 0


@inlined
def think(w: World, task: int) -> int:
    """Spend an exponentially distributed time off the CPU. Next: ret."""
    mean = w.program.arg[w.tasks.at[task]]
    ret(w, task)
    away: int = exponential(w.tasks.random, task, w.machine.exponential, mean)
    return away + OFF_CPU


@inlined
def hold(w: World, task: int) -> int:
    """Spend an exponentially distributed time on the CPU. Next: ret."""
    mean = w.program.arg[w.tasks.at[task]]
    ret(w, task)
    busy: int = exponential(w.tasks.random, task, w.machine.exponential, mean)
    return busy


@inlined
def pick(w: World, task: int) -> int:
    """Choose the page to work on. Next: ret."""
    row = w.program.arg[w.tasks.at[task]]
    p = w.picks
    page = alias_pick(w.tasks.random, task, p.threshold, p.alias, p.offset[row], p.count[row])
    w.tasks.page[task] = p.first[row] + page
    ret(w, task)
    return 0
