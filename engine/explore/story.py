"""A schedule step by step, in words and numbers for display: the source of its columns, exports and pages."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.explore.layout import start_of
from engine.explore.tables.playing import ending, play
from engine.explore.tables.table import Step, Table, Values
from engine.explore.tables.touches import footprint
from engine.explore.tables.wording import BadTable

Value = int | str
State = dict[str, Value | list[Value]]
"""A variable's name -> its value, or those of its elements."""

STEPS_SHOWN_MAX = 1 << 16


class Change(NamedTuple):
    """A value that a step changed: its name, and the values before and after, for display."""

    name: str
    before: Value
    after: Value

    def __str__(self) -> str:
        before, after = ("nothing" if value == "" else value for value in (self.before, self.after))
        return f"{self.name} {before}->{after}"


class Told(NamedTuple):
    """A step that was made. process: its number; label: where it starts; function: what it models, in words, "" if
    nothing; broken: what it broke; after: the state after it; reads, writes: names that it touched."""

    process: int
    label: str
    function: str
    changed: tuple[Change, ...]
    broken: str
    after: State
    reads: frozenset[str]
    writes: frozenset[str]

    @property
    def text(self) -> str:
        """The label, and what changed."""
        return f"{self.label}: {', '.join(map(str, self.changed))}" if self.changed else self.label


class Story(NamedTuple):
    """A schedule for display. ending: what is wrong with its last state, if no step is enabled. loop_from: in a lasso,
    the number (from 0) of the first step that repeats forever; the last state is then the one before that step."""

    name: str
    why: str
    processes: tuple[str, ...]
    start: State
    steps: tuple[Told, ...]
    ending: str
    loop_from: int | None = None

    @property
    def moving(self) -> tuple[int, ...]:
        """The processes that make at least one step."""
        return tuple(sorted({step.process for step in self.steps}))

    @property
    def verdict(self) -> str:
        """How it ends, in a few words."""
        broken = [step.broken for step in self.steps if step.broken]
        if self.loop_from is not None:
            return "a loop: the last steps can repeat forever"
        return self.ending or (broken[-1] if broken else "no invariant is broken")


def shown(text: str) -> str:
    """Return a text with control, format and line-breaking characters escaped, as \\x1b or \\u202e."""
    unsafe = {
        char for char in text if unicodedata.category(char)[0] == "C" or unicodedata.category(char) in {"Zl", "Zp"}
    }
    return "".join(char.encode("unicode_escape").decode() if char in unsafe else char for char in text)


def story_of_table(table: Table, steps: Sequence[Step], loop: Sequence[Step] = ()) -> Story:
    """Return a table's schedule as a story; loop: further steps that lead back to the state in which they began.

    Raises BadTable for a step that is not enabled, a loop that does not return to its first state, or too many steps.
    """
    if len(steps) + len(loop) > STEPS_SHOWN_MAX:
        text = (
            f"schedule: {len(steps) + len(loop)} steps; the limit is {STEPS_SHOWN_MAX}: search for a shorter one (bfs)"
        )
        raise BadTable(text, field="schedule")
    start = start_of(table)
    moves = play(table, [*steps, *loop])
    states = [start, *(made.after for made in moves)]
    if loop and states[len(steps)] != states[-1]:
        raise BadTable("schedule: its loop does not end in the state in which it began", field="schedule")
    where = _free("at", [variable.name for variable in table.variables])
    rendered = []
    for values, made in zip(states, moves, strict=False):
        touched = footprint(table, made.step, values)
        changed = tuple(
            Change(element(table, variable, index), before, after)
            for variable, index, before, after in made.changed
            if before != after
        )
        rendered.append(
            Told(
                process=made.step.process,
                label=made.step.asked.at,
                function="",
                changed=changed,
                broken=made.broken,
                after=_state(table, made.after, where),
                reads=frozenset(element(table, *one) for one in touched.reads),
                writes=frozenset(element(table, *one) for one in touched.writes),
            )
        )
    return Story(
        name=table.asked.name,
        why=table.asked.why,
        processes=tuple(process.name for process in table.processes),
        start=_state(table, start, where),
        steps=tuple(rendered),
        ending="" if moves and moves[-1].stuck else _ending(table, states[-1]),
        loop_from=len(steps) if loop else None,
    )


def element(table: Table, variable: int, index: int) -> str:
    """Return the name of an element: x, or a[2]."""
    one = table.variables[variable]
    return f"{one.name}[{index}]" if one.array else one.name


def _free(word: str, taken: Iterable[str]) -> str:
    while word in taken:
        word += "_"
    return word


def _state(table: Table, values: Values, where: str) -> State:
    """Return a state by names; the labels of the processes are under the name `where`."""
    state: State = {}
    for variable, elements in zip(table.variables, values.variables, strict=True):
        state[variable.name] = list(elements) if variable.array else elements[0]
    state[where] = [process.labels[place] for process, place in zip(table.processes, values.places, strict=True)]
    return state


def _ending(table: Table, values: Values) -> str:
    match ending(table, values):
        case "deadlock":
            places = zip(table.processes, values.places, strict=True)
            waiting = [
                f"{process.name} at {process.labels[place]}" for process, place in places if place != process.end
            ]
            return f"deadlock: {', '.join(waiting)}"
        case "final":
            return f"final does not hold: {table.asked.final}"
    return ""
