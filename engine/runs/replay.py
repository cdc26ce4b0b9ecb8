"""The replay scheduler: the recording decides which task runs next, the design under test decides the cost.

Each move of the recording (engine.recordings.moves) runs the same steps as a timed run: a queued waiter goes through
wait_prepare .. wait_sleep, a wake through wake_begin .. wake_end, one pass at a time where the kernel paused. State
that the steps cannot derive (when each bit was set) is taken from the recording's lines.

Wakes often come from an interrupt, recorded under the interrupted thread, which may itself be queued. So every recorded
task has several rows: row t is the task as a waiter, t + n as a waker, t + 2n as a waker that interrupts that one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.cast import Cast, FileName, TaskName
from engine.errors import BadScenario
from engine.events import BATCH, STOPS, Batch
from engine.recordings.kernels import UNKNOWN_BIT
from engine.recordings.moves import Op, Recording
from engine.runs.batches import cut_batch
from engine.runs.replay_steps import DONE, PASSES, RUNNING, UNNAMED, Moves, Outcome, replay_batch
from engine.scenario import TIME_MAX_NS, Scenario
from engine.world.build import hash_pages, make_world, page_addresses
from engine.world.linking import link
from engine.world.rules import actor_names, actors_of, queues_of, rules_of
from engine.world.state import ASLEEP, NONE, VISITS


class Plan(NamedTuple):
    """A recording's walks, found before its moves are played. Arrays have shape (n_moves,); levels: deepest nesting."""

    depth: NDArray[np.int64]  # for walk and walk_on: nesting of the waker, from 1
    number: NDArray[np.int64]  # for walk and walk_on: number of the wake
    more: NDArray[np.int64]  # for walk and walk_on: remaining recorded passes of this wake
    levels: int
    wakes: int
    passes: int


ONE_PATH = ([0], [0], [1], [0])
"""Program of every row in a replay: each path is one whole operation, and no operation follows it."""

LEVELS_MAX = 8
"""Max. overlapping wakes of one thread. A kernel nests three or four; a damaged recording may show more."""


def plan_walks(recording: Recording) -> Plan:
    """Join the later passes of each walk to its first: the latest walk with the same CPU, thread, page and bit.

    A walk lasts from its first pass to its last; overlapping walks of one thread need separate rows. Passes of a walk
    nested deeper than LEVELS_MAX become walks of one pass each, which never overlap.
    """
    moves = recording.moves
    depth, number, more = (np.zeros(len(moves), np.int64) for _ in range(3))
    op = moves["op"]
    open_walks: dict[tuple[int, int, int, int], list[int]] = {}
    chains: list[list[int]] = []
    threads: list[int] = []
    for i in np.flatnonzero((op == Op.walk) | (op == Op.walk_on)).tolist():
        move = moves[i]
        key = (int(move["cpu"]), int(move["task"]), int(move["page"]), int(move["bit"]))
        chain = open_walks.get(key) if move["op"] == Op.walk_on else None
        if chain is None:  # a first pass, or one whose first pass was lost
            chain = open_walks[key] = []
            chains.append(chain)
            threads.append(int(move["task"]))
        chain.append(i)
    busy: dict[int, list[int]] = {}  # thread -> where the latest walk at each depth ends
    wakes: list[list[int]] = []
    for chain, task in zip(chains, threads, strict=True):
        ends = busy.setdefault(task, [])
        level = next((at for at, end in enumerate(ends) if end < chain[0]), len(ends))
        depth[chain] = level + 1
        if level == LEVELS_MAX:
            wakes += [[i] for i in chain]
        else:
            ends[level : level + 1] = [chain[-1]]
            wakes.append(chain)
    wakes.sort()
    number[:] = -1
    for n, wake in enumerate(wakes):
        number[wake] = n
        more[wake] = range(len(wake) - 1, -1, -1)
    return Plan(depth, number, more, max(1, int(depth.max(initial=0))), len(wakes), sum(map(len, wakes)))


class ReplayRun:
    """A recording played under a wait design. `outcome` holds what each recorded wake would have walked."""

    def __init__(self, scenario: Scenario, recording: Recording) -> None:
        kernel = scenario.kernel or recording.report.kernel or "6.1"
        if not len(recording.moves):
            raise BadScenario("the recording holds nothing to play", field="scenario.workload.recording")
        self._scenario = scenario
        self._n = len(recording.tasks)
        self._moves = recording.moves
        self._plan = plan_walks(recording)
        self.total: int | None = None
        self.end_ns: int | None = max(1, int(recording.moves["time"][-1]))
        self._at = 0
        self._events = 0
        self.on_pass: Callable[[int, NDArray[np.uint32]], None] | None = None
        """Called for each pass with the number of the wake and the tasks walked, in order."""
        n_rows = self._n * (1 + self._plan.levels)
        n_pages = len(recording.pfns)
        rules = rules_of(scenario, n_rows, kernel)
        rules = rules._replace(cpus=0, latency_ns=0, visits=max(1 << 18, 4 * n_rows))
        self.world = w = make_world(
            rules, wait=scenario.wait, n_pages=n_pages, n_files=len(recording.files), program=ONE_PATH
        )
        link(w, scenario.designs, roots=[replay_batch])
        for task, step in enumerate(actors_of(scenario), rules.first_actor):
            w.tasks.step[task], w.tasks.state[task] = step, ASLEEP
        hash_pages(w, page_addresses(recording.pfns, recording.vmemmap_base))
        w.pages.refcount.array[:] = 1
        w.pages.home.array[:] = NONE
        for row, (_, address) in enumerate(recording.files):
            w.files.address[row] = address
        self.cast = Cast(
            tasks=[TaskName(name=comm, pid=pid) for comm, pid in recording.tasks] + actor_names(scenario),
            page_count=n_pages,
            pfns=recording.pfns.tolist(),
            files=[FileName(name=name, address=address) for name, address in recording.files],
            page_files=_first_files(recording),
            marks=recording.marks,
            queues=queues_of(scenario, n_pages),
            clock="time since the first event of the recording",
        )
        plan = self._plan
        columns = {name: np.ascontiguousarray(self._moves[name]).astype(np.int64) for name in Moves._fields[:11]}
        columns["bit"][columns["bit"] == UNKNOWN_BIT] = UNNAMED
        self._columns = Moves(**columns, depth=plan.depth, number=plan.number, more=plan.more)
        self.outcome = Outcome(
            wakes=np.full((plan.wakes, 6), -1, np.int64),
            passes=np.zeros((PASSES + n_rows, 3), np.int64),
            counts=np.zeros(8, np.int64),
            truncation=np.zeros((self._n, 3), np.int64),
            seen=np.zeros(n_pages, np.uint8),
        )

    @property
    def progress(self) -> float:
        return self._at / len(self._moves)

    def batches(self) -> Iterator[Batch]:
        """Play all moves, or stop at the scenario's limits."""
        until, most, w = self._scenario.limits.time_ns, self._scenario.events_max, self.world
        if until == TIME_MAX_NS:  # the bound of the timed scheduler; a recording has none
            until = np.iinfo(np.int64).max
        while self._events < most:
            self._at = int(replay_batch(w, self._columns, self.outcome, self._at, self._n, w.rules.strip, until))
            if not w.clock[RUNNING]:
                self._drain()
            batch = cut_batch(w)
            self._name_tasks(batch.task)
            if self._events + len(batch) > most:
                batch = batch.cut(0, most - self._events)
            self._events += len(batch)
            for start in range(0, len(batch), BATCH):
                yield batch.cut(start, min(start + BATCH, len(batch)))
            if w.clock[DONE]:
                return

    def _name_tasks(self, rows: NDArray[np.uint32]) -> None:
        """Convert World rows to cast rows in place: each row of a recorded task to that task, then the actors."""
        first = np.uint32(self.world.rules.first_actor)
        actors = (rows >= first) & (rows != NONE)
        tasks = rows < first
        rows[tasks] %= np.uint32(self._n)
        rows[actors] = rows[actors] - first + np.uint32(self._n)

    def _drain(self) -> None:
        """Report the passes walked since the last call to on_pass, and free their space."""
        passes = self.outcome.passes[: int(self.outcome.counts[0])]
        if self.on_pass is not None:
            visits = self.world.trace.visits.array
            for number, begin, count in passes.tolist():
                self.on_pass(number, visits[begin : begin + count] % self._n)
        self.outcome.counts[0] = 0
        self.world.clock[VISITS] = 0


def _first_files(recording: Recording) -> list[int]:
    """Return the file each page is first inserted into, -1 for none."""
    files = np.full(len(recording.pfns), -1, np.int64)
    inserts = recording.moves[recording.moves["op"] == Op.insert]
    for page, file in zip(inserts["page"][::-1].tolist(), inserts["arg"][::-1].tolist(), strict=True):
        files[page] = file
    first: list[int] = files.tolist()
    return first


@dataclass
class Wake:
    """One predicted wake: the columns of a truth file."""

    walked: int
    passes: list[int]
    matched: int
    woken: int
    other_bit: int
    stop: str
    waiters: list[int] = field(default_factory=list)
    """PIDs of the entries walked, in order."""


def predict(
    recording: Recording, *, design: str = "hashed", bits: int | None = None, kernel: str | None = None
) -> tuple[list[Wake], dict[str, int]]:
    """Predict every wake of the recording from its moves alone, and count the waits that did not fit.

    Returns the wakes in the order they began; {"events", "waits", "waits_without_wake", "waits_left_unseen"}.
    Raises BadScenario for an unknown design, bits or kernel.
    """
    fields: dict[str, Any] = {
        "name": "replay",
        "wait": {"design": design} if bits is None else {"design": design, "bits": bits},
        "workload": {"kind": "recording", "recording": "0" * 12},
    }
    if kernel is not None:
        fields["kernel"] = kernel
    run = ReplayRun(Scenario.model_validate(fields), recording)
    pids = np.array([pid for _, pid in recording.tasks], np.int64)
    passes: list[list[int]] = [[] for _ in run.outcome.wakes]
    walked: list[list[int]] = [[] for _ in run.outcome.wakes]

    def note(number: int, tasks: NDArray[np.uint32]) -> None:
        passes[number].append(len(tasks))
        walked[number] += pids[tasks].tolist()

    run.on_pass = note
    events = sum(len(batch) for batch in run.batches())
    wakes = [
        Wake(row[0], passes[i], row[1], row[2], row[3], STOPS[max(row[4], 0)], walked[i])
        for i, row in enumerate(run.outcome.wakes.tolist())
    ]
    counts = {
        "events": events,
        "waits": int(run.outcome.counts[1]),
        "waits_without_wake": int(run.outcome.counts[2]),
        "waits_left_unseen": int(run.outcome.counts[3]),
    }
    return wakes, counts
