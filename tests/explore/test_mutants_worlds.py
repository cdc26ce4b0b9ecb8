"""Broken explorers of worlds: each has one fault written into a copy of its source, and must count something wrong.

The copies run interpreted: nothing has to be compiled for them. What is right, the plain search says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from engine.scenario import Scenario
from tests.explore.plain_world import Counts, searched
from tests.worlds import scenario

ROOT = Path(__file__).parents[2]
WORLDS: dict[str, Scenario] = {
    "a lock never let go": scenario("lock", "2*lock unlock", kernel="4.16", bits=1),
    "locks and waits": scenario("2/lock unlock", "wait_locked", kernel="5.9", bits=1),
    "writeback": scenario("2*lock writeback_begin unlock writeback_end", kernel="5.9", bits=1),
    "raw NULL check": scenario(
        "lookup_locked unlock put",
        "truncate_page",
        "lock unlock",
        design="page_wait",
        truncate="raw_null",
        kernel="6.1",
    ),
}
MUTANTS = {
    "a counter that is not in the state's key": (
        "world/state.py",
        'length: I64 = count("tasks")',
        "length: I64 = unseen()",
    ),
    "a row of the state that is not in its key": (
        "world/state.py",
        "flags: U8 = number(0, 31)",
        "flags: U8 = unseen()",
    ),
    "a lock that is taken by waiting for it": (
        "explore/worlds/stepping.py",
        "            if make_move(w, task, choice):\n",
        "            if make_move(w, task, choice) or True:\n",
    ),
    "two steps in one": (
        "runs/schedule.py",
        "    elif step_once(w, task) == SPIN:\n        return False\n",
        "    elif step_once(w, task) == SPIN or (w.tasks.step[task] == 9 and step_once(w, task) == SPIN):\n"
        "        return False\n",
    ),
    "a step that others see, taken for one that nobody sees": (
        "mm/steps.py",
        "LOCAL = frozenset({NEXT_OP, THINK, PICK, HOLD})",
        "LOCAL = frozenset({NEXT_OP, THINK, PICK, HOLD, LOCK_PAGE, UNLOCK_PAGE, WAIT_ENQUEUE})",
    ),
    "tasks renamed, but not where they hold a queue lock": (
        "world/state.py",
        'lock: U32 = row("tasks")',
        "lock: U32 = number(-1, 6)._replace(start=NONE)",
    ),
    "tasks renamed, but not at the head of a queue": (
        "world/state.py",
        'head: U32 = row("entries")',
        "head: U32 = number(-1, 6)._replace(start=NONE)",
    ),
    "ways followed past what broke": (
        "explore/worlds/stepping.py",
        "    if w.clock[BROKEN]:\n        return 0\n",
        "    w.clock[BROKEN] = 0\n",
    ),
    "a deadlock only where the first task waits": (
        "runs/schedule.py",
        "        violated |= 1 << (LOST_WAKEUP if lost else DEADLOCK)\n",
        "        violated |= (1 << (LOST_WAKEUP if lost else DEADLOCK)) * (task == 0)\n",
    ),
}
KEPT = ("deadlock_states", "final_states")
"""What no reduction may lose altogether."""
RUN = """
import json, sys
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.plan import Limits, Plan
from engine.explore.worlds.subject import WorldSubject
from engine.scenario import Scenario
for told, reduction in json.loads(sys.stdin.readline()):
    explorer = Explorer(WorldSubject(Scenario.model_validate(told)), Plan(reduction=reduction, promises=False))
    found = answer(explorer, explorer.run(Limits(states=20_000)), Limits())
    print(json.dumps(found), flush=True)
"""


@cache
def truth() -> dict[str, Counts]:
    return dict(zip(WORLDS, searched(list(WORLDS.values())), strict=True))


def disagreements(source: Path) -> Iterator[str]:
    """Yield what an explorer, run from this copy of the sources, counts otherwise than the plain search, as it goes."""
    asked = [(name, reduction) for name in WORLDS for reduction in ("none", "all")]
    errors = source / "errors"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", RUN],
            cwd=source,
            env={
                **os.environ,
                "PYTHONPATH": str(source),
                "NUMBA_DISABLE_JIT": "1",
                "FOLIOSCOPE_CACHE": str(source / "cache"),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps([(WORLDS[name].model_dump(), reduction) for name, reduction in asked]) + "\n")
            child.stdin.close()
            for name, reduction in asked:
                if not (line := child.stdout.readline()):
                    child.wait()
                    yield f"it stops: {errors.read_text().strip().splitlines()[-1][:200]}"
                    return
                yield from _wrong(name, reduction, json.loads(line))
        finally:
            child.kill()


def _wrong(name: str, reduction: str, found: dict[str, Any]) -> list[str]:
    """Return how an answer differs from what is true of a world."""
    true, wrong = truth()[name], list[str]()
    if found["verdict"] != ("Sometimes" if true.stuck or true.broken or true.wrong_ends else "Never"):
        wrong.append(f"{name} {reduction} verdict")
    if reduction == "none":
        told = (found["states"], found["edges"], found["deadlock_states"], found["final_states"], found["depth"])
        wrong += [f"{name} counts"] * (told != (true.states, true.edges, true.stuck, true.ends, true.depth))
    elif found["states"] > true.states or [bool(found[key]) for key in KEPT] != [bool(true.stuck), bool(true.ends)]:
        wrong.append(f"{name} reduced")
    return wrong


def break_source(source: Path, file: str, sound: str, broken: str) -> None:
    """Write a fault into a copy of the sources."""
    path = source / "engine" / file
    text = path.read_text()
    assert text.count(sound) == 1, "the fault has lost its place: the source has changed"
    path.write_text(text.replace(sound, broken))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_explorer_as_it_is_counts_worlds_right_interpreted_too(source: Path) -> None:
    assert list(disagreements(source)) == []


@pytest.mark.parametrize("fault", MUTANTS)
def test_given_a_fault_in_the_explorer_of_worlds_then_the_counts_show_it(source: Path, fault: str) -> None:
    break_source(source, *MUTANTS[fault])
    assert next(disagreements(source), None) is not None, f"nobody notices {fault}"


def test_given_an_assertion_that_fails_within_a_search_then_the_search_ends_with_it(source: Path) -> None:
    break_source(
        source,
        "explore/worlds/stepping.py",
        "            w.clock[EVENTS] = 0\n",
        '            assert task < 1, "only the first task may move"\n            w.clock[EVENTS] = 0\n',
    )
    assert list(disagreements(source)) == ["it stops: AssertionError: only the first task may move"]
