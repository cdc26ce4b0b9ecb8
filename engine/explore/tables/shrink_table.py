"""A smaller table with the same failure, and what it might do without: processes, steps, variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from engine.explore.layout import start_of
from engine.explore.shrink import TRIES_MAX, Budget, Shrunk, Told, shrink
from engine.explore.tables.checking import checked
from engine.explore.tables.playing import ending, play
from engine.explore.tables.table import Step, Table
from engine.explore.tables.wording import BadTable


def table_candidates(told: Told) -> Iterator[tuple[str, Told]]:
    """Yield what a table might do without: a process, a step, a variable that nothing names. Each can be explored."""
    for what, smaller in _lesser(told):
        try:
            checked(smaller)
        except BadTable:
            continue
        yield what, smaller


def _lesser(told: Told) -> Iterator[tuple[str, Told]]:
    procs = told["procs"]
    for i, process in enumerate(procs):
        groups = [[name for name in group if name != process["name"]] for group in told.get("symmetric") or []]
        left = {**told, "procs": [*procs[:i], *procs[i + 1 :]], "symmetric": groups}
        yield f"process {process['name']}", left
    for i, process in enumerate(procs):
        for n, step in enumerate(process["steps"]):
            steps = [*process["steps"][:n], *process["steps"][n + 1 :]]
            changed = {**process, "steps": steps}
            left = {**told, "procs": [*procs[:i], changed, *procs[i + 1 :]], "symmetric": []}
            yield f"a step of {process['name']} at {step['at']}", left
    for name in told.get("vars") or {}:
        left = {key: {**(told.get(key) or {})} for key in ("vars", "ranges")}
        for named in left.values():
            named.pop(name, None)
        outcomes = [one for one in told.get("outcomes") or [] if one != name]
        yield f"variable {name}", {**told, **left, "outcomes": outcomes}


def failure(table: Table, steps: Sequence[Step]) -> str:
    """Return in what a schedule ends: deadlock, final, what its last step breaks (without values), "" if in nothing.

    Raises BadTable for a schedule that cannot be made.
    """
    moves = play(table, steps)
    broken = moves[-1].broken if moves else ""
    return broken.partition(" with ")[0] or ending(table, moves[-1].after if moves else start_of(table))


def fails(table: Table, steps: Sequence[Step], same: str) -> bool:
    """Whether a schedule can be made and ends in the same failure."""
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
    """Return a smaller table with the failure that steps lead to; the schedule is made of the steps of `table` itself.

    searched: returns the shortest schedule to an error of a table. What it finds counts only if the table itself fails
    so, too: to leave steps out can bring in deadlocks that are not there.
    """
    same = failure(table, steps)
    assert same, "nothing fails"

    def finds(told: Told, known: tuple[Step, ...]) -> tuple[Step, ...] | None:
        smaller = checked(told)
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
    """Return the steps of another table that say the same, for the same processes; None if one is not there."""
    processes = {process.name: process for process in other.processes}
    found = []
    for step in steps:
        process = processes.get(table.processes[step.process].name)
        same = next((one for one in process.steps if one.asked == step.asked), None) if process else None
        if same is None:
            return None
        found.append(same)
    return found
