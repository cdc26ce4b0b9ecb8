"""Checkpoints: what is killed goes on elsewhere to the same end, and nothing else is taken for a checkpoint."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.m1 import m1
from engine.errors import UserError
from engine.explore.plan import Limits, Plan
from engine.explore.search import explorer as explorer_
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.search.saving import resume, save
from engine.explore.search.subject import TableSubject
from engine.explore.tables.checking import checked
from tests.explore.shelf import table

ROOT = Path(__file__).parents[2]
PLANS = [
    Plan(),
    Plan(search="dfs"),
    Plan(reduction="all"),
    Plan(preemptions=3),
    Plan(search="random", walks=30, longest=200),
    Plan(search="pct", walks=30, longest=200),
    Plan(compact=True),
    Plan(compact=True, reduction="symmetry"),
]
SIZE = (1, 1, 1, 3)


def told(explorer: Explorer, stopped_by: str = "") -> dict[str, Any]:
    """Return an answer but for what depends on the clock and on the sizes of arrays."""
    found = answer(explorer, stopped_by, Limits())
    found["bounds"] = {key: value for key, value in found["bounds"].items() if key not in {"seconds", "memory_bytes"}}
    return found


@pytest.mark.parametrize(
    "plan", PLANS, ids=lambda plan: f"{plan.search}-{plan.reduction}-{plan.preemptions}-{plan.compact}"
)
def test_given_a_search_saved_on_its_way_when_resumed_then_it_ends_as_if_undisturbed(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search is taken up anew, from the file, three times on its way."""
    subject, path = TableSubject(checked(m1(*SIZE))), tmp_path / "search"
    straight = Explorer(subject, plan)
    assert straight.run() == ""
    sampled = plan.search in {"random", "pct"}
    monkeypatch.setattr(explorer_, "TURN_STATES", 2 if sampled else 700)
    explorer = Explorer(subject, plan)
    for _ in range(3):
        turns = itertools.count()
        assert explorer.run(stop=lambda turns=turns: next(turns) == 2) == "cancel"  # type: ignore[misc]
        save(explorer, path)
        explorer = resume(path, subject, plan)
    assert explorer.progress().states < straight.progress().states
    assert explorer.run() == ""
    assert told(explorer) == told(straight)


VICTIM = """
import sys
from pathlib import Path
from benchmarks.m1 import m1
from engine.explore.search import explorer as e
from engine.explore.search.saving import save
from engine.explore.tables.checking import checked
e.TURN_STATES = 20_000
search = e.Explorer(checked(m1(1, 1, 2, 2)))
search.run(report=lambda now: save(search, Path(sys.argv[1])))
"""


def test_given_a_search_that_is_killed_when_another_process_goes_on_then_the_end_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "search"
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}
    )
    ends, pause = time.monotonic() + 200, threading.Event()
    while not path.exists():
        assert victim.poll() is None, "it ended before it had saved anything"
        assert time.monotonic() < ends, "it never saved"
        pause.wait(0.001)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    subject = TableSubject(checked(m1(1, 1, 2, 2)))
    explorer = resume(path, subject, Plan())
    assert 0 < explorer.progress().states < 102_481
    assert explorer.run() == ""
    straight = Explorer(subject)
    straight.run()
    assert told(explorer) == told(straight)
    assert explorer.found("").states == 102_481


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    explorer = Explorer(checked(table("peterson")))
    explorer.run()
    save(explorer, tmp_path / "search")
    return tmp_path / "search"


def refused(path: Path, name: str = "peterson", plan: Plan = PLANS[0]) -> str:
    with pytest.raises(UserError) as why:
        resume(path, TableSubject(checked(table(name))), plan)
    assert "\n" not in str(why.value)
    return str(why.value)


def test_given_another_table_or_plan_when_resumed_then_it_is_refused(saved: Path) -> None:
    assert "another subject" in refused(saved, "dekker")
    assert "another plan" in refused(saved, plan=Plan(search="dfs"))


def test_given_another_version_of_the_program_when_resumed_then_it_is_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.explore.search.saving.sources_digest", lambda: "another")
    assert "another version of the program" in refused(saved)


def test_given_any_byte_changed_when_resumed_then_it_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for at in {0, 30, 40, len(whole) // 2, len(whole) - 40, len(whole) - 1, *range(100, len(whole), 997)}:
        saved.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
        assert "the checkpoint: it" in refused(saved)


@pytest.mark.parametrize("content", [b"", b"x" * 10, b"x" * 1_000, b"folioscope exploration 1\n" + b"\xff" * 100])
def test_given_what_is_no_checkpoint_then_it_is_refused(saved: Path, content: bytes) -> None:
    saved.write_bytes(content)
    assert "the checkpoint: it" in refused(saved)
    saved.unlink()
    assert "cannot be read" in refused(saved)


def test_given_half_a_checkpoint_when_resumed_then_it_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 60, 26):
        saved.write_bytes(whole[:length])
        assert "the checkpoint: it" in refused(saved)


def test_given_a_folder_that_is_not_there_then_nothing_is_saved_and_the_reason_is_told(tmp_path: Path) -> None:
    explorer = Explorer(checked(table("peterson")))
    with pytest.raises(UserError, match="cannot be written"):
        save(explorer, tmp_path / "nowhere" / "search")
