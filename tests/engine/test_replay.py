"""Replay against what real kernels did: every wake of every recording with truth, and what other designs would do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.recordings.moves import Recording
from engine.recordings.reading import read_file
from engine.recordings.shipped import shipped_recordings
from engine.recordings.truth import read_snapshots, read_truth
from engine.runs.replay import ReplayRun, Wake, predict
from engine.scenario import Scenario
from engine.snapshots import compare_snapshots

DATA = Path(__file__).parent / "recordings" / "data"
FOLDER = Path(os.environ.get("TRACES") or Path(__file__).parents[2].parent / "shared" / "traces")
"""The full recordings, where they are at hand; the samples in DATA are cut from them and always are."""


def with_truth() -> Iterator[tuple[Path, Path]]:
    yield from ((one.trace, one.truth) for one in shipped_recordings().values())
    for folder in (DATA, FOLDER):
        for truth in sorted(folder.glob("*.truth.csv.gz")):
            yield truth.with_name(truth.name.replace(".truth.csv", ".trace.txt")), truth


PAIRS = list(with_truth())


def told(wake: Wake) -> tuple[object, ...]:
    return wake.walked, wake.passes, wake.matched, wake.woken, wake.other_bit, wake.stop, wake.waiters


def right(recording: Recording, truth: Path, *, bits: int = 8) -> int:
    """Return how many of the kernel's wakes come out right in every column."""
    wakes, _ = predict(recording, bits=bits)
    kernels = read_truth(truth)
    assert len(wakes) == len(kernels)
    pairs = zip(wakes, kernels, strict=True)
    return sum(
        told(ours)
        == (
            their.walked,
            list(their.batches),
            their.matched,
            their.woken,
            their.other_bit,
            their.stop,
            list(their.waiters),
        )
        for ours, their in pairs
    )


def table_bits(trace: Path) -> int:
    """Return how many bits the recorded kernel's wait table had: 8 unless its meta file says otherwise."""
    meta = trace.with_name(trace.name.replace(".trace.txt.gz", ".meta.json"))
    return int(json.loads(meta.read_text()).get("wait_table_bits", 8)) if meta.is_file() else 8


@pytest.mark.parametrize(
    ("trace", "truth"), PAIRS, ids=[f"{t.parent.name}-{t.name.split('.trace')[0]}" for t, _ in PAIRS]
)
def test_given_a_recording_then_every_wake_is_foretold_exactly(trace: Path, truth: Path) -> None:
    assert right(read_file(trace), truth, bits=table_bits(trace)) == len(read_truth(truth))


full_set = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the full recordings are not here (TRACES names their folder)"
)


@full_set
@pytest.mark.parametrize(("bits", "wakes"), [(7, 2160), (8, 3005), (9, 2270), (12, 2057)])
def test_given_a_table_of_another_size_then_the_collisions_tell(bits: int, wakes: int) -> None:
    """The same figures as an independent queue model's on this recording, where strangers meet on purpose."""
    assert (
        right(read_file(FOLDER / "collide-6.1.trace.txt.gz"), FOLDER / "collide-6.1.truth.csv.gz", bits=bits) == wakes
    )


@full_set
@pytest.mark.parametrize("form", ["trace-cmd", "perf-script"])
def test_given_a_recording_that_lost_two_wakes_then_two_waits_end_without_one(form: str) -> None:
    recording = read_file(FOLDER / f"formats-6.1.{form}.txt.gz")
    _, counts = predict(recording)
    assert counts["waits_without_wake"] == recording.report.waits_without_wake_count == 2


@pytest.mark.parametrize("trace", [trace for trace, _ in PAIRS[:6]], ids=lambda path: path.name)
def test_given_a_queue_for_each_page_then_nobody_meets_strangers_and_the_same_tasks_wake(trace: Path) -> None:
    recording = read_file(trace)
    shared, counts = predict(recording)
    own, own_counts = predict(recording, design="page_wait")
    assert all(wake.walked == wake.matched for wake in own)
    assert [wake.woken for wake in own] == [wake.woken for wake in shared]
    assert own_counts["waits"] == counts["waits"]


def snapshot_pairs() -> Iterator[Path]:
    for folder in (DATA, FOLDER):
        yield from sorted(folder.glob("*.snapshots.csv.gz"))


@pytest.mark.parametrize("truth", list(snapshot_pairs()), ids=lambda path: path.parent.name)
def test_given_the_life_cycle_recording_then_each_page_is_in_the_frame_that_the_kernel_had(truth: Path) -> None:
    recording = read_file(truth.with_name(truth.name.replace(".snapshots.csv", ".trace.txt")))
    scenario = {"name": "life", "workload": {"kind": "recording", "recording": "demo"}}
    run = ReplayRun(Scenario.model_validate(scenario), recording)
    found = compare_snapshots(run.cast, run.batches(), read_snapshots(truth))
    assert found["file_rows"] > 0
    assert found["file_rows_equal"] == found["file_rows"]
