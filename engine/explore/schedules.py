"""Convert a schedule to a short word that fits into a mail, and back: the processes that move, in order.

    a3.b.c/1.b2   process a moves three times, then b, then c by its second alternative, then b twice

Processes are letters in the order of the table: a to z, then aa, ab. An alternative is numbered, from 0, if the
table has several steps at a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.explore.layout import start_of
from engine.explore.tables.table import Step, Table
from engine.explore.tables.wording import BadTable
from engine.schedule_word import LENGTH_MAX, PART, STEPS_MAX, letters


def written(table: Table, steps: Sequence[Step]) -> str:
    """Return the word for a schedule."""
    parts: list[tuple[str, int, int]] = []
    for step in steps:
        at_label = [other.number for other in table.processes[step.process].steps if other.at == step.at]
        alternative = at_label.index(step.number) if len(at_label) > 1 else -1
        name = letters(step.process)
        if alternative < 0 and parts and parts[-1][0] == name and parts[-1][2] < 0:
            parts[-1] = (name, parts[-1][1] + 1, -1)
        else:
            parts.append((name, 1, alternative))
    return ".".join(
        name + (f"/{which}" if which >= 0 else str(times) if times > 1 else "") for name, times, which in parts
    )


def read(table: Table, word: str) -> list[Step]:
    """Return the steps that a word names. Raises BadTable if it is invalid; guards are not evaluated."""
    if len(word) > LENGTH_MAX:
        raise BadTable(f"a schedule of {len(word)} characters: at most {LENGTH_MAX}", field="schedule")
    numbers = {letters(number): number for number in range(len(table.processes))}
    places, steps = list(start_of(table).places), list[Step]()
    for part in word.strip().split(".") if word.strip() else []:
        found = PART.match(part)
        if found is None or found[1] not in numbers:
            names = f"a to {letters(len(table.processes) - 1)}"
            raise BadTable(f"schedule: {part[:40]!r} names no process ({names}) and no step", field="schedule")
        process = numbers[found[1]]
        for _ in range(int(found[2] or 1)):
            at_label = [step for step in table.processes[process].steps if step.at == places[process]]
            which = int(found[3] or 0)
            if which >= len(at_label):
                label = table.processes[process].labels[places[process]]
                where = f"{table.processes[process].name} is at {label!r}, which has {len(at_label)} steps"
                text = f"schedule: {part!r}: {where}"
                raise BadTable(text, field="schedule")
            steps.append(at_label[which])
            places[process] = at_label[which].to
            if len(steps) > STEPS_MAX:
                raise BadTable(f"schedule: more than {STEPS_MAX} steps", field="schedule")
    return steps


def of_answer(answer: dict[str, Any]) -> tuple[str, str] | None:
    """Return the schedule that an answer shows and the part that repeats after it; None if there is none to show."""
    live = answer["liveness"]
    if answer["schedule"] is not None:
        return answer["schedule"], ""
    if live and not live["holds"]:
        return live["stem"], live["loop"]
    return None
