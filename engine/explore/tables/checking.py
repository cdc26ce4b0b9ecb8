"""Read protocol tables from JSON or TOML, and check them before anything is explored."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from engine.errors import UserError
from engine.explore.symmetry import Unfit, named_groups
from engine.explore.tables.expressions import Fault, Tree, constant, evaluate, names, parse, parts, value_of
from engine.explore.tables.table import (
    CELLS_MAX,
    END,
    STEPS_MAX,
    Effect,
    Group,
    Process,
    ProcessSpec,
    Step,
    StepSpec,
    Table,
    TableSpec,
    Variable,
)
from engine.explore.tables.wording import BadTable, bad, parts_of, refusal

BYTES_MAX = 1 << 20


def read_table(data: bytes | str, kind: str = "") -> Table:
    """Return the table in a JSON or TOML text. kind: json or toml; if empty, the first character decides.

    Raises BadTable with a one-line message: the place, the reason and, if known, the line.
    """
    if len(data) > BYTES_MAX:
        raise BadTable(f"the table is larger than {BYTES_MAX} bytes: use a smaller one", code="too_large", status=413)
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise BadTable(f"a table must be UTF-8 text: byte {error.start} is invalid") from None
    is_json = kind == "json" or (not kind and text.lstrip()[:1] == "{")
    try:
        parsed = json.loads(text, object_pairs_hook=_once) if is_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        why = f"{error}".partition(" (char")[0]
        if isinstance(error, RecursionError):
            why = "nested too deeply"
        elif "integer string conversion" in why:
            why = "a number has too many digits"
        raise BadTable(f"this is not valid {'JSON' if is_json else 'TOML'}: {why}", code="unreadable") from None
    return checked(parsed, text)


def checked(data: Any, source: str = "") -> Table:
    """Return the checked table. data: parsed JSON or TOML; source: its text, for line numbers in messages."""
    try:
        spec = TableSpec.model_validate(data)
    except ValidationError as error:
        raise refusal(error, source, _known) from None
    return _Checker(spec, source).table()


def _known(location: Sequence[int | str]) -> type[BaseModel]:
    """Return the model whose keys are allowed at a location."""
    if location[0] != "procs":
        return TableSpec
    return StepSpec if "steps" in location else ProcessSpec


class _Checker:
    """Resolve the names and expressions of a table to numbers and trees; reject unknown names."""

    def __init__(self, spec: TableSpec, source: str) -> None:
        self.asked, self.source = spec, source
        unknown = set(spec.ranges) - set(spec.vars)
        if unknown:
            raise self.bad(f"ranges.{min(unknown)}", "there is no such variable")
        self.variables = tuple(self._variable(name, value) for name, value in spec.vars.items())
        self.sizes = {one.name: len(one.initial) if one.array else 0 for one in self.variables}
        if sum(len(one.initial) for one in self.variables) > CELLS_MAX:
            raise self.bad("vars", f"more than {CELLS_MAX} values in all: shorten the arrays")

    def bad(self, where: str, reason: str) -> BadTable:
        return bad(parts_of(where), reason, self.source)

    def _variable(self, name: str, value: int | list[int]) -> Variable:
        initial = (value,) if isinstance(value, int) else tuple(value)
        low, high = self.asked.ranges.get(name, (None, None))
        if low is not None and high is not None and low > high:
            raise self.bad(f"ranges.{name}", f"{low} is more than {high}: give the lower bound first")
        if low is not None and high is not None and not all(low <= v <= high for v in initial):
            raise self.bad(f"ranges.{name}", "the initial value is out of range: widen the range")
        return Variable(name, initial, not isinstance(value, int), low, high)

    def tree(self, text: str, where: str) -> Tree:
        try:
            tree = parse(text)
        except UserError as error:
            raise self.bad(where, str(error)) from None
        for kind, name, *index in names(tree):
            if name not in self.sizes:
                raise self.bad(where, f"there is no variable {name!r}: name it in vars")
            if (kind == "elem") != bool(self.sizes[name]):
                what = f"an array: write {name}[i]" if self.sizes[name] else "not an array: write it without [ ]"
                raise self.bad(where, f"{name} is {what}")
            if index and constant(index[0]) and not 0 <= value_of(index[0]) < self.sizes[name]:
                raise self.bad(where, f"{name} has elements 0 to {self.sizes[name] - 1}")
        for part in parts(tree):
            if part[0] == "bin" and constant(part[3]):
                try:
                    value_of(("bin", part[1], ("num", 1), part[3]))
                except Fault as fault:
                    raise self.bad(where, f"{fault} in {text!r}") from None
        return tree

    def _at_first(self, name: str, index: int) -> int:
        """Return the initial value of an element. Raises Fault if it does not exist."""
        initial = next(one.initial for one in self.variables if one.name == name)
        if not 0 <= index < len(initial):
            raise Fault(f"{name}[{index}] does not exist")
        return initial[index]

    def effect(self, text: str, where: str) -> Effect:
        inner = text.strip()
        if inner.startswith("assert") and inner[6:].lstrip()[:1] == "(":
            return Effect(-1, None, self.tree(inner[6:], where), text)
        at = next((i for i in range(len(inner)) if inner[i] == "=" and _assigns(inner, i)), -1)
        shorthand = re.search(r"\+\+|--|(?:[-+*/%&|^]|<<|>>)=", inner)
        if shorthand and (at < 0 or inner[at - 1] in "+-*/%&|^"):
            raise self.bad(where, f"{shorthand[0]!r} is not supported in {text!r}: write x = x + 1")
        if at < 0:
            raise self.bad(where, f"{text!r} is neither an assignment nor assert(...)")
        kind, name, *index = self.tree(inner[:at], where)
        if kind not in {"var", "elem"}:
            raise self.bad(where, f"{inner[:at].strip()!r} cannot be assigned to")
        number = next(i for i, one in enumerate(self.variables) if one.name == name)
        return Effect(number, index[0] if index else None, self.tree(inner[at + 1 :], where), text)

    def process(self, number: int, first_step: int) -> Process:
        spec, where = self.asked.procs[number], f"procs[{number}]"
        labels = tuple(dict.fromkeys(step.at for step in spec.steps))
        if END in labels:
            raise self.bad(where, f"no step can start at {END!r}, the end of a process")
        labels += (END,)
        if spec.start not in labels:
            raise self.bad(f"{where}.start", f"no step starts at {spec.start!r}: name a label, or {END!r} for none")
        steps = []
        for i, step in enumerate(spec.steps):
            here = f"{where}.steps[{i}]"
            if step.to not in labels:
                raise self.bad(f"{here}.to", f"no step starts at {step.to!r}: name a label, or {END!r} to end")
            effects = tuple(self.effect(text, f"{here}.do[{n}]") for n, text in enumerate(step.do))
            guard = self.tree(step.guard, f"{here}.guard")
            if step.at == spec.start:  # evaluated in the initial state: a fault is an error in the table
                try:
                    evaluate(guard, self._at_first)
                except Fault as fault:
                    raise self.bad(
                        f"{here}.guard", f"{fault} in {step.guard!r}, with the initial values of vars"
                    ) from None
            places = labels.index(step.at), labels.index(step.to)
            steps.append(Step(first_step + i, number, *places, guard, effects, step))
        return Process(spec.name, labels, labels.index(spec.start), tuple(steps))

    def processes(self) -> Iterator[Process]:
        first = 0
        for number in range(len(self.asked.procs)):
            process = self.process(number, first)
            first += len(process.steps)
            if first > STEPS_MAX:
                raise self.bad("procs", f"more than {STEPS_MAX} steps in all: take fewer processes")
            yield process

    def table(self) -> Table:
        spec = self.asked
        twice = _twice([process.name for process in spec.procs])
        if twice:
            second = max(i for i, process in enumerate(spec.procs) if process.name == twice)
            raise self.bad(f"procs[{second}].name", f"two processes are called {twice!r}")
        processes = tuple(self.processes())
        for i, name in enumerate(spec.outcomes):
            if name not in self.sizes:
                raise self.bad(f"outcomes[{i}]", f"there is no variable {name!r}")
        final = self.tree(spec.final, "final") if spec.final is not None else None
        eventually = self.tree(spec.eventually, "eventually") if spec.eventually is not None else None
        if eventually is not None and spec.fair is None:
            raise self.bad("eventually", 'is checked on fair paths: add fair = "weak"')
        table = Table(spec, self.variables, processes, final, eventually, ())
        return table._replace(symmetric=self._groups(table))

    def _groups(self, table: Table) -> tuple[Group, ...]:
        """Return the groups that the table names. Raises BadTable if their members are not equal."""
        numbers = {process.name: number for number, process in enumerate(table.processes)}
        named = self.asked.symmetric
        for i, group in enumerate(named):
            for name in group:
                if name not in numbers:
                    raise self.bad(f"symmetric[{i}]", f"there is no process {name!r}")
        if twice := _twice([name for group in named for name in group]):
            raise self.bad("symmetric", f"{twice!r} is listed twice")
        found = named_groups(table, [[numbers[name] for name in group] for group in named])
        if isinstance(found, Unfit):
            members = ", ".join(named[found.place])
            text = f"{members} are not symmetric: {found.why}"
            raise self.bad(f"symmetric[{found.place}]", text)
        return found


def _assigns(text: str, at: int) -> bool:
    """Whether the = at this place is an assignment: not part of ==, !=, <= or >=."""
    return text[at + 1 : at + 2] != "=" and text[at - 1 : at] not in {"=", "!", "<", ">"}


def _twice(words: list[str]) -> str:
    return next((word for i, word in enumerate(words) if word in words[:i]), "")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = _twice([key for key, _ in pairs])
    if twice:
        raise ValueError(f"the key {twice!r} is used twice")
    return dict(pairs)
