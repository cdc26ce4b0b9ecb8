"""The moves of a recording are right if a plain model of the queues, fed with them, does what the kernel did."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from engine.errors import BadRecording
from engine.events import WQ_EXCLUSIVE, WQ_WOKEN
from engine.recordings import read_file
from engine.recordings.moves import Op, Recording
from engine.recordings.truth import Wait, kind_of_truth, read_snapshots, read_truth, read_waits
from tests.engine.recordings.fifo_model import foretell
from tests.engine.recordings.samples import DATA, FULL_SET, FULL_WITH_TRUTH, WITH_TRUTH, needs_full_set


def told_wakes(recording: Recording) -> list[dict[str, object]]:
    """Return what the model foretells, in the words of the table of truth."""
    moves = recording.moves
    rows: list[dict[str, object]] = []
    for walk in foretell(recording).walks:
        move = moves[walk.row]
        rows.append(
            {
                "time_ns": int(move["time"]) + recording.report.first_time_ns,
                "cpu": int(move["cpu"]),
                "pid": recording.tasks[move["task"]][1],
                "folio": recording.vmemmap_base + 64 * int(recording.pfns[move["page"]]),
                "bucket": walk.bucket,
                "batches": tuple(walk.batches),
                "walked": sum(walk.batches),
                "matched": walk.matched,
                "woken": walk.woken,
                "other_bit": walk.other_bit,
                "strangers": walk.strangers,
                "stop": walk.stop,
                "waiters": tuple(recording.tasks[task][1] for task in walk.waiters),
            }
        )
    return rows


def true_wakes(path: Path) -> list[dict[str, object]]:
    """Return the table of truth without the wake's number and the kernel's own number of the page bit."""
    return [
        {name: value for name, value in asdict(wake).items() if name not in ("wake", "bit")}
        for wake in read_truth(path)
    ]


def told_waits(recording: Recording) -> list[tuple[object, ...]]:
    """Return queued, returned, pid, comm, folio, exclusive, index, mapping then and after, and outcome of each wait."""
    word = 0xFFFF_FFFF_FFFF_FFFF
    rows: list[list[object]] = []
    waiting: dict[int, int] = {}
    for move in recording.moves.tolist():
        time, _, index, _, mapping, task, page, _, op, _, wflags, _, _ = move
        now = time + recording.report.first_time_ns
        if op == Op.queued:
            if task in waiting:
                rows[waiting[task]][-1] = "requeued"
            waiting[task] = len(rows)
            comm, pid = recording.tasks[task]
            folio = recording.vmemmap_base + 64 * int(recording.pfns[page])
            exclusive = bool(wflags & WQ_EXCLUSIVE)
            rows.append([now, None, pid, comm, folio, exclusive, index, mapping & word, None, "open"])
        elif op == Op.left and task in waiting:
            row = rows[waiting.pop(task)]
            row[1], row[8] = now, mapping & word
            row[-1] = "woken" if wflags & WQ_WOKEN else "gave_up"
    return [tuple(row) for row in rows]


def true_waits(waits: list[Wait]) -> list[tuple[object, ...]]:
    return [
        (
            wait.queued_ns,
            wait.returned_ns,
            wait.pid,
            wait.comm,
            wait.folio,
            wait.exclusive,
            wait.index,
            wait.mapping_at_wait,
            wait.mapping_at_return,
            wait.outcome,
        )
        for wait in waits
    ]


def frames(recording: Recording) -> list[dict[tuple[str, int], int]]:
    """Return, at each mark `snapshot N`, which frame stands under which index of which file by the lines so far."""
    now: dict[tuple[str, int], int] = {}
    taken: list[dict[tuple[str, int], int]] = []
    for move in recording.moves:
        if move["op"] in (Op.insert, Op.remove):
            file, index, pfn = recording.files[move["arg"]][0], int(move["index"]), int(recording.pfns[move["page"]])
            for step in range(1 << int(move["flags"])):
                if move["op"] == Op.insert:
                    now[file, index + step] = pfn + step
                else:
                    now.pop((file, index + step), None)
        elif move["op"] == Op.mark and recording.marks[move["arg"]].split()[:2] == ["snapshot", str(len(taken))]:
            taken.append(dict(now))
    return taken


@pytest.mark.parametrize("truth", WITH_TRUTH, ids=lambda path: path.name.split(".truth")[0])
def test_every_walk_of_a_fixture_is_foretold(truth: Path) -> None:
    recording = read_file(truth.with_name(truth.name.replace("truth.csv", "trace.txt")))
    assert told_wakes(recording) == true_wakes(truth)


def test_the_fixtures_show_every_way_a_walk_can_go() -> None:
    wakes = [wake for truth in WITH_TRUTH for wake in read_truth(truth)]
    assert {wake.stop for wake in wakes} == {"end", "exclusive", "taken"}
    assert max(len(wake.batches) for wake in wakes) == 4
    assert any(wake.other_bit for wake in wakes)
    assert any(not wake.walked for wake in wakes)


def test_a_table_of_other_size_foretells_less_where_pages_share_queues() -> None:
    recording = read_file(DATA / "hot-6.1.trace.txt.gz")
    one_queue = foretell(recording, bits=1).walks
    assert sum(walk.strangers for walk in one_queue) > sum(walk.strangers for walk in foretell(recording).walks)


@pytest.mark.parametrize(("form", "missing"), [("perf-script-6.1", 2), ("trace-cmd-6.1", 2)])
def test_waits_whose_wake_the_recording_lacks_are_found(form: str, missing: int) -> None:
    recording = read_file(DATA / f"{form}.txt.gz")
    told = foretell(recording)
    assert len(told.without_wake) == missing
    assert all(recording.moves[row]["op"] == Op.left for row in told.without_wake)


def test_add_and_delete_lines_give_the_frames_of_the_snapshots() -> None:
    recording = read_file(DATA / "lifecycle-6.18.trace.txt.gz")
    taken = frames(recording)
    rows = read_snapshots(DATA / "lifecycle-6.18.snapshots.csv.gz")
    assert rows
    assert [(row, taken[row.snapshot].get((row.file, row.index))) for row in rows] == [(row, row.pfn) for row in rows]


@needs_full_set
@pytest.mark.parametrize("name", FULL_WITH_TRUTH)
def test_every_walk_and_wait_of_the_full_set_is_foretold(name: str) -> None:
    recording = read_file(FULL_SET / f"{name}.trace.txt.gz")
    assert told_wakes(recording) == true_wakes(FULL_SET / f"{name}.truth.csv.gz")
    assert told_waits(recording) == true_waits(read_waits(FULL_SET / f"{name}.waits.csv.gz"))
    report = recording.report
    meta = json.loads((FULL_SET / f"{name}.meta.json").read_text())
    assert report.used | report.skipped == meta["events"]
    assert report.lines == meta["lines"]
    assert report.cpus == meta["cpus"]
    assert ops_count(recording, Op.queued) == meta["totals"]["waits_queued"]
    assert ops_count(recording, Op.walk) == meta["totals"]["wakes"]
    assert recording.vmemmap_base == int(meta["vmemmap_base"], 16)
    assert (report.bad_lines, report.lost_marks, report.buffer_lost, report.reordered) == (0, 0, 0, 0)
    assert report.kernel == ("6.7+" if "6.12" in name else name.rpartition("-")[2])


def ops_count(recording: Recording, op: Op) -> int:
    return int((recording.moves["op"] == op).sum())


@needs_full_set
def test_lines_of_truth_change_nothing_but_the_report() -> None:
    plain = read_file(FULL_SET / "hot-6.1.trace.txt.gz")
    full = read_file(FULL_SET / "hot-6.1.full.txt.gz")
    names = [name for name in plain.moves.dtype.names or () if name != "line"]
    assert (plain.moves[names] == full.moves[names]).all()
    assert full.report.has_truth
    assert not plain.report.has_truth
    assert full.report.skipped["walk"] == 3268


@needs_full_set
def test_the_whole_life_cycle_gives_the_frames_of_all_snapshots() -> None:
    taken = frames(read_file(FULL_SET / "lifecycle-6.18.trace.txt.gz"))
    rows = [row for row in read_snapshots(FULL_SET / "lifecycle-6.18.snapshots.csv.gz") if row.kind == "file"]
    assert sum(taken[row.snapshot].get((row.file, row.index)) == row.pfn for row in rows) == len(rows) == 1974


def test_tables_are_told_apart_by_their_first_line(tmp_path: Path) -> None:
    assert kind_of_truth(DATA / "hot-6.1.truth.csv.gz") == "wakes"
    assert kind_of_truth(DATA / "lifecycle-6.18.snapshots.csv.gz") == "snapshots"
    waits = tmp_path / "waits.csv"
    waits.write_text(
        "wait,queued,returned,pid,comm,folio,bit,bucket,exclusive,index,mapping_at_wait,mapping_at_return,"
        'mapping_changed,outcome\n0,10.25,,5,"a,b",0xffffea0000000040,0,1,1,7,0xffff888000000010,,,open\n'
    )
    assert kind_of_truth(waits) == "waits"
    assert read_waits(waits) == [
        Wait(0, 10_250_000_000, None, 5, "a,b", 0xFFFFEA0000000040, 0, 1, True, 7, 0xFFFF888000000010, None, "open")
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "This is not a table of wakes, waits or snapshots"),
        ("a,b\n1,2\n", "This is not a table of wakes, waits or snapshots"),
        ("wait,pid\n", "table of waits; a table of wakes is needed"),
        ("wake,time\n0,1.5\n", "Line 2"),
        ("wake,time\n0\n", "Line 2"),
    ],
)
def test_what_is_no_table_of_wakes_is_refused(tmp_path: Path, text: str, says: str) -> None:
    table = tmp_path / "truth.csv"
    table.write_text(text)
    with pytest.raises(BadRecording, match=says) as refusal:
        read_truth(table)
    assert refusal.value.code == "bad_truth"


def test_a_compressed_table_reads_as_the_plain_one(tmp_path: Path) -> None:
    packed = DATA / "hot-6.1.truth.csv.gz"
    plain = tmp_path / "truth.csv"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    assert read_truth(plain) == read_truth(packed)
    with plain.open(newline="") as table:
        assert len(list(csv.reader(table))) - 1 == len(read_truth(plain))
