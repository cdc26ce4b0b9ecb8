"""W1 and W2 run through the normal step tables and give the record that C, SimPy and plain Python give."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from engine.runs import w1
from engine.runs.play import open_run

# Hashes over the first 10^5 records, seed 1, 1,000 tasks, 4,096 pages (benchmarks/w1.c prints the same).
HASHES = {"hashed": "db3be83269d6fe56", "page_wait": "9bda5f02ce5f5188"}


@pytest.mark.parametrize("design", HASHES)
def test_given_the_reference_workload_when_projected_then_it_is_the_reference_record(design: str) -> None:
    batches = list(open_run(w1.scenario(design, events=135_000)).batches())
    assert w1.log_hash(w1.records(batches, 100_000)) == HASHES[design]


PROGRAM = """
import json, sys
from engine.runs import w1
from engine.world.jit import INTERPRETED
from engine.runs.play import open_run, seal
from engine.scenario import Scenario
found = [seal(open_run(Scenario.model_validate(s)).batches()) for s in json.loads(sys.argv[1])]
print(json.dumps([INTERPRETED, found]))
"""


def seals(scenarios: list[dict[str, object]], **environment: str) -> tuple[bool, list[str]]:
    """Play the scenarios in a process of its own, with these environment variables; return their seals."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(scenarios)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    interpreted, found = json.loads(done.stdout)
    return interpreted, found


def test_given_the_same_source_when_run_as_plain_python_then_the_events_are_the_same() -> None:
    scenarios = []
    for design in HASHES:
        for kernel in ("4.16", "6.1"):
            scenario = w1.scenario(design, tasks=60, pages=40, load=20.0, events=4_000)
            scenarios.append(
                {**scenario.model_dump(), "kernel": kernel, "costs": {"preset": "estimate"}, "machine": {"cpus": 4}}
            )
    compiled = seals(scenarios, PYTHONHASHSEED="1", LC_ALL="C")
    interpreted = seals(scenarios, NUMBA_DISABLE_JIT="1", PYTHONHASHSEED="2", TZ="Asia/Tokyo")
    assert (compiled[0], interpreted[0]) == (False, True)
    assert compiled[1] == interpreted[1]
    assert len(set(compiled[1])) == len(scenarios)
