"""The third scheduler: a schedule, one task a step, decides who is next. Litmus tests are written with it, and what an
explorer finds is played by it. Time counts steps.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import AskedWrongly
from engine.events import Batch
from engine.jit import jit
from engine.mm.steps import SPIN, STEPS
from engine.play import cut_batch
from engine.state import CAPACITY, EVENTS, NOW, READY, SLACK, WOKEN, World
from engine.timed import step


@jit
def step_once(w: World, task: int) -> int:
    """Run one step of the task; return its cost, BLOCKED or SPIN. Whom it wakes is ready at once."""
    cost: int = step(w, task)
    w.clock[WOKEN] = 0
    w.clock[NOW] += 1
    return cost


def enabled(w: World, task: int) -> bool:
    """True if the task can take a step: it is awake and has not finished. (It may still find a lock taken: SPIN.)"""
    return w.tasks.state[task] == READY


def step_name(w: World, task: int) -> str:
    """Return the name of the task's next step."""
    return STEPS[w.tasks.step[task]][0]


def play_schedule(w: World, schedule: Iterable[int]) -> Batch:
    """Take one step of each named task in turn; return the events. Raises AskedWrongly if a task cannot move."""
    for place, task in enumerate(schedule):
        if not enabled(w, task):
            raise AskedWrongly(f"step {place} of the schedule: task {task} sleeps or has finished", field="schedule")
        if w.clock[EVENTS] >= CAPACITY - SLACK:
            raise AskedWrongly(f"step {place} of the schedule: more events than one batch holds", field="schedule")
        if step_once(w, task) == SPIN:
            raise AskedWrongly(
                f"step {place} of the schedule: task {task} finds the queue lock taken", field="schedule"
            )
    return cut_batch(w)
