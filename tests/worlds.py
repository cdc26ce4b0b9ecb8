"""Worlds for tests: small scenarios drawn in one line, and their story told event by event."""

from __future__ import annotations

from typing import Any

from engine.cast import Cast
from engine.designs import DESIGNS
from engine.events import Batch, Kind
from engine.fold import Folded, Page, fold
from engine.invariants import INVARIANTS, WITNESSES
from engine.program import group_of
from engine.runs.schedule import enabled, play_schedule, step_name, step_once
from engine.runs.timed_run import TimedRun
from engine.scenario import Scenario
from engine.world.state import BROKEN, SEEN, World

IDEAL_NO_LATENCY = {"wake_latency_ns": 0}


def scenario(*programs: str, design: str = "hashed", kernel: str = "4.16", **more: Any) -> Scenario:
    """Return a scenario with a group of tasks per program, as engine.program.group_of reads it.

    memory: the workload's address spaces; mms: the one of each group, 0 if absent; devices:
    profile of each group.
    """
    groups = [group_of(f"t{i}", text) for i, text in enumerate(programs)]
    for group, mm in zip(groups, more.pop("mms", ()), strict=False):
        group["mm"] = mm
    for group, device in zip(groups, more.pop("devices", ()), strict=False):
        group["device"] = device
    workload = {"kind": "tasks", "pages": more.pop("pages", 1), "groups": groups, "cached": more.pop("cached", True)}
    if (memory := more.pop("memory", None)) is not None:
        workload["memory"] = memory
    workload |= {name: more.pop(name) for name in ("type", "files") if name in more}
    workload["pinned"] = more.pop("pinned", True)
    more["truncate"] = {"design": more.pop("truncate", "helper")}
    wait = wait_of(design, more.pop("bits", 8)) | more.pop("wait", {})
    return Scenario.model_validate({"name": "test", "kernel": kernel, "wait": wait, "workload": workload, **more})


def wait_of(design: str, bits: int) -> dict[str, Any]:
    """Return the options of a wait design; bits counts where the design has shared queues."""
    return {"design": design, **({"bits": bits} if "bits" in DESIGNS[design].options.model_fields else {})}


class Stage:
    """A world whose steps the test takes by hand. Tasks are numbered in the order of the programs."""

    def __init__(self, *programs: str, watched: bool = True, **more: Any) -> None:
        self.run = TimedRun(scenario(*programs, **more), watched=watched)
        self.world: World = self.run.world
        self.batches: list[Batch] = []

    def play(self, schedule: str) -> list[str]:
        """Take one step of each task named, "0 0 1"; return what happened, as words."""
        batch = play_schedule(self.world, [int(task) for task in schedule.split()])
        self.batches.append(batch)
        return story(batch)

    def until(self, task: int, step: str) -> list[str]:
        """Take steps of one task until it stands before the step named, or cannot move."""
        told: list[str] = []
        for _ in range(10_000):
            if step_name(self.world, task) == step or not enabled(self.world, task):
                return told
            told += self.play(str(task))
        raise AssertionError(f"task {task} never comes to {step}")

    def sleep(self, task: int) -> list[str]:
        """Take steps of one task until it sleeps or has finished."""
        return self.until(task, "-")

    def saw(self, name: str) -> bool:
        """True if a step so far has witnessed this (a name of engine.invariants.WITNESSES)."""
        (number,) = [i for i, (known, _) in enumerate(WITNESSES) if known == name]
        return bool(self.world.clock[SEEN] >> number & 1)

    def broke(self) -> set[str]:
        """Return the names of the invariants that steps so far have seen broken."""
        return {each.name for i, each in enumerate(INVARIANTS) if self.world.clock[BROKEN] >> i & 1}

    def folded(self) -> Folded:
        """Return the state that the events so far tell of."""
        state = start_of(self.run.cast)
        for batch in self.batches:
            fold(batch, state)
        return state


def start_of(cast: Cast) -> Folded:
    """Return the state before the first event."""
    if cast.page_files and cast.cached_in >= 0:
        words = cast.first_mappings(range(cast.page_count))
        return Folded({row: Page(mapping=word) for row, word in enumerate(words)})
    return Folded(pages_at_start=Page(mapping=next(iter(cast.first_mappings([0])))))


def story(batch: Batch) -> list[str]:
    """Return "task kind" for each event."""
    return [f"{task} {Kind(kind).name}" for task, kind in zip(batch.task.tolist(), batch.kind.tolist(), strict=True)]


__all__ = ["Stage", "enabled", "fold", "scenario", "start_of", "step_name", "step_once", "story"]
