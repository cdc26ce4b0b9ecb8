"""Shrink a table while its failure stays the same: leave out processes, steps and variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from engine.explore.layout import start_of
from engine.explore.shrink import TRIES_MAX, Budget, Shrunk, Told, shrink
from engine.explore.tables.checking import checked
from engine.explore.tables.playing import ending, play
from engine.explore.tables.table import Step, Table
from engine.explore.tables.wording import BadTable


def table_candidates(data: Told) -> Iterator[tuple[str, Told]]:
    """Yield what can be left out (a process, a step, an unused variable), and the valid table without it."""
    for what, smaller in _without_one(data):
        try:
            checked(smaller)
        except BadTable:
            continue
        yield what, smaller


def _without_one(data: Told) -> Iterator[tuple[str, Told]]:
    procs = data["procs"]
    for i, process in enumerate(procs):
        groups = [[name for name in group if name != process["name"]] for group in data.get("symmetric") or []]
        left = {**data, "procs": [*procs[:i], *procs[i + 1 :]], "symmetric": groups}
        yield f"process {process['name']}", left
    for i, process in enumerate(procs):
        for n, step in enumerate(process["steps"]):
            steps = [*process["steps"][:n], *process["steps"][n + 1 :]]
            changed = {**process, "steps": steps}
            left = {**data, "procs": [*procs[:i], changed, *procs[i + 1 :]], "symmetric": []}
            yield f"a step of {process['name']} at {step['at']}", left
    for name in data.get("vars") or {}:
        left = {key: {**(data.get(key) or {})} for key in ("vars", "ranges")}
        for named in left.values():
            named.pop(name, None)
        outcomes = [one for one in data.get("outcomes") or [] if one != name]
        yield f"variable {name}", {**data, **left, "outcomes": outcomes}


def failure(table: Table, steps: Sequence[Step]) -> str:
    """Return how a schedule fails: deadlock, final, or what its last step breaks (without values); "" if it does not.

    Raises BadTable for a schedule that cannot be played.
    """
    moves = play(table, steps)
    broken = moves[-1].broken if moves else ""
    return broken.partition(" with ")[0] or ending(table, moves[-1].after if moves else start_of(table))


def fails(table: Table, steps: Sequence[Step], same: str) -> bool:
    """Whether a schedule can be played and ends in the same failure."""
    try:
        return failure(table, steps) == same
    except BadTable:
        return False


def shrink_table(
    table: Table,
    steps: Sequence[Step],
    searched: Callable[[Table], Sequence[Step] | None],
    *,
    tries: int = TRIES_MAX,
    budget: Budget | None = None,
) -> Shrunk[Told, tuple[Step, ...]]:
    """Return a smaller table with the failure of a schedule; the schedule returned consists of steps of `table` itself.

    searched: returns the shortest schedule to an error of a table, if any. It counts only if `table` itself fails in
    the same way: leaving out steps can introduce deadlocks.
    """
    same = failure(table, steps)
    assert same, "nothing fails"

    def finds(data: Told, known: tuple[Step, ...]) -> tuple[Step, ...] | None:
        smaller = checked(data)
        own = carried(known, table, smaller)
        if own is not None and fails(smaller, own, same):
            return known
        found = searched(smaller)
        if found is None or not fails(smaller, found, same):
            return None
        back = carried(found, smaller, table)
        return tuple(back) if back is not None and fails(table, back, same) else None

    return shrink(table.asked.model_dump(), tuple(steps), table_candidates, finds, budget=budget or Budget(tries))


def carried(steps: Sequence[Step], table: Table, other: Table) -> list[Step] | None:
    """Map a schedule to the equal steps of another table, by process name; return None if one is missing."""
    processes = {process.name: process for process in other.processes}
    found = []
    for step in steps:
        process = processes.get(table.processes[step.process].name)
        same = next((one for one in process.steps if one.asked == step.asked), None) if process else None
        if same is None:
            return None
        found.append(same)
    return found
