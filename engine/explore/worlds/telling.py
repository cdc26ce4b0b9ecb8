"""A schedule of a world as a story: what each step changed in pages, queues and structures, in kernel terms."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import UserError
from engine.explore.story import STEPS_SHOWN_MAX, Change, Story, Told, Value
from engine.explore.worlds.facts import STATES, facts
from engine.explore.worlds.subject import WorldSubject
from engine.invariants import INVARIANTS
from engine.kernel_functions import step_words
from engine.runs.schedule import at_end, choices, enabled, make_move, step_name
from engine.world.state import BROKEN, EVENTS


def story_of_world(subject: WorldSubject, moves: Sequence[int], loop: Sequence[int] = ()) -> Story:
    """Return a schedule as a story; loop: moves after it that return to the state at its end.

    Leaves the subject's world where the schedule ends. Raises UserError for a move that cannot be made.
    """
    if len(moves) + len(loop) > STEPS_SHOWN_MAX:
        raise UserError(f"schedule: more than {STEPS_SHOWN_MAX} steps", field="schedule")
    w = subject.world
    subject.begin()
    before, steps = facts(subject), []
    start = before
    for number, move in enumerate([*moves, *loop], 1):
        task = move % len(subject.processes)
        label = step_name(w, task)
        play(subject, move, number)
        after = facts(subject)
        changed = tuple(
            Change(name, _flat(before.get(name, "")), _flat(value))
            for name, value in after.items()
            if before.get(name) != value
        )
        names = frozenset(change.name for change in changed)
        bits = w.clock[BROKEN]
        broken = "; ".join(one.says for bit, one in enumerate(INVARIANTS) if bits >> bit & 1)
        steps.append(Told(task, label, step_words(label, subject.kernel), changed, broken, after, names, names))
        before = after
    return Story(
        subject.name, subject.why, subject.processes, start, tuple(steps), ending(subject), len(moves) if loop else None
    )


def _flat(value: Value | list[Value]) -> Value:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def play(subject: WorldSubject, move: int, number: int) -> None:
    """Make one move in the subject's world; number: its place, from 1. Raises UserError if it is not possible."""
    w, (choice, task) = subject.world, divmod(move, len(subject.processes))
    where = f"schedule: step {number}: {subject.processes[task]}"
    if not enabled(w, task):
        raise UserError(
            f"{where} is {STATES[w.tasks.state[task]]}: it cannot move", code="bad_schedule", field="schedule"
        )
    if choice >= choices(w, task):
        raise UserError(f"{where} has no choice {choice} at this step", code="bad_schedule", field="schedule")
    w.clock[EVENTS] = 0
    if not make_move(w, task, choice):
        raise UserError(f"{where} finds the queue lock taken", code="bad_schedule", field="schedule")


def possible(subject: WorldSubject) -> list[int]:
    """Return the moves possible in the world's current state, and leave that state unchanged."""
    w = subject.world
    if w.clock[BROKEN]:
        return []
    here = subject.here()
    found = []
    for task in range(w.rules.n_tasks):
        if not enabled(w, task):
            continue
        for choice in range(choices(w, task)):
            w.clock[EVENTS] = 0
            if make_move(w, task, choice):
                found.append(task + choice * w.rules.n_tasks)
            subject.restore(here)
    return found


def ending(subject: WorldSubject) -> str:
    """Return the invariants that fail in the world's current state if no task can move; "" if none fails or one can."""
    w = subject.world
    if w.clock[BROKEN] or possible(subject):
        return ""
    bits = at_end(w, w.pages.flags.array.size, subject.references)
    return "; ".join(one.says for bit, one in enumerate(INVARIANTS) if bits >> bit & 1)
