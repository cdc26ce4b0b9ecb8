"""What must hold where data crosses a line: plain Python checks it, compiled code is spared it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORLD = """
from engine.mm import frames, wait_list
from engine.world.state import FINISHED
from engine.runs.timed_run import TimedRun
from engine.world.trace import record
from tests.worlds import scenario
w = TimedRun(scenario("2*lock unlock", bits=1)).world
"""


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ("wait_list.link_tail(w, 0, 1); wait_list.link_tail(w, 1, 1)", "an entry is linked on two lists"),
        ("wait_list.unlink(w, 0)", "an entry on no list is unlinked"),
        ("wait_list.unlock_list(w, 0)", "a queue lock is released that no task holds"),
        ("w.tasks.state[0] = FINISHED; wait_list.make_ready(w, 0, 0)", "a finished task is woken"),
        ("[frames.call(w, 0, 4, 5) for _ in range(9)]", "calls nest deeper than engine.world.nesting found"),
        ("record(w, 1, 7, 0, 0, 0)", "an event names a task that is not there"),
        ("record(w, 1, 0, 3, 0, 0)", "an event names a page that is not there"),
    ],
)
def test_given_a_world_that_contradicts_itself_then_interpreted_code_says_so(steps: str, says: str) -> None:
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WORLD + steps]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == f"AssertionError: {says}"
