"""Golden runs: a seal per kernel profile and design, and one short run told as a story.

`make golden` (UPDATE_GOLDEN=1) writes them anew; the difference is read in review, and a changed seal is a line in the
changelog: it is another engine version.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.designs import DESIGNS
from engine.events import ENTRY, PAGE_BITS, STOPS, WALK, Batch, Kind
from engine.kernels import KERNELS
from engine.recordings.reading import read_file
from engine.runs.play import open_run, seal
from engine.runs.timed_run import TimedRun
from engine.scenario import Scenario
from tests.worlds import scenario

GOLDEN = Path(__file__).parents[1] / "golden"
RECORDING = Path(__file__).parent / "recordings" / "data" / "waits-6.1.trace.txt.gz"
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))
PROGRAMS = (
    "30*40/think:20000 pick lookup lock hold:800 unlock put",
    "6*40/think:40000 pick lock dirty writeback_begin unlock hold:3000 writeback_end",
    "8*40/think:30000 pick wait_writeback",
    "3*20/think:90000 pick truncate_page pick lock insert unlock",
    "4*40/think:30000 pick wait_locked",
)

CROWD = (
    "120*4/think:100000 wait_locked",
    "2*200/think:20000 wait_writeback",
    "12/lock think:900000 writeback_begin unlock think:40000 writeback_end "
    "lock writeback_begin unlock think:3000 writeback_end",
)


def made_up(kernel: str, design: str) -> list[Scenario]:
    """Return a run of everything over six pages, and one of a crowd that waits for one page."""
    estimate = {"costs": {"preset": "estimate"}}
    return [
        scenario(*PROGRAMS, kernel=kernel, design=design, bits=4, pages=6, machine={"cpus": 4}, **estimate),
        scenario(*CROWD, kernel=kernel, design=design, **estimate),
    ]


def played(scenarios: list[Scenario]) -> Iterator[Batch]:
    for each in scenarios:
        yield from open_run(each).batches()


def recorded(design: str) -> Scenario:
    return Scenario.model_validate(
        {"name": "demo", "wait": {"design": design}, "workload": {"kind": "recording", "recording": "demo"}}
    )


def check(name: str, found: str) -> None:
    """Compare with the file of that name, or write it where goldens are being updated."""
    path = GOLDEN / name
    if UPDATE:
        path.write_text(found)
    assert found == path.read_text(), f"{name} is no longer what it was: read the difference, then `make golden`"


def test_given_each_profile_and_design_then_the_seal_is_the_golden_one() -> None:
    seals = {f"{kernel} {design}": seal(played(made_up(kernel, design))) for kernel in KERNELS for design in DESIGNS}
    recording = read_file(RECORDING)
    seals |= {f"demo {design}": seal(open_run(recorded(design), recording).batches()) for design in DESIGNS}
    # page_waiter hands the lock over in every kernel: what 5.9 changed there since its first form makes no difference
    alike = {"5.9-rc page_waiter": "5.9 page_waiter"}
    assert all(seals[one] == seals[other] for one, other in alike.items())
    assert len(set(seals.values())) == len(seals) - len(alike), "two of these runs are the same: one axis has no effect"
    check("seals.json", json.dumps(seals, indent=1) + "\n")


def told(batch: Batch) -> str:
    """Return the events as text, a line each."""
    lines = []
    for time, kind, task, page, a, b in zip(
        *(column.tolist() for column in (batch.time, batch.kind, batch.task, batch.page, batch.a, batch.b)), strict=True
    ):
        name = Kind(kind).name
        if kind in (Kind.waiter_queued, Kind.waiter_woken, Kind.waiter_left):
            entry = ENTRY.unpack(a, b)
            words = f"queue {a} length {entry.length} {PAGE_BITS[entry.bit]}"
        elif kind == Kind.walk_ended:
            seen = WALK.unpack(a, b)
            counts = f"walked {seen.walked} matched {seen.matched} woken {seen.woken}"
            words = f"queue {seen.queue} {counts} {STOPS[seen.stop]}"
        else:
            words = f"{a & (1 << 64) - 1:#x} {b & (1 << 64) - 1:#x}"
        lines.append(f"{time:>8} task {task} page {page} {name} {words}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("design", DESIGNS)
def test_given_a_short_run_then_its_story_is_the_golden_one(design: str) -> None:
    programs = ("2/lock hold:900 unlock think:300", "2/lock hold:700 unlock think:200", "think:500 truncate_page")
    run = TimedRun(scenario(*programs, design=design, kernel="6.1"))
    check(f"story-{design}.txt", told(next(run.batches())))
