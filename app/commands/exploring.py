"""`folioscope explore`: search a table or a small scenario, print schedules, export to Promela."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UserError
from engine.explore.tables import examples
from engine.explore.tables.checking import BYTES_MAX, read_table
from engine.explore.tables.table import Table
from engine.scenario import Scenario
from engine.scenarios import shipped

if TYPE_CHECKING:
    from engine.explore.plan import Limits, Plan, Progress
    from engine.explore.search.subject import Subject
    from engine.explore.story import Story

EXAMPLES = Path(examples.__file__).parent
PROGRESS_S = 1.0
"""Interval between lines of progress."""
SAVED_S = 30.0
"""Interval between checkpoints."""


def load_table(path: Path) -> Table:
    """Return the table of a .json or .toml file, or a shipped one by its name.

    Raises BadTable, or UserError if the file does not exist.
    """
    if not path.exists() and len(path.parts) == 1 and (shipped := EXAMPLES / f"{path}.toml").is_file():
        path = shipped
    if not path.is_file():
        raise UserError(f"there is no file {str(path)[:80]!r}", code="no_file", field="table", status=404)
    with path.open("rb") as file:
        return read_table(file.read(BYTES_MAX + 1), path.suffix.lower().lstrip(".") if path.suffix else "")


def is_scenario(given: Path) -> bool:
    """Return whether this is a preset, or a file with a workload, which no table has."""
    if str(given) in shipped():
        return True
    if not given.is_file():
        return False
    with given.open("rb") as file:
        text = file.read(BYTES_MAX).decode("utf-8", "replace")
    try:
        data = tomllib.loads(text) if given.suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and "workload" in data


def one_of(field: str, given: str, known: tuple[Any, ...]) -> Any:
    """Return a known option value. Raises UserError for any other, with the known values."""
    if given not in known:
        raise UserError(
            f"--{field} must be one of {', '.join(known)}, not {given[:40]!r}", code="unknown_value", field=field
        )
    return given


def subject_of(model: Table | Scenario) -> Subject:
    """Return the subject of a search. Raises UserError for a scenario that is not small."""
    if isinstance(model, Table):
        from engine.explore.search.subject import TableSubject

        return TableSubject(model)
    from engine.explore.worlds.subject import WorldSubject

    return WorldSubject(model)


def story_of(subject: Subject, schedule: Sequence[Any], loop: Sequence[Any] = ()) -> Story:
    """Return the story of a schedule, step by step; loop: the steps repeated forever after it."""
    from engine.explore.search.subject import TableSubject
    from engine.explore.story import story_of_table

    if isinstance(subject, TableSubject):
        return story_of_table(subject.table, schedule, loop)
    from engine.explore.worlds.subject import WorldSubject
    from engine.explore.worlds.telling import story_of_world

    assert isinstance(subject, WorldSubject)
    return story_of_world(subject, schedule, loop)


def rendered(story: Story) -> dict[str, Any]:
    """Return a story as data for templates/partials/story.html."""
    steps = [
        {
            "process": step.process,
            "label": step.label,
            "function": step.function,
            "changed": [list(change) for change in step.changed],
            "broken": step.broken,
        }
        for step in story.steps
    ]
    return {"processes": story.processes, "steps": steps, "ending": story.ending, "loop_from": story.loop_from}


def explore_subject(
    model: Table | Scenario,
    plan: Plan,
    limits: Limits,
    say: Callable[[str], None] | None,
    wide: int,
    checkpoint: Path | None = None,
) -> tuple[dict[str, Any], str]:
    """Return the answer of a search, and its schedule as columns of total width `wide` ("" if nothing broke).

    say receives progress. checkpoint: the search resumes from this file if it exists, with the full time of `limits`;
    the file is written at intervals and at a limit, and removed when the search is complete.
    """
    from engine.explore.search.answers import answer
    from engine.explore.search.explorer import Explorer
    from engine.explore.search.saving import resume, save

    subject = subject_of(model)
    if checkpoint is not None and checkpoint.exists():
        explorer = resume(checkpoint, subject, plan)
        before = explorer.seconds
    else:
        explorer, before = Explorer(subject, plan), 0.0
    at = saved = time.monotonic()
    ends_at = at + limits.seconds

    def report(now: Progress) -> None:
        nonlocal at, saved
        if checkpoint is not None and time.monotonic() - saved >= SAVED_S:
            save(explorer, checkpoint)
            saved = time.monotonic()
        if say is not None and time.monotonic() - at >= PROGRESS_S:
            at = time.monotonic()
            rate = f"{now.states / now.seconds / 1e6:.1f} M states/s, {now.memory >> 20} MB"
            say(f"{now.states:,} states, frontier {now.frontier:,}, depth {now.depth}, {rate}")

    stopped_by = explorer.run(limits._replace(seconds=limits.seconds + before), report=report)
    if checkpoint is not None:
        if stopped_by:
            save(explorer, checkpoint)
        else:
            checkpoint.unlink(missing_ok=True)
    found = answer(explorer, stopped_by, limits, ends_at=ends_at)
    return found, answer_columns(explorer.subject, found, wide)


def answer_columns(subject: Subject, found: dict[str, Any], wide: int) -> str:
    """Return the schedule of an answer as columns, "" if it has none."""
    from engine.explore.columns import columns
    from engine.explore.schedules import of_answer
    from engine.explore.story import STEPS_SHOWN_MAX

    if (shown := of_answer(found)) is None:
        return ""
    stem, loop = shown
    begins, whole = len(subject.read(stem)), subject.read(".".join(filter(None, (stem, loop))))
    if len(whole) > STEPS_SHOWN_MAX:
        return f"the schedule has {len(whole):,} steps, too many to print: search with bfs to find the shortest"
    return columns(story_of(subject, whole[:begins], whole[begins:]), wide)


def promela_of(model: Table | Scenario) -> str:
    """Return a table, or a scenario's world, as a Promela model. Raises UserError if SPIN cannot express it."""
    if isinstance(model, Scenario):
        from engine.explore.small import check_small
        from engine.explore.worlds.promela_world import written
        from engine.runs.timed_run import TimedRun

        check_small(model)
        return written(model.name, TimedRun(model).world)
    from engine.explore import promela
    from engine.explore.search.explorer import Explorer

    explorer = Explorer(model)
    return promela.written(explorer.table, explorer.spans)


def export_subject(model: Table | Scenario, form: str) -> str:
    """Export a model: promela, or dot, the graph of all states of a small table."""
    from engine.explore.dot import graph_dot, graph_of

    one_of("export", form, ("promela", "dot"))
    if form == "promela":
        return promela_of(model)
    if isinstance(model, Scenario):
        raise UserError("dot draws the states of a table: use --export promela for a scenario", field="export")
    return graph_dot(graph_of(model)).rstrip("\n")


def told(model: Table | Scenario, word: str) -> Story:
    """Return the story of a schedule. Raises UserError for an invalid schedule."""
    subject = subject_of(model)
    return story_of(subject, subject.read(word))


def replay_schedule(model: Table | Scenario, word: str, wide: int) -> dict[str, Any]:
    """Play a schedule step by step; text: its columns, of total width `wide`. Raises UserError if it is invalid."""
    from engine.explore.columns import columns

    story = told(model, word)
    return {
        "name": story.name,
        "steps": len(story.steps),
        "ends": story.ending.partition(":")[0].partition(" ")[0] or None,
        "broken": [{"step": n, "broken": step.broken} for n, step in enumerate(story.steps, 1) if step.broken],
        "text": columns(story, wide),
    }


def export_schedule(model: Table | Scenario, word: str, form: str) -> str:
    """Return a schedule in one of the formats of engine.explore.exports, without a trailing newline."""
    from engine.explore.exports import EXPORTS

    one_of("export", form, tuple(EXPORTS))
    return EXPORTS[form](told(model, word), word).rstrip("\n")
