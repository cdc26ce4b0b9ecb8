"""Play a schedule step by step in plain numbers: what each step changes, for the reader of a counterexample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.explore.layout import start_of
from engine.explore.tables.expressions import Fault, evaluate
from engine.explore.tables.table import Step, Table, Values
from engine.explore.tables.wording import BadTable


class Move(NamedTuple):
    """A step that was made: the state after it, its changes as (variable, element, before, after), what it broke.

    stuck: an expression in the step has no value, so the step leads to no state.
    """

    step: Step
    after: Values
    changed: tuple[tuple[int, int, int, int], ...]
    broken: str
    stuck: bool = False


def enabled(table: Table, values: Values) -> list[Step]:
    """Return the steps enabled in a state, including those whose guard has no value: their fault is a finding."""
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
    """Return a function that reads a variable in a state; it raises Fault for an element that does not exist."""
    numbers = {variable.name: number for number, variable in enumerate(table.variables)}

    def read(name: str, index: int) -> int:
        elements = values.variables[numbers[name]]
        if not 0 <= index < len(elements):
            raise Fault(f"{name}[{index}] does not exist")
        return elements[index]

    return read


def move(table: Table, values: Values, step: Step) -> Move:
    """Make one step, whatever its guard evaluates to."""
    now = [list(elements) for elements in values.variables]
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
    """Play a schedule from the initial state. Raises BadTable at a step that is not enabled."""
    values, moves = start_of(table), list[Move]()
    for number, step in enumerate(steps):
        if step not in enabled(table, values):
            name, text = table.processes[step.process].name, f"its guard {step.asked.guard!r} does not hold"
            raise BadTable(f"schedule: step {number + 1}, {name} at {step.asked.at!r}: {text}", field="schedule")
        moves.append(move(table, values, step))
        values = moves[-1].after
    return moves


def ending(table: Table, values: Values) -> str:
    """Return what is wrong with a state without enabled steps: deadlock, final, or "" if nothing is."""
    if enabled(table, values):
        return ""
    if any(place != process.end for process, place in zip(table.processes, values.places, strict=True)):
        return "deadlock"
    try:
        holds = table.final is None or bool(evaluate(table.final, reader(table, values)))
    except Fault:
        holds = False
    return "" if holds else "final"
