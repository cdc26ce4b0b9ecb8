"""Random runs of all designs in the interpreter, and what such runs have found before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.events import Kind
from engine.runs.play import open_run
from engine.world.state import FINISHED
from tests.worlds import Stage, scenario

ROOT = Path(__file__).parents[2]
SEEDS = 70
TABLES = [kind.name for kind in Kind if kind >= Kind.fault_taken]
"""Kinds of page tables, protection, devices and KSM."""


def test_random_runs_end_without_an_exception_and_meet_every_kind_of_page_tables() -> None:
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.engine.random_runs", "0", str(SEEDS)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[:2_000] + done.stderr[-2_000:]
    told = json.loads(done.stdout)
    assert told["runs"] > SEEDS / 2
    assert [name for name in TABLES if not told["kinds"].get(name)] == []


@pytest.mark.parametrize("cpus", [1, 2])
def test_fork_gives_its_cpu_to_the_holder_of_a_page_lock_that_it_waits_for(cpus: int) -> None:
    """It tries again and again to lock a device-exclusive page, whose holder may need this CPU."""
    run = open_run(
        scenario(
            "3*20/pick protect device_write think:200 unprotect",
            "think:500 fork:1",
            "2*10/pick store think:300",
            memory={"maps": "anonymous", "children": 1, "spare": 8},
            pages=2,
            protect={"design": "exclusive_pte"},
            kernel="6.1",
            machine={"cpus": cpus},
            costs={"preset": "estimate"},
            limits={"events": 100_000},
        )
    )
    events = sum(len(batch) for batch in run.batches())
    assert events < 100_000
    assert (run.world.tasks.state.array == FINISHED).all()  # type: ignore[attr-defined]


def test_the_mapping_of_an_anonymous_page_is_restored_after_its_last_waiter() -> None:
    """page_wait swaps anon_vma out as it does an address_space; only a page that has a home can have left it."""
    memory, wait = {"maps": "anonymous", "spare": 1}, {"encoding": "E3"}
    protect = {"design": "exclusive_pte"}
    stage = Stage("protect unprotect", "load", memory=memory, design="page_wait", wait=wait, protect=protect)
    stage.until(0, "PROTECT_SET")
    assert "1 mapping_swapped" in stage.sleep(1), "the load waits for the page lock"
    for task in (0, 1, 0, 1):
        stage.sleep(task)
    assert (stage.world.tasks.state.array == FINISHED).all()
    assert stage.world.pages.mapping[0] == stage.world.rules.anon_word
    assert not stage.broke()
