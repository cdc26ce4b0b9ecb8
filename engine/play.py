"""Scenario in, batches of events out: the door of the machine half."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from engine.build import hash_pages, make_world, page_addresses
from engine.cast import Cast, FileName, TaskName
from engine.costs import costs
from engine.designs import DESIGNS
from engine.errors import BadScenario
from engine.events import BATCH, Batch
from engine.kernels import KERNELS
from engine.linking import link
from engine.mm import steps
from engine.recordings.moves import Recording
from engine.rng import alias_table, seed_streams
from engine.scenario import Hold, Migrate, Pick, Recorded, Scenario, Tasks, Think, put_after
from engine.state import ASLEEP, EVENTS, NONE, NOW, OVERFLOW, SEQ, SLACK, UNLINKED, Rules, World
from engine.timed import FULL, STUCK, run_batch, start

FIRST_FILE_ADDRESS = -0x77FFFB000000
"""The first made-up struct address_space: 0xffff880005000000, in the direct map of 4.16."""

OPS = {
    "lock": steps.LOCK_PAGE,
    "unlock": steps.UNLOCK_PAGE,
    "wait_locked": steps.WAIT_ON_LOCKED,
    "wait_writeback": steps.WAIT_ON_WRITEBACK,
    "writeback_begin": steps.WRITEBACK_BEGIN,
    "writeback_end": steps.WRITEBACK_END,
    "dirty": steps.SET_DIRTY,
    "insert": steps.INSERT,
    "delete": steps.DELETE,
    "lookup": steps.LOOKUP,
    "put": steps.PUT,
    "truncate_page": steps.TRUNCATE,
    "lookup_locked": steps.LOOKUP_LOCKED,
    "write": steps.WRITE,
    "fault": steps.FAULT,
    "truncate": steps.TRUNCATE_RANGE,
    "migrate_page": steps.MIGRATE,
    "think": steps.THINK,
    "pick": steps.PICK,
    "hold": steps.HOLD,
}


class Player(Protocol):
    """One run being played. cast is complete before the first batch; the same scenario gives the same events."""

    cast: Cast
    total: int | None
    """Events expected, where that is known."""
    end_ns: int | None
    """Time at which the run will end, where that is known."""

    @property
    def progress(self) -> float:
        """How much of the run has been played, 0..1."""

    def batches(self) -> Iterator[Batch]:
        """Yield the run's events in order, 1..BATCH at a time."""


def rules_of(scenario: Scenario, n_tasks: int, kernel: str) -> Rules:
    """Return the plain numbers that a scenario's designs, kernel profile and costs come to.

    n_tasks: rows of tasks; those of the design's actors come after them.
    """
    profile, card = KERNELS[kernel], DESIGNS[scenario.wait.design]
    given = scenario.costs.model_dump(exclude={"preset"})
    ns = costs(scenario.costs.preset, given)
    numbers: dict[str, Any] = dict.fromkeys(Rules._fields, 0)
    numbers |= {"queue_lists": 1, **card.rules(scenario.wait)}
    for which in ("lock_step", "unlock_step", "grant_step", "sleep_step"):
        name = getattr(card, which)
        numbers[which] = NONE if name is None else steps.NUMBERS[name]
    numbers |= {name: getattr(profile, name) for name in Rules._fields if hasattr(profile, name)}
    numbers |= {
        "pins": int(isinstance(scenario.workload, Tasks) and scenario.workload.pinned),
        "n_tasks": n_tasks + len(card.actors),
        "first_actor": n_tasks,
        "cpus": scenario.machine.cpus,
        "atomic_ns": ns["atomic_ns"],
        "entry_ns": ns["entry_walked_ns"],
        "wake_ns": ns["wake_call_ns"],
        "queue_lock_ns": ns["queue_lock_ns"],
        "latency_ns": ns["wake_latency_ns"],
        "switch_ns": ns["context_switch_ns"],
    }
    return Rules(**numbers)


def actors_of(scenario: Scenario) -> list[int]:
    """Return the first steps of the kernel threads that work for the wait design."""
    return [steps.NUMBERS[step] for _, step in DESIGNS[scenario.wait.design].actors]


def actor_names(scenario: Scenario) -> list[TaskName]:
    """Return how these threads are shown."""
    return [TaskName(name=name, pid=2 + i) for i, (name, _) in enumerate(DESIGNS[scenario.wait.design].actors)]


def queues_of(scenario: Scenario, pages: int) -> int:
    """Return how many queues the wait design has for so many pages: numbers that events may show."""
    return DESIGNS[scenario.wait.design].queues(scenario.wait, pages)


def cut_batch(w: World) -> Batch:
    """Return the events in the world's trace as a Batch of its own, and empty the trace."""
    assert not w.clock[UNLINKED], f"step {w.clock[UNLINKED] - 1} was not linked"
    assert not w.clock[OVERFLOW], f"a step recorded more than {SLACK} events, the last of kind {w.clock[OVERFLOW]}"
    n, first = w.clock[EVENTS], w.clock[SEQ]
    columns = (column.array[:n].copy() for column in w.trace[:-1])
    batch = Batch(first, *columns)
    w.clock[SEQ] = first + n
    w.clock[EVENTS] = 0
    return batch


QUIET_MAX = 32
"""Batches in a row without an event (timed.TURNS_MAX turns each) after which a run is given up: half a minute."""


class TimedRun:
    """A made-up workload under the timed scheduler."""

    def __init__(self, scenario: Scenario) -> None:
        workload = scenario.workload
        assert isinstance(workload, Tasks), "a timed run needs tasks"
        self._scenario = scenario
        self.total: int | None = scenario.events_max
        self.end_ns: int | None = None
        self._played = 0
        self.world = self._build(scenario, workload)
        self.cast = Cast(
            tasks=[
                TaskName(name=f"{group.name}-{i}", pid=100 + i)
                for i, group in enumerate(group for group in workload.groups for _ in range(group.tasks))
            ]
            + actor_names(scenario),
            first_pfn=workload.first_pfn,
            page_count=workload.pages,
            files=[FileName(name="file", address=FIRST_FILE_ADDRESS)],
            cached_in=0 if workload.cached else -1,
            queues=queues_of(scenario, workload.pages),
        )

    @staticmethod
    def _build(scenario: Scenario, workload: Tasks) -> World:
        n_tasks = sum(group.tasks for group in workload.groups)
        program: tuple[list[int], list[int], list[int], list[int]] = ([], [], [], [])
        picks: list[Any] = []
        tables: dict[tuple[int, float], Any] = {}
        begins: list[int] = []
        for group in workload.groups:
            begin = len(program[0])
            begins.append(begin)
            for i, op in enumerate(group.program):
                arg = 0
                if isinstance(op, Think | Hold):
                    arg = op.mean_ns
                elif isinstance(op, Migrate):
                    arg = op.to
                elif isinstance(op, Pick):
                    count = op.count or workload.pages - op.first
                    if (count, op.zipf) not in tables:
                        tables[count, op.zipf] = alias_table(count, op.zipf)
                    arg = len(picks)
                    picks.append((op.first, count, *tables[count, op.zipf]))
                elif op.op == "lookup_locked" or (op.op == "lookup" and not workload.pinned):
                    arg = begin + put_after(group, i)
                program[0].append(OPS[op.op])
                program[1].append(arg)
                program[2].append(int(i == len(group.program) - 1))
                program[3].append(begin)
        actors = actors_of(scenario)
        for step in actors:  # each is a program of one step, which decides what comes next
            begins.append(len(program[0]))
            for column, value in zip(program, (step, 0, 1, len(program[0])), strict=True):
                column.append(value)
        w = make_world(
            rules_of(scenario, n_tasks, scenario.profile),
            wait=scenario.wait,
            n_pages=workload.pages,
            n_files=1,
            program=program,
            picks=picks,
        )
        pages, tasks = w.pages, w.tasks
        hash_pages(w, page_addresses(np.arange(workload.pages) + workload.first_pfn))
        pages.index.array[:] = np.arange(workload.pages)
        pages.refcount.array[:] = int(workload.cached) + int(workload.pinned)
        w.files.size[0] = workload.pages
        w.files.address[0] = FIRST_FILE_ADDRESS
        if workload.cached:
            pages.file.array[:] = 0
            pages.mapping.array[:] = FIRST_FILE_ADDRESS
            w.files.pages[0] = workload.pages
        tasks.random.array[:] = seed_streams(scenario.seed, n_tasks + len(actors))
        tasks.then.array[:] = steps.NEXT_OP
        at = 0
        for group, begin in zip(workload.groups, begins[: len(workload.groups)], strict=True):
            rows = slice(at, at + group.tasks)
            tasks.at.array[rows] = begin
            tasks.step.array[rows] = program[0][begin]
            tasks.rounds.array[rows] = group.repeat if group.repeat is not None else -1
            at += group.tasks
        for task, begin in enumerate(begins[len(workload.groups) :], n_tasks):
            tasks.at[task], tasks.step[task], tasks.rounds[task] = begin, program[0][begin], -1
            tasks.state[task] = ASLEEP
        if scenario.machine.cpus:
            tasks.cpu.array[:] = np.arange(n_tasks + len(actors)) % scenario.machine.cpus
        link(w, scenario.designs, {steps.NEXT_OP, *program[0]})
        start(w)
        return w

    @property
    def progress(self) -> float:
        limits = self._scenario.limits
        return min(1.0, max(self._played / self._scenario.events_max, self.world.clock[NOW] / limits.time_ns))

    def batches(self) -> Iterator[Batch]:
        """Play to the scenario's limits."""
        limits, w, most = self._scenario.limits, self.world, self._scenario.events_max
        quiet = 0
        while self._played < most:
            why = run_batch(w, BATCH, limits.time_ns)
            batch = cut_batch(w)
            quiet = 0 if len(batch) else quiet + 1
            if quiet > QUIET_MAX:
                raise BadScenario(
                    "nothing that is recorded happens: no task locks, waits, or changes a page",
                    code="nothing_happens",
                    field="scenario.workload.groups",
                )
            if self._played + len(batch) > most:
                batch = batch.cut(0, most - self._played)
            self._played += len(batch)
            if len(batch):
                yield batch
            if why == STUCK:
                raise BadScenario(
                    "a task's program goes round without letting time pass: add a think or a hold to it",
                    code="no_time_passes",
                    field="scenario.workload.groups",
                )
            if why != FULL:
                return


def open_run(scenario: Scenario, recording: Recording | None = None) -> Player:
    """Return the player of a scenario; a recorded workload needs its recording."""
    if isinstance(scenario.workload, Recorded):
        from engine.replay import ReplayRun

        if recording is None:
            raise BadScenario("the recording is missing: import it first", field="scenario.workload.recording")
        return ReplayRun(scenario, recording)
    if scenario.schedule is not None:
        from engine.scheduled import ScheduledRun

        return ScheduledRun(scenario)
    return TimedRun(scenario)


def seal(batches: Iterator[Batch]) -> str:
    """Return the SHA-256 of all events' packed records: the run's seal."""
    digest = hashlib.sha256()
    for batch in batches:
        digest.update(batch.records().tobytes())
    return digest.hexdigest()
