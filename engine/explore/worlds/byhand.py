"""Step by hand: the state of a world after a schedule, in the format that engine.explore.byhand has for tables."""

from __future__ import annotations

from typing import Any

from engine.errors import UserError
from engine.explore.byhand import STEPS_MAX
from engine.explore.worlds.facts import STATES, at_rest, facts
from engine.explore.worlds.subject import WorldSubject
from engine.explore.worlds.telling import ending, play, possible
from engine.invariants import INVARIANTS
from engine.kernel_functions import step_words
from engine.runs.schedule import step_name
from engine.schedule_word import letters
from engine.world.state import BROKEN, EVENTS, FINISHED


def at(subject: WorldSubject, word: str) -> dict[str, Any]:
    """Return the state after a schedule word; events: how many were recorded. Raises UserError for an invalid word."""
    moves = subject.read(word)
    if len(moves) > STEPS_MAX:
        text = f"a schedule of {len(moves)} steps: at most {STEPS_MAX} by hand"
        raise UserError(text, code="bad_schedule", field="schedule")
    subject.begin()
    n, last, before = len(subject.processes), None, facts(subject)
    start, events = before, 0
    for number, move in enumerate(moves, 1):
        if number == len(moves):
            before = facts(subject)
            last = _move_row(subject, moves[:-1], move)
        play(subject, move, number)
        events += int(subject.world.clock[EVENTS])
    w, now, open_ = subject.world, facts(subject), possible(subject)
    broken = "; ".join(one.says for bit, one in enumerate(INVARIANTS) if w.clock[BROKEN] >> bit & 1)
    return {
        "word": subject.written(moves),
        "steps": len(moves),
        "back": subject.written(moves[:-1]) if moves else None,
        "values": [
            {"name": name, "value": value, "changed": before[name] != value}
            for name, value in now.items()
            if value not in (before[name], start[name]) or before[name] != value or not at_rest(name)
        ],
        "places": [_place(subject, task, moves[-1] % n if moves else -1) for task in range(n)],
        "enabled": [_move_row(subject, moves, move) for move in open_],
        "ending": "" if open_ or broken else ending(subject) or "ended",
        "broken": broken,
        "last": last,
        "events": events,
    }


def _place(subject: WorldSubject, task: int, moved: int) -> dict[str, Any]:
    w = subject.world
    state = w.tasks.state[task]
    return {
        "process": subject.processes[task],
        "letters": letters(task),
        "label": f"{step_name(w, task)} ({STATES[state]})",
        "ended": bool(state == FINISHED),
        "moved": task == moved,
    }


def _move_row(subject: WorldSubject, before: list[int], move: int) -> dict[str, Any]:
    choice, task = divmod(move, len(subject.processes))
    label = step_name(subject.world, task)
    return {
        "process": subject.processes[task],
        "letters": letters(task),
        "label": label,
        "function": step_words(label, subject.kernel),
        "guard": "",
        "does": [f"choose page {choice}"] if choice else [],
        "to": "",
        "word": subject.written([*before, move]),
    }
