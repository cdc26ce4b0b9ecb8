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
    """stuck: nobody can move, and not everybody has finished. broken: states with an invariant broken, which nothing
    follows. wrong_ends: everybody has finished, and something is left over. depth: the longest of all shortest ways."""

    states: int
    edges: int
    stuck: int
    broken: int
    ends: int
    wrong_ends: int
    depth: int


def search(scenario: Scenario) -> Counts:
    """Search one scenario in this process, which must interpret the engine."""
    from engine.explore.worlds.columns import state_columns
    from engine.runs.schedule import at_end, choices, make_move
    from engine.runs.scheduled import references
    from engine.runs.timed_run import TimedRun
    from engine.world.jit import INTERPRETED
    from engine.world.state import ASLEEP, BROKEN, FINISHED, READY

    assert INTERPRETED, "compiled steps are not what this is for"
    w = TimedRun(scenario).world
    tasks = range(w.rules.n_tasks)
    begin, told = w.memory.copy(), (w.pages.flags.array.size, references(w))
    parts = [
        (w.clock.array if c.group == "clock" else getattr(getattr(w, c.group), c.name).array, list(c.rows))
        for c in state_columns(w)
    ]

    def held() -> bytes:
        return b"".join(array[rows].tobytes() for array, rows in parts)

    def restore(state: bytes) -> None:
        w.memory[:] = begin
        at = 0
        for array, rows in parts:
            size = len(rows) * array.itemsize
            array[rows] = np.frombuffer(state[at : at + size], array.dtype)
            at += size

    first = held()
    depths, to_do = {first: 0}, deque([first])
    edges = stuck = broken = ends = wrong = 0
    while to_do:
        state = to_do.popleft()
        restore(state)
        if w.clock[BROKEN]:
            broken += 1
            continue
        over = all(
            w.tasks.state[task] == FINISHED or (task >= w.rules.first_actor and w.tasks.state[task] == ASLEEP)
            for task in tasks
        )
        ends += over
        wrong += over and at_end(w, *told) != 0
        possible = [(task, n) for task in tasks if w.tasks.state[task] == READY for n in range(choices(w, task))]
        moved = 0
        for task, choice in possible:
            restore(state)
            if not make_move(w, task, choice):
                continue
            moved += 1
            after = held()
            if after not in depths:
                depths[after] = depths[state] + 1
                to_do.append(after)
        edges += moved
        stuck += not moved and not over
    return Counts(len(depths), edges, stuck, broken, ends, wrong, max(depths.values()))


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
