"""The timed scheduler against queueing theory: closed formulas, with tolerances from the number of draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.events import Kind
from engine.runs.timed_run import TimedRun
from tests.worlds import scenario


def repairman(machines: int, think: float, hold: float) -> float:
    """Return the throughput (completions a ns) of the machine-repairman model M/M/1//N: one lock, N tasks."""
    weights = [
        math.factorial(machines) / math.factorial(machines - n) * (hold / think) ** n for n in range(machines + 1)
    ]
    idle = weights[0] / sum(weights)
    return (1 - idle) / hold


@pytest.mark.parametrize("design", ["hashed", "page_wait"])
@pytest.mark.parametrize(("tasks", "think"), [(1, 1_000), (4, 2_000), (12, 10_000), (40, 10_000)])
def test_given_one_page_when_many_lock_it_then_throughput_is_the_repairmans(
    tasks: int, think: int, design: str
) -> None:
    hold, rounds = 1_000, 60_000 // tasks
    program = f"{tasks}*{rounds}/think:{think} lock hold:{hold} unlock"
    run = TimedRun(scenario(program, design=design, costs={"wake_latency_ns": 0}))
    batches = list(run.batches())
    time = np.concatenate([batch.time for batch in batches])
    unlocks = time[np.concatenate([batch.kind for batch in batches]) == Kind.page_unlocked]
    steady = unlocks[len(unlocks) // 10 : len(unlocks) * 9 // 10]
    measured = (len(steady) - 1) / (steady[-1] - steady[0])
    assert measured == pytest.approx(repairman(tasks, think, hold), rel=0.03)


def test_given_more_tasks_than_cpus_then_no_more_hold_at_once_than_there_are_cpus() -> None:
    """Each task holds a page of its own; 4 CPUs do 4 ns of holding a ns, no more, and close to it."""
    programs = [f"300/pick:{page} lock hold:1000 unlock" for page in range(12)]
    run = TimedRun(scenario(*programs, pages=12, machine={"cpus": 4}))
    batches = list(run.batches())
    time = np.concatenate([batch.time for batch in batches])
    kind = np.concatenate([batch.kind for batch in batches])
    span = time[-1] - time[0]
    held = float(np.sum(np.where(kind == Kind.page_unlocked, time, 0) - np.where(kind == Kind.page_locked, time, 0)))
    assert 3.5 < held / span <= 4.0 + 1e-9


def test_given_all_times_doubled_then_every_event_comes_at_twice_its_time() -> None:
    """No draw depends on the time: with all means doubled it is the same run, stretched (1 ns of rounding a draw)."""
    one = TimedRun(scenario("8*50/think:100000 lock hold:40000 unlock", costs={"wake_latency_ns": 1000}))
    two = TimedRun(scenario("8*50/think:200000 lock hold:80000 unlock", costs={"wake_latency_ns": 2000}))
    first, second = next(one.batches()), next(two.batches())
    n = 400
    assert (first.kind[:n] == second.kind[:n]).all()
    assert (first.task[:n] == second.task[:n]).all()
    assert np.abs(second.time[:n] - 2 * first.time[:n]).max() <= 2 * n
