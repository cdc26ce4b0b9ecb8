"""What steps report: as many invariants and witnesses as a word has bits, and the explorer finds the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.explore.plan import Plan
from engine.explore.search.explorer import Explorer
from engine.explore.search.fewest_switches import fewest_switches
from engine.explore.worlds.subject import WorldSubject
from engine.scenario import Scenario
from tests.worlds import scenario

ROOT = Path(__file__).parents[2]
WORLDS = {
    "deadlock, at an end": scenario("lock", "2*lock unlock", bits=1),
    "bug_on, by a step": scenario("3*lock writeback_begin unlock writeback_end", kernel="5.9", bits=1),
    "lock_stolen and others": scenario("3*lock unlock", kernel="6.1", bits=1),
}
PLANS: tuple[dict[str, Any], ...] = (
    {},
    {"search": "dfs"},
    {"compact": True},
    {"search": "random", "walks": 50},
    {"preemptions": 1},
)
LAST = ("BUG_ON", "LOCK_STOLEN")
"""The invariant and the witness that get the highest number, the sign of a word."""


def found(scenarios: list[dict[str, Any]]) -> list[Any]:
    """Return what each plan finds in each scenario, in values that JSON has."""
    answers = []
    for given in scenarios:
        for plan in PLANS:
            explorer = Explorer(WorldSubject(Scenario.model_validate(given)), Plan(**plan))
            one = explorer.found(explorer.run())
            counts = [one.states, one.edges, one.error, one.schedule, fewest_switches(explorer)]
            answers.append([*counts, one.broken, one.witnessed])
    as_json: list[Any] = json.loads(json.dumps(answers))
    return as_json


def filled(text: str) -> str:
    """Return engine/invariants.py with both tables filled to 64 rows, and those of LAST at their ends."""
    for name in LAST:
        row = re.search(rf'^    (Invariant)?\("{name.lower()}", .*\n', text, re.M)
        assert row is not None
        end = text.index("\n)", row.end()) + 1
        text = text[: row.start()] + text[row.end() : end] + row[0] + text[end:]
        number = text.index(f"    {name},\n")
        end = text.index("\n) = range", number) + 1
        text = text[:number] + text[number:end].replace(f"    {name},\n", "") + f"    {name},\n" + text[end:]
    for table, first, filler in (
        ("INVARIANTS: tuple[Invariant, ...] = (", "LOST_WAKEUP", 'Invariant(f"more_{i}", "")'),
        ("WITNESSES: tuple[tuple[str, str], ...] = (", "STOLEN_OFTEN", '(f"seen_{i}", "")'),
    ):
        have = len(text.split(table)[1].split("\n)")[0].strip().splitlines())
        text = text.replace(table, f"{table}\n    *[{filler} for i in range({64 - have})],")
        text = text.replace(f"\n(\n    {first},", f"\n(\n    *_,\n    {first},")
    return text


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the sources with 64 invariants and 64 witnesses."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=ignored)
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=ignored)
    path = tmp_path / "engine" / "invariants.py"
    path.write_text(filled(path.read_text()))
    return tmp_path


def test_given_64_invariants_and_64_witnesses_when_explored_then_the_same_are_found(source: Path) -> None:
    scenarios = [one.model_dump() for one in WORLDS.values()]
    program = (
        "import json, sys; from engine import invariants; from tests.explore.test_reports import found\n"
        "numbers = [len(invariants.INVARIANTS), len(invariants.WITNESSES), invariants.BUG_ON, invariants.LOCK_STOLEN]\n"
        "json.dump([numbers, found(json.load(sys.stdin))], sys.stdout)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(scenarios),
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source), "NUMBA_OPT": "0"},  # all of it is compiled anew, and soon done
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    numbers, theirs = json.loads(done.stdout)
    assert numbers == [64, 64, 63, 63]
    ours = found(scenarios)
    assert theirs == ours
    names = {name for answer in ours for seen in answer[-2:] for name in seen}
    assert {"deadlock", "bug_on", "lock_stolen"} <= names
