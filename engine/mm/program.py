"""A task's program: what it does between kernel paths. Think, choose a page, hold, and go on to the next operation."""

from __future__ import annotations

from engine.events import Kind
from engine.jit import inlined
from engine.mm.steps import BLOCKED, NEXT_OP, OFF_CPU
from engine.rng import alias_pick, exponential
from engine.state import FINISHED, NONE, World
from engine.trace import record

TASK_FINISHED = int(Kind.task_finished)


@inlined
def back(w: World, task: int) -> None:
    """End of a path: go on with the step that the caller left in `then`; between two operations, begin the next one."""
    then = w.tasks.then[task]
    at = w.tasks.at[task]
    if then != NEXT_OP or w.program.last[at]:
        w.tasks.step[task] = then
    else:
        w.tasks.at[task] = at + 1
        w.tasks.step[task] = w.program.step[at + 1]


@inlined
def next_op(w: World, task: int) -> int:
    """Go round the program: begin it anew, or finish. Next: its first operation's first step."""
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
    """Be elsewhere for an exponential while. Next: back."""
    mean = w.program.arg[w.tasks.at[task]]
    back(w, task)
    away: int = exponential(w.tasks.random, task, w.machine.exponential, mean)
    return away + OFF_CPU


@inlined
def hold(w: World, task: int) -> int:
    """Compute for an exponential while, on the CPU. Next: back."""
    mean = w.program.arg[w.tasks.at[task]]
    back(w, task)
    busy: int = exponential(w.tasks.random, task, w.machine.exponential, mean)
    return busy


@inlined
def pick(w: World, task: int) -> int:
    """Choose the page to work on. Next: back."""
    row = w.program.arg[w.tasks.at[task]]
    p = w.picks
    page = alias_pick(w.tasks.random, task, p.threshold, p.alias, p.offset[row], p.count[row])
    w.tasks.page[task] = p.first[row] + page
    back(w, task)
    return 0


@inlined
def stop(w: World, task: int) -> int:
    """End of what a replay asked this task to do."""
    return BLOCKED
