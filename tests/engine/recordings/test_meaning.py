"""What each event of a recording becomes."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import (
    NONE,
    PG_DIRTY,
    PG_LOCKED,
    PG_PRIVATE_2,
    PG_UPTODATE,
    PG_WAITERS,
    PG_WRITEBACK,
    WQ_CUSTOM,
    WQ_DONE,
    WQ_EXCLUSIVE,
    WQ_WOKEN,
)
from engine.recordings import read_file
from engine.recordings.moves import Op, Recording
from tests.engine.recordings.samples import ADDED, BASE, DATA, ftrace, ops, read_text

MAPPING = 0xFFFF888004C60748
Q = "q=0xffffffff82a09128"


def page(pfn: int) -> str:
    return f"folio=0x{BASE + 64 * pfn:x}"


def rest(pflags: int = 0x81, mapping: int = MAPPING, index: int = 192) -> str:
    return f"pflags=0x{pflags:x} mapping=0x{mapping:x} index={index}"


def qadd(pfn: int, wpid: int = 7, wflags: int = 1, bit: int = 0, pflags: int = 0x81) -> str:
    return (
        f"qadd: (_raw_spin_unlock_irq+0x0/0x30) {Q} tail=0xffffc9000042f838 {page(pfn)} bit={bit} "
        f"wflags=0x{wflags:x} wpid={wpid} {rest(pflags)}"
    )


def qlock(pfn: int, pflags: int, bit: int = 0) -> str:
    return (
        f"qlock: (_raw_spin_lock_irq+0xc/0x2c) {Q} caller=0xffffffff812214a9 sp=0xffffc9000016ba18 {page(pfn)} "
        f"bit={bit} behavior=0 wflags=0x1 {rest(pflags)}"
    )


def fin(pfn: int, wflags: int = 0x13, mapping: int = MAPPING, bit: int = 0) -> str:
    return (
        f"fin: (finish_wait+0x5/0x90) {Q} wait=0xffffc9000042f820 next=0xffffc9000042f838 {page(pfn)} bit={bit} "
        f"wflags=0x{wflags:x} pflags=0x85 mapping=0x{mapping:x}"
    )


def walk(pfn: int, bm: int | None = 0, bit: int = 0, pflags: int = 0x84) -> str:
    mark = "" if bm is None else f"bm=0x{bm:x} "
    return f"walk_begin: (__wake_up_locked_key_bookmark+0x0/0x20) {Q} {page(pfn)} bit={bit} {mark}{rest(pflags)}"


def ends(pfn: int, pflags: int) -> str:
    return f"endwb: (folio_end_writeback+0x5/0x80) {page(pfn)} {rest(pflags)}"


RET = "walk_ret: (__wake_up_common+0x73/0x180 <- wake_page_function) ret={}"


def on(cpu: int, time_us: int, event: str, who: str = "wl-7") -> str:
    return f"   {who} [{cpu:03}] ..... 1.{time_us:06}: {event}"


def shown(recording: Recording, *names: str) -> list[tuple[Any, ...]]:
    """Return the named columns, row by row, words of mapping as unsigned."""
    columns = []
    for name in names:
        column = recording.moves[name].tolist()
        columns.append([word & 0xFFFF_FFFF_FFFF_FFFF if name == "mapping" else word for word in column])
    return list(zip(*columns, strict=True))


def test_a_waiter_was_queued_only_if_the_tail_is_its_own() -> None:
    recording = read_text(ftrace(qadd(5), qadd(5, wpid=8), qadd(5).replace("wpid=7", "wpid=(fault)"), walk(5)))
    assert ops(recording)[:3] == [Op.queued, Op.not_queued, Op.not_queued]
    assert shown(recording, "page", "mapping", "index")[:2] == [(0, MAPPING, 192), (NONE, 2**64 - 1, -1)]


def test_what_a_foreign_tail_shows_is_not_believed() -> None:
    junk = (
        "qadd: (_raw_spin_unlock_irq+0x0/0x30) q=0xffffffff82a082d0 tail=0xffffffff82a082d8 folio=0xffffffff82a082a8 "
        "bit=0 wflags=0x82a082c0 wpid=0 pflags=0xffffffff82a082a8 mapping=0xffffffff82a082c0 index=18446744071606141632"
    )
    recording = read_text(ftrace(junk, qadd(5)))
    assert ops(recording) == [Op.not_queued, Op.queued]
    assert recording.pfns.tolist() == [5]
    assert recording.report.bad_lines == 0


def test_in_5_10_a_waiter_is_queued_if_its_bit_is_set() -> None:
    recording = read_text(ftrace(qlock(5, 0x81), qlock(5, 0x80), qlock(6, 0x8080, bit=15), qlock(6, 0x80, bit=15)))
    assert recording.report.kernel == "5.10"
    assert shown(recording, "op", "page", "bit") == [
        (Op.queued, 0, PG_LOCKED),
        (Op.not_queued, 0, PG_LOCKED),
        (Op.queued, 1, PG_WRITEBACK),
        (Op.not_queued, 1, PG_WRITEBACK),
    ]
    assert recording.report.unfinished_waits == 1


def test_waits_that_do_not_end_are_counted_once_for_each_thread() -> None:
    recording = read_text(ftrace(qadd(5), fin(5), qadd(5), qadd(5), on(0, 9000, qadd(6, wpid=9), "b-9")))
    assert recording.report.unfinished_waits == 2


def test_a_walk_shows_its_passes() -> None:
    assert ops(read_text(ftrace(walk(5), walk(5, bm=4)))) == [Op.walk, Op.walk_on]


def test_a_taken_bit_is_told_of_the_last_walk_on_that_cpu() -> None:
    recording = read_text(
        ftrace(
            on(0, 1, walk(5)),
            on(1, 2, walk(6)),
            on(0, 3, RET.format(1), who="a-8"),
            on(0, 3, RET.format(-1), who="a-8"),
            on(1, 4, RET.format(0)),
            on(1, 5, walk(6, bm=4)),
            on(1, 6, RET.format(-1)),
            on(1, 7, RET.format(-1)),
            on(2, 7, RET.format(-1)),
        )
    )
    assert shown(recording, "op", "cpu", "arg") == [(Op.walk, 0, 1), (Op.walk, 1, 0), (Op.walk_on, 1, 1)]
    assert recording.report.used == {"walk_begin": 3, "walk_ret": 2}
    assert recording.report.skipped == {"walk_ret": 4}


def test_without_cpus_a_taken_bit_is_told_of_the_thread() -> None:
    lines = [
        f"1000000001 7 wl walk_begin q=0x1 {page(5)} bit=0 bm=0x0",
        f"1000000002 8 wl walk_begin q=0x1 {page(6)} bit=0 bm=0x0",
        "1000000003 7 wl walk_ret ret=-1",
    ]
    assert shown(read_text("\n".join([*lines, ""])), "task", "arg") == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    ("lines", "kernel", "raw", "means"),
    [
        ([qlock(5, 0x8089)], "5.10", 0xFFFFFC000818D, {PG_LOCKED, 1, PG_UPTODATE, PG_DIRTY, PG_WAITERS, PG_WRITEBACK}),
        ([walk(5)], "6.1", 0xFFFFFC000C00D, {PG_LOCKED, PG_UPTODATE, PG_DIRTY, PG_PRIVATE_2, PG_WRITEBACK}),
        ([walk(5, bm=None)], "6.7+", 0xFFFFFD000809B, {PG_LOCKED, PG_UPTODATE, PG_DIRTY, PG_WAITERS, PG_WRITEBACK, 13}),
        ([ends(5, 0x8014)] * 2, "6.1", 0x8001, {PG_LOCKED, PG_WRITEBACK}),
        ([ends(5, 0x2A)] * 2, "6.7+", 0x3, {PG_LOCKED, PG_WRITEBACK}),
        ([ADDED.format(pfn=5, ofs=0)], "", 0x85, {PG_LOCKED, PG_UPTODATE, PG_WAITERS}),
    ],
)
def test_bits_are_those_of_the_kernel_that_the_lines_point_to(
    lines: list[str], kernel: str, raw: int, means: set[int]
) -> None:
    told = f"lock: (__folio_lock+0x5/0x20) {page(5)} {rest(raw)}"
    for text in (ftrace(told, *lines), ftrace(*lines, told)):  # what tells the kernel may come before or after
        recording = read_text(text)
        flags = int(recording.moves["flags"][recording.moves["op"] == Op.look][0])
        assert (recording.report.kernel, {bit for bit in range(63) if flags >> bit & 1}) == (kernel, means)


@pytest.mark.parametrize(
    ("bm", "raw", "means"),
    [
        (0, 0x13, WQ_EXCLUSIVE | WQ_WOKEN | WQ_DONE),
        (0, 0x08, WQ_CUSTOM),
        (None, 0x0B, WQ_EXCLUSIVE | WQ_WOKEN | WQ_DONE),
        (None, 0x04, WQ_CUSTOM),
        (None, 0x03, WQ_EXCLUSIVE | WQ_WOKEN),
    ],
)
def test_entry_flags_are_translated(bm: int | None, raw: int, means: int) -> None:
    recording = read_text(ftrace(fin(5, wflags=raw), walk(5, bm=bm)))
    assert recording.moves["wflags"].tolist() == [means, 0]


def test_the_bit_waited_for_is_translated() -> None:
    assert shown(read_text(ftrace(qadd(5, bit=15), walk(5))), "bit")[0] == (PG_WRITEBACK,)
    assert shown(read_text(ftrace(qadd(5, bit=1), walk(5, bm=None))), "bit")[0] == (PG_WRITEBACK,)
    assert shown(read_text(ftrace(qadd(5, bit=6), walk(5))), "bit")[0] == (255,)


def test_pages_enter_and_leave_files() -> None:
    new = "mm_filemap_add_to_page_cache: dev 254:0 ino 2a pfn=0x100 ofs=8192 order=4"
    equal_signs = "mm_filemap_add_to_page_cache: dev=254:0 ino=2a pfn=0x110 ofs=0"
    old = "mm_filemap_delete_from_page_cache: dev 254:0 ino 2b page=ffffea0000004000 pfn=256 ofs=4096"
    shuffled = "mm_filemap_delete_from_page_cache: ofs=4096 pfn=0x110 ino=2b dev=254:0"
    recording = read_text(ftrace(new, equal_signs, old, shuffled))
    assert shown(recording, "op", "page", "arg", "index", "flags") == [
        (Op.insert, 0, 0, 2, 4),
        (Op.insert, 1, 0, 0, 0),
        (Op.remove, 0, 1, 1, 0),
        (Op.remove, 1, 1, 1, 0),
    ]
    assert recording.pfns.tolist() == [256, 272]
    assert [name for name, _ in recording.files] == ["254:0 2a", "254:0 2b"]


@pytest.mark.parametrize("event", ["writeback_dirty_folio", "writeback_dirty_page"])
def test_writeback_events_name_the_file_in_decimal(event: str) -> None:
    recording = read_text(
        ftrace(
            "mm_filemap_add_to_page_cache: dev 7:0 ino f pfn=0x100 ofs=8192 order=0",
            f"{event}: bdi 7:0: ino=15 index=2",
            "wait_on_page_writeback: bdi 7:0: ino=15 index=3",
            "mm_filemap_delete_from_page_cache: dev 7:0 ino f pfn=0x100 ofs=8192 order=0",
            "folio_wait_writeback: bdi 7:0: ino=15 index=2",
            f"{event}: bdi btrfs-1: ino=16 index=0",
        )
    )
    assert shown(recording, "op", "page", "arg", "index")[1:] == [
        (Op.dirty, 0, 0, 2),
        (Op.writeback_wait, NONE, 0, 3),
        (Op.remove, 0, 0, 2),
        (Op.writeback_wait, NONE, 0, 2),
        (Op.dirty, NONE, 1, 0),
    ]
    assert [name for name, _ in recording.files] == ["7:0 f", "btrfs-1 10"]


def test_probes_that_show_a_page() -> None:
    names = {
        "wake": Op.wake,
        "unlock": Op.unlock,
        "endwb": Op.writeback_end,
        "lock": Op.look,
        "lockk": Op.look,
        "waitbit": Op.look,
        "waitbitk": Op.look,
    }
    recording = read_text(ftrace(*(f"{name}: (f+0x5/0x20) {page(9)} {rest()}" for name in names)))
    assert ops(recording) == list(names.values())
    assert set(shown(recording, "page", "mapping", "index")) == {(0, MAPPING, 192)}


def test_what_the_kernel_could_not_read_is_no_value() -> None:
    line = f"fin: (finish_wait+0x5/0x90) {Q} {page(9)} bit=0 wflags=0x3 pflags=(fault) mapping=(fault)"
    recording = read_text(ftrace(line, walk(9)))
    assert shown(recording, "op", "flags", "mapping", "index")[0] == (Op.left, -1, 2**64 - 1, -1)


def test_truncation() -> None:
    recording = read_text(
        ftrace(
            f"trunc: (truncate_inode_pages_range+0x5/0x450) mapping=0x{MAPPING:x} start=7317 end=-1",
            f"trunc: (truncate_inode_pages_range+0x5/0x450) mapping=0x{MAPPING:x} start=0 end=16383",
        )
    )
    assert shown(recording, "op", "arg", "index", "mapping", "page") == [
        (Op.truncate, 7317, -1, MAPPING, NONE),
        (Op.truncate, 0, 16383, MAPPING, NONE),
    ]


def test_marks_are_kept_once_each() -> None:
    recording = read_text(
        ftrace(
            "tracing_mark_write: round 0 pages 20038..",
            "print:                tracing_mark_write: hot <b>round</b>",
            "tracing_mark_write: round 0 pages 20038..",
            "tracing_mark_write: bell\x07 and \u202e turned",
            "tracing_mark_write: " + "x" * 300,
        )
    )
    assert recording.moves["arg"].tolist() == [0, 1, 0, 2, 3]
    assert recording.marks == ["round 0 pages 20038..", "hot <b>round</b>", "bell\ufffd and \ufffd turned", "x" * 200]


def test_a_file_is_given_the_address_that_a_page_known_to_be_in_it_shows() -> None:
    inserted = "mm_filemap_add_to_page_cache: dev 254:0 ino {} pfn=0x{:x} ofs={} order=0"
    recording = read_text(
        ftrace(
            inserted.format("a", 1, 4096 * 192),
            inserted.format("b", 2, 4096 * 192),
            inserted.format("c", 3, 4096 * 192),
            inserted.format("d", 4, 4096 * 191),
            f"unlock: (f+0x5/0x20) {page(1)} {rest(mapping=MAPPING)}",
            f"unlock: (f+0x5/0x20) {page(2)} {rest(mapping=MAPPING + 3)}",
            f"unlock: (f+0x5/0x20) {page(3)} {rest(mapping=0)}",
            f"unlock: (f+0x5/0x20) {page(4)} {rest(mapping=MAPPING + 0x100)}",
            f"unlock: (f+0x5/0x20) {page(9)} {rest(mapping=MAPPING + 0x200)}",
        )
    )
    addresses = [address & 0xFFFF_FFFF_FFFF_FFFF for _, address in recording.files]
    assert addresses == [MAPPING, *(0xFFFF888000000000 + row * 0x1000 for row in (1, 2, 3))]
    assert len(set(addresses)) == 4


def test_a_made_up_address_is_nobody_elses() -> None:
    inserted = "mm_filemap_add_to_page_cache: dev 254:0 ino {} pfn=0x{:x} ofs=786432 order=0"
    seen = f"unlock: (f+0x5/0x20) {page(1)} {rest(mapping=0xFFFF888000001000)}"
    recording = read_text(ftrace(inserted.format("a", 1), inserted.format("b", 2), seen))
    assert len({address for _, address in recording.files}) == 2


@pytest.mark.parametrize(
    ("lines", "base", "pfns"),
    [
        ([f"unlock: (f) folio=0x{BASE + 64 * 0x29B0:x}"], BASE, [0x29B0]),
        # with address randomisation: 1 GiB steps; the add line tells which
        ([ADDED.format(pfn=0x29B0, ofs=0), "unlock: (f) folio=0xffffd500400a6c00"], 0xFFFFD50040000000, [0x29B0]),
        ([ADDED.format(pfn=0x10029B0, ofs=0), "unlock: (f) folio=0xffffd500400a6c00"], 0xFFFFD50000000000, [0x10029B0]),
        (["unlock: (f) folio=0xffffd500400a6c00"], 0xFFFFD50040000000, [0x29B0]),
        # 5.10 prints both
        (
            [
                "mm_filemap_add_to_page_cache: dev 8:1 ino 2a page=ffffd500400a6c00 pfn=16787888 ofs=0",
                "unlock: (f) folio=0xffffd500400a6c40",
            ],
            0xFFFFD50000000000,
            [0x10029B0, 0x10029B1],
        ),
        # a hashed pointer tells nothing
        (
            [
                "mm_filemap_add_to_page_cache: dev 8:1 ino 2a page=00000000c0ffee12 pfn=3 ofs=0",
                f"unlock: (f) folio=0x{BASE + 64 * 3:x}",
            ],
            BASE,
            [3],
        ),
    ],
)
def test_the_base_of_the_struct_pages(lines: list[str], base: int, pfns: list[int]) -> None:
    recording = read_text(ftrace(*lines))
    assert (recording.vmemmap_base, recording.pfns.tolist()) == (base, pfns)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("qadd: (f) q=0x1 bit=0 wpid=7", "qadd has no field folio"),
        ("unlock: (f) folio=(fault)", "unlock has a field"),
        ("unlock: (f) folio=0xffffea0000000041", "unlock has a field"),
        ("unlock: (f) folio=0x41", "unlock has a field"),
        (f"unlock: (f) {page(5)} bit=300", "unlock has a field"),
        (f"unlock: (f) {page(5)} bit=-5", "unlock has a field"),
        (f"qlock: (f) {page(5)} bit=0 pflags=(fault)", "qlock has a field"),
        (f"fin: (f) {page(5)} wflags=0x82a082c0", "fin has a field"),
        (f"unlock: (f) {page(5)} pflags=nonsense", "unlock has a field"),
        ("trunc: (f) start=0 end=-1", "trunc has no field mapping"),
        ("walk_ret: (f) value=1", "walk_ret has no field ret"),
        ("mm_filemap_add_to_page_cache: dev 8:1 ino 2a ofs=0", "has no field pfn"),
        ("mm_filemap_add_to_page_cache: dev 8:1 ino xyz pfn=1 ofs=0", "mm_filemap_add_to_page_cache has a field"),
        ("mm_filemap_add_to_page_cache: dev 8:1 ino 2a pfn=5fddb ofs=0", "mm_filemap_add_to_page_cache has a field"),
        ("mm_filemap_add_to_page_cache: dev 8:1 ino 2a pfn=-1 ofs=0", "mm_filemap_add_to_page_cache has a field"),
        (
            "mm_filemap_add_to_page_cache: dev 8:1 ino 2a pfn=1 ofs=0 order=99",
            "mm_filemap_add_to_page_cache has a field",
        ),
        (f"writeback_dirty_folio: bdi {'x' * 99}: ino=15 index=2", "writeback_dirty_folio has a field"),
        ("writeback_dirty_folio: bdi 7:0: ino=f index=2", "writeback_dirty_folio has a field"),
        ("writeback_dirty_folio: bdi 7:0: ino=15 index=-2", "writeback_dirty_folio has a field"),
        (f"trunc: (f) mapping=0x{MAPPING:x} start={2**63} end=0", "trunc has a field"),
        ("unlock: (f) folio=0x" + "f" * 5000, "unlock has a field"),
        ("writeback_dirty_folio: bdi 7:0: ino=" + "9" * 5000 + " index=1", "writeback_dirty_folio has a field"),
    ],
)
def test_a_line_that_does_not_read_is_counted_and_shown(line: str, why: str) -> None:
    good = ADDED.format(pfn=9, ofs=0)
    recording = read_text(ftrace(good, line, good))
    assert ops(recording) == [Op.insert, Op.insert]
    (bad,) = recording.report.bad
    assert (recording.report.bad_lines, bad.line) == (1, 2)
    assert why in bad.why
    assert bad.text == ftrace("", line).split("\n")[1].strip()[:80]


def test_events_of_no_use_are_counted_by_name() -> None:
    recording = read_text(
        ftrace(
            ADDED.format(pfn=9, ofs=0),
            "block_rq_issue: 254,0 R 1024 () 18886 + 2 [sh]",
            "block_rq_issue: 254,0 R 1024 () 18886 + 2 [sh]",
            "ksm_enter: mm 00000000deadbeef",
            f"walk: (wake_page_function+0x0/0x90) wait=0x1 {page(9)} bit=0",
        )
    )
    assert recording.report.skipped == {"block_rq_issue": 2, "ksm_enter": 1, "walk": 1}
    assert recording.report.has_truth
    assert not recording.report.has_waits


def test_a_thread_keeps_its_row_when_it_is_renamed() -> None:
    add = ADDED.format(pfn=9, ofs=0)
    recording = read_text(ftrace(on(0, 1, add, "sh-5"), on(0, 2, add, "wl-5"), on(0, 3, add, "<...>-5")))
    assert recording.tasks == [("wl", 5)]
    assert recording.moves["task"].tolist() == [0, 0, 0]


def test_a_report_is_told_of_waits_without_a_wake() -> None:
    report = read_file(DATA / "trace-cmd-6.1.txt.gz").report
    assert report.waits_without_wake_count == len(report.waits_without_wake) == 2
    assert "left the wait for page 0x" in report.waits_without_wake[0].text


def test_a_recording_without_a_probe_on_wakes_tells_of_no_wait_without_one() -> None:
    assert read_file(DATA / "bpftrace-6.1.txt.gz").report.waits_without_wake_count == 0


def test_a_recording_tells_a_story_of_waits_and_truncation() -> None:
    recording = read_file(DATA / "waits-6.1.trace.txt.gz")
    counts = {op: ops(recording).count(op) for op in Op}
    assert counts[Op.queued] > 600
    assert counts[Op.truncate] == 6
    assert counts[Op.writeback_end] > 50
    assert recording.report.unfinished_waits == 0
