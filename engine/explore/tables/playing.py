"""One schedule, played step by step in plain numbers: what each step changed, for the reader of a counterexample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.explore.layout import start_of
from engine.explore.tables.expressions import Fault, evaluate
from engine.explore.tables.table import Step, Table, Values
from engine.explore.tables.wording import BadTable


class Move(NamedTuple):
    """A step that was made: the state after it, what it changed as (variable, element, before, after), what broke.

    stuck: something in the step has no value, so that it leads nowhere.
    """

    step: Step
    after: Values
    changed: tuple[tuple[int, int, int, int], ...]
    broken: str
    stuck: bool = False


def enabled(table: Table, values: Values) -> list[Step]:
    """Return the steps that can be made in a state; one whose guard has no value counts, as its fault is a finding."""
    found = []
    for process, place in zip(table.processes, values.places, strict=True):
        found += [step for step in process.steps if step.at == place and _may(table, step, values)]
    return found


def _may(table: Table, step: Step, values: Values) -> bool:
    try:
        return bool(evaluate(step.guard, reader(table, values)))
    except Fault:
        return True


def reader(table: Table, values: Values) -> Callable[[str, int], int]:
    """Return what gives the value of a variable in a state; it raises Fault for an element that is not there."""
    numbers = {variable.name: number for number, variable in enumerate(table.variables)}

    def read(name: str, index: int) -> int:
        told = values.variables[numbers[name]]
        if not 0 <= index < len(told):
            raise Fault(f"{name}[{index}] does not exist")
        return told[index]

    return read


def move(table: Table, values: Values, step: Step) -> Move:
    """Make one step, whatever its guard says."""
    now = [list(told) for told in values.variables]
    changed: list[tuple[int, int, int, int]] = []
    broken, stuck = "", False
    try:
        evaluate(step.guard, reader(table, values))
        for effect in step.effects:
            read = reader(table, Values(tuple(map(tuple, now)), values.places))
            value = evaluate(effect.value, read)
            if effect.variable < 0:
                broken = broken or ("" if value else f"{effect.text} does not hold")
                continue
            variable = table.variables[effect.variable]
            index = evaluate(effect.element, read) if effect.element else 0
            if not 0 <= index < len(variable.initial):
                raise Fault(f"{variable.name}[{index}] does not exist")
            if variable.low is not None and variable.high is not None and not variable.low <= value <= variable.high:
                broken = broken or f"{variable.name} leaves {variable.low} to {variable.high} with {value}"
            changed.append((effect.variable, index, now[effect.variable][index], value))
            now[effect.variable][index] = value
    except Fault as fault:
        broken, stuck = str(fault), True
    places = list(values.places)
    places[step.process] = step.to
    return Move(step, Values(tuple(map(tuple, now)), tuple(places)), tuple(changed), broken, stuck)


def play(table: Table, steps: Sequence[Step]) -> list[Move]:
    """Make the steps of a schedule, from the start. Raises BadTable where one cannot be made."""
    values, moves = start_of(table), list[Move]()
    for number, step in enumerate(steps):
        if step not in enabled(table, values):
            name, text = table.processes[step.process].name, f"its guard {step.asked.guard!r} does not hold"
            raise BadTable(f"schedule: step {number + 1}, {name} at {step.asked.at!r}: {text}", field="schedule")
        moves.append(move(table, values, step))
        values = moves[-1].after
    return moves


def ending(table: Table, values: Values) -> str:
    """Return what is wrong with a state from which no step leads on: deadlock, final, or "" if nothing is."""
    if enabled(table, values):
        return ""
    if any(place != process.end for process, place in zip(table.processes, values.places, strict=True)):
        return "deadlock"
    try:
        holds = table.final is None or bool(evaluate(table.final, reader(table, values)))
    except Fault:
        holds = False
    return "" if holds else "final"
