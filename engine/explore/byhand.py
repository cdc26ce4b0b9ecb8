"""Step by hand: the state that a schedule leads to, and the steps enabled in it, as data for display."""

from __future__ import annotations

from typing import Any

from engine.explore import schedules
from engine.explore.layout import start_of
from engine.explore.tables.playing import Move, enabled, ending, play
from engine.explore.tables.table import Step, Table, Values
from engine.explore.tables.wording import BadTable
from engine.schedule_word import letters

STEPS_MAX = 5_000
"""Most steps of a schedule stepped through by hand: all of them are replayed for every state shown."""


def at(table: Table, word: str) -> dict[str, Any]:
    """Return the state after a schedule word; "" is the start. Raises BadTable for a word that cannot be played.

    values: each element's value, and whether the last step changed it; places: each process's label; enabled: the
    steps enabled in the state, each with the word that includes it; ending: fault, deadlock, final or ended if there
    are none; broken: what the last step broke; back: the word without its last step, null at the start.
    """
    steps = schedules.read(table, word)
    if len(steps) > STEPS_MAX:
        raise BadTable(f"a schedule of {len(steps)} steps: at most {STEPS_MAX} by hand", field="schedule")
    moves = play(table, steps)
    last = moves[-1] if moves else None
    values = last.after if last else start_of(table)
    stuck = last is not None and last.stuck
    open_ = [] if stuck else enabled(table, values)
    return {
        "word": schedules.written(table, steps),
        "steps": len(steps),
        "back": schedules.written(table, steps[:-1]) if steps else None,
        "values": _values(table, values, last),
        "places": _places(table, values, last),
        "enabled": [_rendered(table, steps, step) for step in open_],
        "ending": "" if open_ else "fault" if stuck else ending(table, values) or "ended",
        "broken": last.broken if last else "",
        "last": _rendered(table, steps[:-1], steps[-1]) if steps else None,
    }


def _values(table: Table, values: Values, last: Move | None) -> list[dict[str, Any]]:
    changed = {(variable, index) for variable, index, before, now in (last.changed if last else ()) if before != now}
    return [
        {
            "name": f"{one.name}[{index}]" if one.array else one.name,
            "value": value,
            "changed": (number, index) in changed,
        }
        for number, one in enumerate(table.variables)
        for index, value in enumerate(values.variables[number])
    ]


def _places(table: Table, values: Values, last: Move | None) -> list[dict[str, Any]]:
    return [
        {
            "process": process.name,
            "letters": letters(number),
            "label": process.labels[place],
            "ended": place == process.end,
            "moved": last is not None and last.step.process == number,
        }
        for number, (process, place) in enumerate(zip(table.processes, values.places, strict=True))
    ]


def _rendered(table: Table, before: list[Step], step: Step) -> dict[str, Any]:
    process = table.processes[step.process]
    return {
        "process": process.name,
        "letters": letters(step.process),
        "label": step.asked.at,
        "function": "",
        "guard": "" if step.asked.guard.strip() == "1" else step.asked.guard,
        "does": list(step.asked.do),
        "to": step.asked.to,
        "word": schedules.written(table, [*before, step]),
    }
