"""A made-up workload: its World, built from the scenario, and played by the timed scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.cast import Cast, FileName, TaskName, file_address
from engine.devices import DEVICES
from engine.errors import BadScenario
from engine.events import BATCH, Batch
from engine.mm import steps
from engine.operations import Atomic, Fork, Hold, KsmScan, Migrate, Pick, Reclaim, Think
from engine.program import OPERATIONS, ends_with_put, put_after
from engine.runs.batches import cut_batch
from engine.runs.timed import FULL, STUCK, run_batch, start
from engine.scenario import Scenario
from engine.workloads import Tasks
from engine.world.build import hash_pages, make_world, page_addresses
from engine.world.linking import link
from engine.world.memory import add_device, map_pages, scans
from engine.world.rng import alias_table, seed_streams
from engine.world.rules import actor_names, actors_of, anon_word, movable_word, queues_of, rules_of
from engine.world.state import ASLEEP, NONE, NOW, World

QUIET_MAX = 32
"""Consecutive batches without an event (timed.TURNS_MAX turns each) before a run is abandoned: half a minute."""


def _file_name(workload: Tasks, row: int) -> str:
    if workload.type == "movable":
        return "driver"
    return "file" if workload.files == 1 else f"file-{row}"


def _files_of(workload: Tasks) -> list[int]:
    """Return the file of each page."""
    return [workload.file_of(page) for page in range(workload.pages)]


def _anonymous(workload: Tasks) -> int:
    """Return how many of the first pages are anonymous: as many as divide among the address spaces."""
    memory = workload.memory
    return workload.pages // memory.mms * memory.mms if memory is not None and memory.maps == "anonymous" else 0


def _page_files(workload: Tasks) -> list[int]:
    """Return the file of each page, -1 for spare ones; [] if all pages are in one file."""
    spare = workload.all_pages - workload.pages
    if _anonymous(workload) or (workload.files == 1 and not spare):
        return []
    return _files_of(workload) + [-1] * spare


def _modified(scenario: Scenario, writers: range) -> list[int]:
    """Return for each of the CPUs' tasks whether its program asks for a protected page, spread evenly over all."""
    share = 1 - getattr(scenario.protect, "unmodified", 1.0)
    return [int((i + 1) * share + 1e-9) - int(i * share + 1e-9) for i in writers]


class TimedRun:
    """A made-up workload under the timed scheduler."""

    def __init__(self, scenario: Scenario, *, watched: bool = False) -> None:
        """Build the scenario's World; watched: its steps check for every witness (engine.invariants), at a cost."""
        workload = scenario.workload
        assert isinstance(workload, Tasks), "a timed run needs tasks"
        self._scenario = scenario
        self.total: int | None = scenario.events_max
        self.end_ns: int | None = None
        self._played = 0
        self.world = self._build(scenario, workload, watched=watched)
        self.cast = Cast(
            tasks=[
                TaskName(name=f"{group.name}-{i}", pid=100 + i)
                for i, group in enumerate(group for group in workload.groups for _ in range(group.tasks))
            ]
            + actor_names(scenario),
            first_pfn=workload.first_pfn,
            page_count=workload.all_pages,
            files=[
                FileName(name=_file_name(workload, row), address=file_address(row)) for row in range(workload.files)
            ],
            page_files=_page_files(workload),
            cached_in=-1 if _anonymous(workload) or not workload.cached or workload.type == "movable" else 0,
            anonymous=_anonymous(workload),
            anon_word=anon_word(scenario),
            movable=workload.movable,
            movable_word=movable_word(scenario),
            mapped=workload.memory is not None,
            devices=sum(group.device is not None for group in workload.groups),
            queues=queues_of(scenario, workload.all_pages),
        )

    @staticmethod
    def _build(scenario: Scenario, workload: Tasks, *, watched: bool) -> World:
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
                elif isinstance(op, Migrate | Fork):
                    arg = op.to
                elif isinstance(op, Atomic):
                    arg = op.bytes
                elif isinstance(op, KsmScan | Reclaim):
                    arg = op.pages
                elif isinstance(op, Pick):
                    count = op.count or workload.choices - op.first
                    if (count, op.zipf) not in tables:
                        tables[count, op.zipf] = alias_table(count, op.zipf)
                    arg = len(picks)
                    picks.append((op.first, count, *tables[count, op.zipf]))
                elif ends_with_put(op.op, pinned=workload.pinned):
                    arg = begin + put_after(group.names, i)
                operation = OPERATIONS[op.op]
                first = operation.mapped_step if workload.memory is not None and operation.mapped_step else ""
                program[0].append(steps.NUMBERS[first or operation.step])
                program[1].append(arg)
                program[2].append(int(i == len(group.program) - 1))
                program[3].append(begin)
        actors = actors_of(scenario)
        for step in actors:  # each runs a program of one step, which decides the next step
            begins.append(len(program[0]))
            for column, value in zip(program, (step, 0, 1, len(program[0])), strict=True):
                column.append(value)
        w = make_world(
            rules_of(scenario, n_tasks, scenario.profile)._replace(watched=watched),
            wait=scenario.wait,
            protect=scenario.protect,
            n_pages=workload.all_pages,
            n_files=workload.files,
            program=program,
            picks=picks,
        )
        pages, tasks = w.pages, w.tasks
        hash_pages(w, page_addresses(np.arange(workload.all_pages) + workload.first_pfn))
        own, home = slice(0, workload.pages), np.array(_files_of(workload))  # spare pages come after them
        sizes = np.bincount(home, minlength=workload.files)
        pages.home.array[own] = home
        pages.index.array[own] = np.arange(workload.pages) - (np.cumsum(sizes) - sizes)[home]
        pages.refcount.array[own] = int(workload.cached) + int(workload.pinned)
        w.files.size.array[:] = sizes
        w.files.address.array[:] = [file_address(row) for row in range(workload.files)]
        pages.file.array[:] = NONE
        if workload.cached:
            pages.file.array[own] = home
            pages.mapping.array[own] = w.files.address.array[home]
            w.files.pages.array[:] = sizes
        if workload.type == "movable":
            pages.file.array[:] = NONE
            pages.home.array[:] = NONE
            pages.mapping.array[:] = 0
            pages.mapping.array[: workload.movable] = w.rules.movable_word
            pages.refcount.array[workload.movable :] = 1  # the pin; the driver has a reference on the others
        if workload.memory is not None:
            map_pages(w, workload)
        tasks.random.array[:] = seed_streams(scenario.seed, n_tasks + len(actors))
        at = devices = writers = 0
        for group, begin in zip(workload.groups, begins[: len(workload.groups)], strict=True):
            rows = slice(at, at + group.tasks)
            tasks.at.array[rows] = begin
            tasks.step.array[rows] = program[0][begin]
            tasks.rounds.array[rows] = group.repeat if group.repeat is not None else -1
            if group.device is None and not scans(group):
                tasks.modified.array[rows] = _modified(scenario, range(writers, writers + group.tasks))
                writers += group.tasks
            tasks.mm.array[rows] = w.rules.mms if scans(group) else group.mm
            if group.device is not None:
                tasks.device.array[rows] = add_device(w, devices, DEVICES[group.device])
                devices += 1
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
        """Play until one of the scenario's limits."""
        limits, w, most = self._scenario.limits, self.world, self._scenario.events_max
        quiet = 0
        while self._played < most:
            reason = run_batch(w, BATCH, limits.time_ns)
            batch = cut_batch(w)
            quiet = 0 if len(batch) else quiet + 1
            if quiet > QUIET_MAX:
                raise BadScenario(
                    "no events are being recorded: no task locks, waits, or changes a page",
                    code="nothing_happens",
                    field="scenario.workload.groups",
                )
            if self._played + len(batch) > most:
                batch = batch.cut(0, most - self._played)
            self._played += len(batch)
            if len(batch):
                yield batch
            if reason == STUCK:
                raise BadScenario(
                    "a task's program loops without letting time pass: add a think or a hold to it",
                    code="no_time_passes",
                    field="scenario.workload.groups",
                )
            if reason != FULL:
                return
