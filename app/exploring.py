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
    from engine.explore.subject import Subject

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


def subject_of(asked: Table | Scenario) -> Subject:
    """Return what the search explores. Raises AskedWrongly for a scenario that is no small world."""
    if isinstance(asked, Table):
        from engine.explore.subject import TableSubject

        return TableSubject(asked)
    from engine.explore.worlds.subject import WorldSubject

    return WorldSubject(asked)


def story_of(subject: Subject, schedule: list[Any]) -> Story:
    """Return a schedule of a subject, told step by step."""
    from engine.explore.story import story_of_table
    from engine.explore.subject import TableSubject

    if isinstance(subject, TableSubject):
        return story_of_table(subject.table, schedule)
    from engine.explore.worlds.subject import WorldSubject
    from engine.explore.worlds.telling import story_of_world

    assert isinstance(subject, WorldSubject)
    return story_of_world(subject, schedule)


def explore_subject(
    asked: Table | Scenario, plan: Plan, limits: Limits, say: Callable[[str], None] | None
) -> tuple[dict[str, Any], str]:
    """Return the answer of a search, and its schedule as columns ("" if nothing broke). say hears of progress."""
    from engine.explore.answers import answer
    from engine.explore.columns import columns
    from engine.explore.explorer import Explorer

    explorer = Explorer(subject_of(asked), plan)
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
    return found, columns(story_of(explorer.subject, steps)) if steps is not None else ""


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


def replay_schedule(path: Path, word: str) -> dict[str, Any]:
    """Play a schedule of a table, step by step. Raises BadTable for one that cannot be played."""
    from engine.explore import playing, schedules
    from engine.explore.answers import columns

    table = load_table(path)
    steps = schedules.read(table, word)
    moves = playing.play(table, steps)
    last = playing.ending(table, moves[-1].after) if moves else ""
    broken = [{"step": number, "broken": move.broken} for number, move in enumerate(moves, 1) if move.broken]
    return {
        "name": table.asked.name,
        "steps": len(steps),
        "ends": last or None,
        "broken": broken,
        "text": columns(table, steps),
    }
