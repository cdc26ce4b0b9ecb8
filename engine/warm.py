"""Compile the engine ahead of time, on all cores: `python -m engine.warm`. Later starts load it from the cache.

--first compiles only what a replay needs, which is what a new installation shows first. --background compiles
everything on one core, at low priority and silently, alongside running workers. Progress is one line per tenth of the
work; with a warm cache only the last line is printed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from types import FrameType
from typing import Any

import numpy as np
from numba.core import event

from engine.axes import VERBS
from engine.designs import AXES
from engine.errors import BadDesign
from engine.mm.steps import STEPS
from engine.world.jit import CACHE

Job = tuple[str, ...]

_LOCKERS = {"name": "t", "tasks": 2, "repeat": 1, "program": [{"op": "lock"}, {"op": "unlock"}]}
_TABLE_STEPS = [{"at": "a", "to": "b"}, {"at": "b", "to": "-"}]
_PLANS: dict[str, dict[str, Any]] = {
    "plain": {},
    "random": {"search": "random", "walks": 2},
    "reduced": {"reduction": "all"},
    "compact": {"compact": True},
}


class _Counter(event.Listener):  # type: ignore[misc]
    """Counts functions as they are compiled."""

    def __init__(self) -> None:
        self.done = 0

    def on_start(self, event: Any) -> None:
        """Do nothing: functions are counted when they are finished."""

    def on_end(self, event: Any) -> None:
        self.done += 1


def stages(*, first: bool) -> Iterator[list[Job]]:
    """Yield groups of jobs, long ones first; a job depends only on what earlier groups have compiled."""
    from engine.runs.replay_steps import replay_batch
    from engine.world.linking import reachable

    helper = ("truncate", "helper")
    needed = {
        number
        for design in AXES["wait"]
        for number in reachable((replay_batch,), frozenset(), (helper, ("wait", design)))[0]
    }
    steps = needed if first else range(len(STEPS))
    small: list[Job] = [("step", str(number)) for number in sorted(steps)]
    small += [("verb", str(number), design) for number, design in _implemented_verbs()]
    if first:
        yield [("record", "summary"), *small, ("record", "planes")]
        yield [("replay",), ("record", "merge")]
        return
    yield [("explore", "table", "plain"), ("record", "summary"), *small]
    yield [("replay",), ("explore", "world", "plain"), ("explore", "table", "compact"), ("record", "planes")]
    yield [("timed",), ("record", "merge"), ("explore", "table", "random")]
    yield [("explore", subject, plan) for subject in ("table", "world") for plan in ("random", "reduced", "compact")]


def _implemented_verbs() -> Iterator[tuple[int, str]]:
    from engine.world.linking import verb_function

    for number, (axis, _) in enumerate(VERBS):
        for design in AXES[axis]:
            if verb_function(number, design) is not None:
                yield number, design


def compile_job(job: Job) -> int:
    """Compile a job's functions, or load them from the cache; return how many had to be compiled."""
    counter = _Counter()
    with event.install_listener("numba:compile", counter):
        kind, *rest = job
        _JOBS[kind](*rest)
    return counter.done


def _step(number: str) -> None:
    from engine.world.dispatch import STEP
    from engine.world.linking import compiled, step_function

    compiled(step_function(int(number)), STEP)


def _verb(number: str, design: str) -> None:
    from engine.world.dispatch import verb_signature
    from engine.world.linking import compiled, verb_function

    compiled(verb_function(int(number), design), verb_signature(int(number)))


def _replay() -> None:
    from engine.recordings.shipped import demo
    from engine.runs.replay import ReplayRun

    list(ReplayRun(_recorded(), demo()).batches())


def _recorded() -> Any:
    from engine.scenario import Scenario

    workload = {"kind": "recording", "recording": "demo"}
    return Scenario.model_validate({"name": "warm", "workload": workload, "limits": {"events": 2_000}})


def _record(part: str) -> None:
    """Compile a part of the path from a batch of events to the store."""
    from engine.cast import Cast, TaskName
    from engine.events import COLUMNS, Batch, Kind
    from engine.summaries.merge import Merger
    from engine.summaries.planes import CompiledPlanes
    from engine.summaries.summary import Summariser

    columns: list[Any] = [np.zeros(64, dtype) for _, dtype in COLUMNS]
    batch = Batch(0, *columns)
    batch.time[:] = np.arange(64)
    batch.kind[:] = int(Kind.page_dirtied)
    if part == "planes":
        planes = CompiledPlanes(1)
        by_kind, by_task = planes.orders(batch)
        planes.add(batch.a, by_kind)
        planes.add_rising(batch.time)
        planes.add_followed(batch.page, by_task)
        planes.add_followed(batch.cpu, by_task)
        planes.records(batch)
        planes.taken()
        return
    summary = Summariser(Cast(tasks=[TaskName(name="t", pid=1)], page_count=1, files=[], queues=1))
    leaf, _ = summary.leaf(batch)
    if part == "merge":
        Merger(1, 1).merge([leaf])
        return
    summary.touched(leaf)
    summary.keyframe()
    summary.figures()


def _timed() -> None:
    from engine.runs.timed_run import TimedRun
    from engine.runs.w1 import scenario

    list(TimedRun(scenario(events=2_000)).batches())


def _explore(kind: str, plan: str) -> None:
    """Explore a table or a world in one of the separately compiled ways; play a schedule of the world."""
    from engine.explore.plan import LIMITS, Plan
    from engine.explore.search.answers import answer
    from engine.explore.search.explorer import Explorer
    from engine.explore.tables.checking import checked
    from engine.explore.worlds.subject import WorldSubject
    from engine.runs.play import open_run
    from engine.scenario import Scenario

    subject: Any
    if kind == "table":
        procs = [{"name": "p", "start": "a", "steps": _TABLE_STEPS}]
        table = {"format": "protocol-table/1", "name": "warm", "procs": procs, "fair": "weak", "eventually": "1"}
        subject = checked(table)
    else:
        world = {"name": "warm", "workload": {"kind": "tasks", "pages": 1, "groups": [_LOCKERS]}, "schedule": "a2"}
        scenario = Scenario.model_validate(world)
        subject = WorldSubject(scenario)
        if plan == "plain":
            list(open_run(scenario).batches())
    explorer = Explorer(subject, Plan(**_PLANS[plan]))
    answer(explorer, explorer.run(), LIMITS)


_JOBS: dict[str, Any] = {
    "step": _step,
    "verb": _verb,
    "replay": _replay,
    "record": _record,
    "timed": _timed,
    "explore": _explore,
}


def warm(*, first: bool, processes: int, say: Callable[[str], None]) -> None:
    """Compile what is not in the cache yet; say: called with each line of progress."""
    from engine.world.linking import check_nesting

    begin = time.monotonic()
    check_nesting()
    groups = list(stages(first=first))
    total, done, compiled, tenth = sum(map(len, groups)), 0, 0, 1
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        _die_with_children(pool)
        for group in groups:
            for future in as_completed([pool.submit(compile_job, job) for job in group]):
                if not compiled and future.result():
                    say("compiling the engine for this machine, once: less than a minute")
                compiled += future.result()
                done += 1
                if compiled and 10 * done >= tenth * total:
                    tenth = 10 * done // total + 1
                    say(f"compiling the engine: {min(99, 100 * done // total)} %")
    took = time.monotonic() - begin
    say(f"engine ready in {took:.1f} s: {compiled} functions compiled, cache in {CACHE}")


def _die_with_children(pool: ProcessPoolExecutor) -> None:
    """Kill the compiling processes too on SIGTERM."""

    def end(number: int, frame: FrameType | None) -> None:
        for child in list((pool._processes or {}).values()):
            child.kill()
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, end)


def main(options: list[str]) -> None:
    """Compile according to the options."""
    if "--background" in options:
        with contextlib.suppress(OSError):
            os.nice(10)
        warm(first=False, processes=1, say=lambda line: None)
    else:
        warm(first="--first" in options, processes=os.cpu_count() or 1, say=lambda line: print(line, flush=True))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BadDesign as problem:
        sys.exit(f"folioscope: {problem}")
    except KeyboardInterrupt:  # Ctrl-C reaches both the server and this child process
        sys.exit(130)
