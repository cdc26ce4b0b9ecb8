"""What a scenario of tasks might do without: groups, tasks, rounds, pauses, operations, pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from pydantic import ValidationError

from engine.explore.shrink import Told
from engine.program import OPERATIONS, Held, Page
from engine.scenario import Scenario


def scenario_candidates(told: Told) -> Iterator[tuple[str, Told]]:
    """Yield what might be left out, in words, and the scenario without it, fewer tasks first.

    Each is one that can be played, and none leaves more locked, looked up or under writeback than before: that
    would be another way to fail. A schedule that it carries is dropped: it is no longer its own.
    """
    told = {key: value for key, value in told.items() if key != "schedule"}
    open_before = _open(told)
    for what, smaller in _fewer(told):
        if any(abs(count) > abs(open_before[name]) for name, count in _open(smaller).items()):
            continue
        try:
            Scenario.model_validate(smaller)
        except ValidationError:
            continue
        yield what, smaller


def _open(told: Told) -> Counter[Held]:
    """Return how often each thing that is taken in all programs together is not let go."""
    count: Counter[Held] = Counter()
    for group in told["workload"]["groups"]:
        times = group["tasks"] * (group.get("repeat") or 1)
        for op in group["program"]:
            row = OPERATIONS[op["op"]]
            count.update(dict.fromkeys(row.takes, times))
            count.subtract(dict.fromkeys(row.drops, times))
    return count


def _fewer(told: Told) -> Iterator[tuple[str, Told]]:
    groups = told["workload"]["groups"]
    for i, group in enumerate(groups):
        yield f"group {group['name']}", _with(told, groups=[*groups[:i], *groups[i + 1 :]])
    for i, group in enumerate(groups):
        for tasks in _smaller(group["tasks"]):
            what = f"{group['tasks'] - tasks} of {group['tasks']} tasks of {group['name']}"
            yield what, _with_group(told, i, tasks=tasks)
    for i, group in enumerate(groups):
        rounds = group.get("repeat")
        for repeat in _smaller(rounds) if rounds else [1]:
            yield f"rounds of {group['name']} from the {repeat + 1}. on", _with_group(told, i, repeat=repeat)
    for i, group in enumerate(groups):
        program = group["program"]
        for which in _drops(program):
            names = " and ".join(program[one]["op"] for one in which)
            left = [op for place, op in enumerate(program) if place not in which]
            yield f"{names} of {group['name']}", _with_group(told, i, program=left)
    for page in reversed(range(min(told["workload"]["pages"], 64))):
        yield f"page {page}", _without_page(told, page)


def _smaller(count: int) -> list[int]:
    """Return lesser numbers to try, the least first."""
    return sorted({1, count // 2, count - 1} & set(range(1, count)))


def _drops(program: Sequence[Told]) -> list[tuple[int, ...]]:
    """Return which operations to leave out together: pauses first, then the others one by one, then one that
    takes something with those that let it go."""
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


def _with(told: Told, **workload: Any) -> Told:
    return {**told, "workload": {**told["workload"], **workload}}


def _with_group(told: Told, number: int, **changed: Any) -> Told:
    groups = [*told["workload"]["groups"]]
    groups[number] = {**groups[number], **changed}
    return _with(told, groups=groups)


def _without_page(told: Told, page: int) -> Told:
    """Return the scenario without a page: the pages behind it move up, and no pick chooses from it."""

    def moved(op: Told) -> Told:
        if OPERATIONS[op["op"]].page is not Page.CHOOSES:
            return op
        first, count = op.get("first") or 0, op.get("count")
        if page < first:
            return {**op, "first": first - 1}
        return {**op, "count": count - 1} if count is not None and page < first + count else op

    groups = [{**group, "program": [moved(op) for op in group["program"]]} for group in told["workload"]["groups"]]
    return _with(told, groups=groups, pages=told["workload"]["pages"] - 1)
