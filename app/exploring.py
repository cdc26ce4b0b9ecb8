"""`folioscope explore`: a protocol table from a file, searched to an answer, shown as text, or written as Promela."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import AskedWrongly
from engine.explore.table import BYTES_MAX, Table, read_table
from engine.scenario import Scenario, Tasks
from engine.scenarios import shipped

if TYPE_CHECKING:
    from engine.explore.explorer import Limits, Plan, Progress
    from engine.explore.story import Story

TOLD_S = 1.0
"""Pause between two lines of progress."""


def load_table(path: Path) -> Table:
    """Return the table of a .json or .toml file. Raises BadTable, or AskedWrongly where there is no such file."""
    if not path.is_file():
        raise AskedWrongly(f"there is no file {str(path)[:80]!r}", code="no_file", field="table", status=404)
    with path.open("rb") as file:
        return read_table(file.read(BYTES_MAX + 1), path.suffix.lower().lstrip(".") if path.suffix else "")


def one_of(field: str, given: str, known: tuple[Any, ...]) -> Any:
    """Return a word that is known. Raises AskedWrongly for another, telling those that are."""
    if given not in known:
        raise AskedWrongly(
            f"--{field} is one of {', '.join(known)}, not {given[:40]!r}", code="unknown_value", field=field
        )
    return given


def explore_file(
    path: Path, plan: Plan, limits: Limits, say: Callable[[str], None] | None, wide: int
) -> tuple[dict[str, Any], str]:
    """Return the answer of a search, and its schedule as columns that are `wide` in all ("" if nothing broke).

    say hears of progress.
    """
    from engine.explore.answers import answer
    from engine.explore.columns import columns
    from engine.explore.explorer import Explorer
    from engine.explore.story import STEPS_TOLD_MAX, story_of_table

    explorer = Explorer(load_table(path), plan)
    at = time.monotonic()

    def told(now: Progress) -> None:
        nonlocal at
        if say is not None and time.monotonic() - at >= TOLD_S:
            at = time.monotonic()
            rate = f"{now.states / now.seconds / 1e6:.1f} M states/s, {now.memory >> 20} MB"
            say(f"{now.states:,} states, {now.frontier:,} to look at, depth {now.depth}, {rate}")

    stopped_by = explorer.run(limits, told=told)
    found = answer(explorer, stopped_by, limits)
    steps = explorer.found(stopped_by).schedule
    if steps is None:
        return found, ""
    if len(steps) > STEPS_TOLD_MAX:
        return found, f"the schedule has {len(steps):,} steps: too long to be told; a search by bfs finds the shortest"
    return found, columns(story_of_table(explorer.table, steps), wide)


def is_scenario(given: Path) -> bool:
    """Whether this names a preset, or a file with a workload in it: no table has one."""
    if str(given) in shipped():
        return True
    if not given.is_file():
        return False
    with given.open("rb") as file:
        text = file.read(BYTES_MAX).decode("utf-8", "replace")
    try:
        told = tomllib.loads(text) if given.suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and "workload" in told


def promela_of(subject: Table | Scenario) -> str:
    """Return a table, or a scenario's world, as a Promela model. Raises AskedWrongly for what SPIN cannot hold."""
    if isinstance(subject, Scenario):
        from engine.explore.worlds.promela_world import written
        from engine.play import TimedRun

        if not isinstance(subject.workload, Tasks):
            raise AskedWrongly("a recording has one order: explore a scenario of tasks", field="scenario.workload")
        return written(subject.name, TimedRun(subject).world)
    from engine.explore import promela
    from engine.explore.explorer import Explorer

    explorer = Explorer(subject)
    return promela.written(explorer.table, explorer.spans)


def export_subject(path: Path, form: str) -> str:
    """Return what could be explored in a form for others: promela, or dot, the graph of all states of a small table."""
    from app.asking import read_scenario
    from engine.explore.dot import graph_dot, graph_of

    one_of("export", form, ("promela", "dot"))
    if form == "promela":
        return promela_of(read_scenario(str(path)) if is_scenario(path) else load_table(path))
    if is_scenario(path):
        raise AskedWrongly("dot draws the states of a table: take --export promela for a scenario", field="export")
    return graph_dot(graph_of(load_table(path))).rstrip("\n")


def told(path: Path, word: str) -> Story:
    """Return the story of a schedule. Raises BadTable for one that cannot be played."""
    from engine.explore import schedules
    from engine.explore.story import story_of_table

    table = load_table(path)
    return story_of_table(table, schedules.read(table, word))


def replay_schedule(path: Path, word: str, wide: int) -> dict[str, Any]:
    """Play a schedule step by step; text has it as columns, `wide` in all. Raises BadTable if it cannot be played."""
    from engine.explore.columns import columns

    story = told(path, word)
    return {
        "name": story.name,
        "steps": len(story.steps),
        "ends": story.ending.partition(":")[0].partition(" ")[0] or None,
        "broken": [{"step": n, "broken": step.broken} for n, step in enumerate(story.steps, 1) if step.broken],
        "text": columns(story, wide),
    }


def export_schedule(path: Path, word: str, form: str) -> str:
    """Return a schedule in one of the forms of engine.explore.exports, without a line's end."""
    from engine.explore.exports import EXPORTS

    one_of("export", form, tuple(EXPORTS))
    return EXPORTS[form](told(path, word), word).rstrip("\n")
