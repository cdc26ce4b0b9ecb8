"""Candidates for shrinking a scenario of tasks: leave out groups, tasks, rounds, pauses, operations, pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from pydantic import ValidationError

from engine.explore.shrink import Told
from engine.program import OPERATIONS, Held, Page
from engine.scenario import Scenario


def scenario_candidates(data: Told) -> Iterator[tuple[str, Told]]:
    """Yield what can be left out, in words, and the scenario without it, tasks first.

    Each scenario is valid, and none leaves more pages locked, looked up or under writeback than before: that would be
    another failure. The scenario's schedule is dropped: it does not apply to a smaller scenario.
    """
    data = {key: value for key, value in data.items() if key != "schedule"}
    open_before = _open(data)
    for what, smaller in _fewer(data):
        if any(abs(count) > abs(open_before[name]) for name, count in _open(smaller).items()):
            continue
        try:
            Scenario.model_validate(smaller)
        except ValidationError:
            continue
        yield what, smaller


def _open(data: Told) -> Counter[Held]:
    """Return how often all programs together take each kind of hold without releasing it."""
    count: Counter[Held] = Counter()
    for group in data["workload"]["groups"]:
        times = group["tasks"] * (group.get("repeat") or 1)
        for op in group["program"]:
            row = OPERATIONS[op["op"]]
            count.update(dict.fromkeys(row.takes, times))
            count.subtract(dict.fromkeys(row.drops, times))
    return count


def _fewer(data: Told) -> Iterator[tuple[str, Told]]:
    groups = data["workload"]["groups"]
    for i, group in enumerate(groups):
        yield f"group {group['name']}", _with(data, groups=[*groups[:i], *groups[i + 1 :]])
    for i, group in enumerate(groups):
        for tasks in _smaller(group["tasks"]):
            what = f"{group['tasks'] - tasks} of {group['tasks']} tasks of {group['name']}"
            yield what, _with_group(data, i, tasks=tasks)
    for i, group in enumerate(groups):
        rounds = group.get("repeat")
        for repeat in _smaller(rounds) if rounds else [1]:
            yield f"rounds of {group['name']} from round {repeat + 1} on", _with_group(data, i, repeat=repeat)
    for i, group in enumerate(groups):
        program = group["program"]
        for which in _drops(program):
            names = " and ".join(program[one]["op"] for one in which)
            left = [op for place, op in enumerate(program) if place not in which]
            yield f"{names} of {group['name']}", _with_group(data, i, program=left)
    for page in reversed(range(min(data["workload"]["pages"], 64))):
        yield f"page {page}", _without_page(data, page)


def _smaller(count: int) -> list[int]:
    """Return smaller counts to try, in ascending order."""
    return sorted({1, count // 2, count - 1} & set(range(1, count)))


def _drops(program: Sequence[Told]) -> list[tuple[int, ...]]:
    """Return which operations to leave out together: pauses first, then the others one by one, then each operation
    that takes something with those that release it."""
    pauses = [(i,) for i, op in enumerate(program) if OPERATIONS[op["op"]].pauses]
    others = [(i,) for i, op in enumerate(program) if not OPERATIONS[op["op"]].pauses]
    return [*pauses, *others, *_together(program)]


def _together(program: Sequence[Told]) -> Iterator[tuple[int, ...]]:
    for i, op in enumerate(program):
        if taken := OPERATIONS[op["op"]].takes:
            later = range(i + 1, len(program))
            yield from (
                (i, *ends) for ends in product(*([j for j in later if _ends(program[j], one)] for one in taken))
            )


def _ends(op: Told, taken: Held) -> bool:
    return taken in OPERATIONS[op["op"]].drops


def _with(data: Told, **workload: Any) -> Told:
    return {**data, "workload": {**data["workload"], **workload}}


def _with_group(data: Told, number: int, **changed: Any) -> Told:
    groups = [*data["workload"]["groups"]]
    groups[number] = {**groups[number], **changed}
    return _with(data, groups=groups)


def _without_page(data: Told, page: int) -> Told:
    """Return the scenario without a page: later pages move up, and picks exclude it."""

    def moved(op: Told) -> Told:
        if OPERATIONS[op["op"]].page is not Page.CHOOSES:
            return op
        first, count = op.get("first") or 0, op.get("count")
        if page < first:
            return {**op, "first": first - 1}
        return {**op, "count": count - 1} if count is not None and page < first + count else op

    groups = [{**group, "program": [moved(op) for op in group["program"]]} for group in data["workload"]["groups"]]
    return _with(data, groups=groups, pages=data["workload"]["pages"] - 1)
