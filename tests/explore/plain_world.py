"""Every interleaving of a small scenario in the plainest way: interpreted steps, a set of bytes, breadth first.

    NUMBA_DISABLE_JIT=1 python -m tests.explore.plain_world <scenarios.json

reads a JSON list of scenarios and prints a list of what it counted. Slow, and meant to be seen through: a state is the
bytes of the columns that worlds.columns calls state; before each step everything else is as it was at the start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.scenario import Scenario

ROOT = Path(__file__).parent.parent.parent


class Counts(NamedTuple):
    """deadlock_states: nobody can move, nothing is broken, not everybody has finished. depth: steps of the longest
    shortest way."""

    states: int
    edges: int
    deadlock_states: int
    broken_states: int
    final_states: int
    depth: int


def search(scenario: Scenario) -> Counts:
    """Search one scenario in this process, which must interpret the engine."""
    from engine.explore.worlds.columns import CLOCK, STATE, tidy
    from engine.jit import INTERPRETED
    from engine.mm.steps import SPIN
    from engine.play import TimedRun
    from engine.schedule import step_once
    from engine.state import BROKEN, FINISHED, READY

    assert INTERPRETED, "compiled steps are not what this is for"
    w = TimedRun(scenario).world
    tasks = range(w.rules.n_tasks)
    begin = w.memory.copy()
    columns = [getattr(getattr(w, group), name).array for group, names in STATE.items() for name in names]
    columns += [w.clock.array[place : place + 1] for place in CLOCK]

    def held() -> bytes:
        return b"".join(column.tobytes() for column in columns)

    def restore(state: bytes) -> None:
        w.memory[:] = begin
        at = 0
        for column in columns:
            column[:] = np.frombuffer(state[at : at + column.nbytes], column.dtype)
            at += column.nbytes

    first = held()
    depths, to_do = {first: 0}, deque([first])
    edges = deadlocks = broken = finals = 0
    while to_do:
        state = to_do.popleft()
        restore(state)
        if w.clock[BROKEN]:
            broken += 1
            continue
        awake = [task for task in tasks if w.tasks.state[task] == READY]
        over = all(w.tasks.state[task] == FINISHED for task in tasks)
        moved = 0
        for task in awake:
            restore(state)
            place = w.tasks.at[task]
            if step_once(w, task) == SPIN:
                continue
            tidy(w, task, place)
            moved += 1
            after = held()
            if after not in depths:
                depths[after] = depths[state] + 1
                to_do.append(after)
        edges += moved
        finals += over
        deadlocks += not moved and not over
    return Counts(len(depths), edges, deadlocks, broken, finals, max(depths.values()))


def searched(scenarios: list[Scenario]) -> list[Counts]:
    """Search scenarios in a process that interprets the engine."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.explore.plain_world"],
        input=json.dumps([scenario.model_dump() for scenario in scenarios]),
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Counts(*counts) for counts in json.loads(done.stdout)]


def main() -> None:
    asked: list[Any] = json.load(sys.stdin)
    print(json.dumps([search(Scenario.model_validate(one)) for one in asked]))


if __name__ == "__main__":
    main()
