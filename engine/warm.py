"""Compile the engine ahead, telling its progress: `python -m engine.warm`. Later starts load it from the cache.

A line for every tenth of the functions that numba finishes, then how long all took; a warm cache prints that alone.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from numba.core import event

from engine.jit import CACHE

FUNCTIONS = 465
"""Functions compiled on an empty cache, roughly: the scale of the progress lines."""
TOLD_EVERY = FUNCTIONS // 10


_LOCKERS = {"name": "t", "tasks": 2, "repeat": 1, "program": [{"op": "lock"}, {"op": "unlock"}]}
_STEPS = [{"at": "a", "to": "b"}, {"at": "b", "to": "-"}]


class _Progress(event.Listener):  # type: ignore[misc]
    """Counts functions as they are compiled."""

    def __init__(self) -> None:
        self.done = 0

    def on_start(self, event: Any) -> None:
        """Nothing to tell yet."""

    def on_end(self, event: Any) -> None:
        self.done += 1
        if self.done == 1:
            print("compiling the engine for this machine, once: about two minutes", flush=True)
        if self.done % TOLD_EVERY == 0:
            print(f"compiling the engine: {min(99, 100 * self.done // FUNCTIONS)} %", flush=True)


def _explored() -> None:
    """Explore a table and a world in the ways that are compiled apart, and play a schedule."""
    from engine.explore.answers import answer
    from engine.explore.explorer import Explorer
    from engine.explore.plan import LIMITS, Plan
    from engine.explore.table import checked
    from engine.explore.worlds.subject import WorldSubject
    from engine.play import open_run
    from engine.scenario import Scenario

    procs = [{"name": "p", "start": "a", "steps": _STEPS}]
    table = checked({"format": "protocol-table/1", "name": "warm", "procs": procs, "fair": "weak", "eventually": "1"})
    world = {"name": "warm", "workload": {"kind": "tasks", "pages": 1, "groups": [_LOCKERS]}, "schedule": "a2"}
    scenario = Scenario.model_validate(world)
    for subject in (table, WorldSubject(scenario)):
        for plan in (Plan(), Plan(search="random", walks=2), Plan(reduction="all"), Plan(compact=True)):
            explorer = Explorer(subject, plan)
            answer(explorer, explorer.run(), LIMITS)
    list(open_run(scenario).batches())


def warm() -> None:
    """Compile (or load) everything that a run calls, by playing two short ones."""
    begin = time.monotonic()
    progress = _Progress()
    with event.install_listener("numba:compile", progress):
        from engine.merge import Merger
        from engine.planes import CompiledPlanes
        from engine.play import TimedRun
        from engine.recordings.demo import demo
        from engine.replay import ReplayRun
        from engine.scenario import Scenario
        from engine.summary import Summariser
        from engine.w1 import scenario

        recorded = {"name": "warm", "workload": {"kind": "recording", "recording": "demo"}, "limits": {"events": 2_000}}
        timed, replayed = TimedRun(scenario(events=2_000)), ReplayRun(Scenario.model_validate(recorded), demo())
        for cast, batches in ((timed.cast, timed.batches()), (replayed.cast, replayed.batches())):
            summary, planes = Summariser(cast), CompiledPlanes(len(cast.tasks))
            pages = cast.page_count if cast.pfns is None else len(cast.pfns)
            leaves = []
            for batch in batches:
                leaves.append(summary.leaf(batch))
                summary.touched(leaves[-1])
                by_kind, by_task = planes.orders(batch)
                planes.add(batch.a, by_kind)
                planes.add_rising(batch.time)
                planes.add_followed(batch.page, by_task)
                planes.add_followed(batch.cpu, by_task)
                planes.records(batch)
                planes.taken()
            Merger(pages, max(cast.queues, 1)).merge(leaves)
            summary.keyframe()
            summary.figures()
        _explored()
    took = time.monotonic() - begin
    print(f"engine ready in {took:.1f} s: {progress.done} functions compiled, cache in {CACHE}", flush=True)


if __name__ == "__main__":
    try:
        warm()
    except KeyboardInterrupt:  # Ctrl-C reaches the server and this child of it alike
        sys.exit(130)
