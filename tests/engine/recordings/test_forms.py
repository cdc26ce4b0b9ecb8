"""Each line grammar, with what real printers do to it."""

from __future__ import annotations

import pytest

from engine.errors import BadRecording
from engine.recordings import read_file
from engine.recordings.moves import Op, Recording
from tests.engine.recordings.samples import DATA, ops, read_text

ADD = "mm_filemap_add_to_page_cache: dev 8:1 ino 2a pfn=0x1c4f ofs=8192 order=0"


def only(recording: Recording) -> tuple[str, int, int, int, int]:
    """Return comm, pid, cpu, irq and the clock's nanoseconds of the only move."""
    (move,) = recording.moves
    comm, pid = recording.tasks[move["task"]]
    return comm, pid, int(move["cpu"]), int(move["irq"]), int(move["time"]) + recording.report.first_time_ns


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("      wl-120     [000] .....     8.471706: ", ("wl", 120, 0, 0, 8_471_706_000)),
        ("      wl-100     [000] ....    13.863267: ", ("wl", 100, 0, 0, 13_863_267_000)),
        ("  <idle>-0       [013] d.H2.     8.478352: ", ("<idle>", 0, 13, 1, 8_478_352_000)),
        ("  <idle>-0       [001] d.h1. 8.478352: ", ("<idle>", 0, 1, 1, 8_478_352_000)),
        ("      wl-1       [001] ..s.. 8.478352: ", ("wl", 1, 1, 1, 8_478_352_000)),
        ("      wl-1       [001] d.Z1. 8.478352: ", ("wl", 1, 1, 2, 8_478_352_000)),
        ("      wl-1       [001] ..zff 8.478352: ", ("wl", 1, 1, 2, 8_478_352_000)),
        (" kworker/u8:1-77 (  77) [002] ..... 2440.707230123: ", ("kworker/u8:1", 77, 2, 0, 2440_707_230_123)),
        (" kworker/u8:1-77 (-----) [002] d...1 2440.707230: ", ("kworker/u8:1", 77, 2, 0, 2440_707_230_000)),
        (" kworker/u8:1-77 [002] (  77) .... 2440.707230: ", ("kworker/u8:1", 77, 2, 0, 2440_707_230_000)),
        (" Web Content-31 [002] ..... 1.000001: ", ("Web Content", 31, 2, 0, 1_000_001_000)),
        (" a-b-c-5-31 [002] ..... 1.000001: ", ("a-b-c-5", 31, 2, 0, 1_000_001_000)),
        (" x-1 [000] y-31 [002] ..... 1.000001: ", ("x-1 [000] y", 31, 2, 0, 1_000_001_000)),
        (" <a>=(b)-31 [002] ..... 1.000001: ", ("<a>=(b)", 31, 2, 0, 1_000_001_000)),
        (" <...>-31 [002] ..... 1.000001: ", ("<...>", 31, 2, 0, 1_000_001_000)),
        ("\twl-31\t[002]\t.....\t1.000001:\t", ("wl", 31, 2, 0, 1_000_001_000)),
        ("wl-31 [002] 1.000001: ", ("wl", 31, 2, 2, 1_000_001_000)),
    ],
)
def test_ftrace_lines(line: str, means: tuple[str, int, int, int, int]) -> None:
    recording = read_text(f"# tracer: nop\n{line}{ADD}\n")
    assert only(recording) == means
    assert recording.report.bad_lines == 0


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("       wl-131   [000]     9.083423: ", ("wl", 131, 0, 2, 9_083_423_000)),
        ("       wl-131   [000]     9.083423001: ", ("wl", 131, 0, 2, 9_083_423_001)),
        ("       wl-131   [000] d..2.     9.083423: ", ("wl", 131, 0, 0, 9_083_423_000)),
    ],
)
def test_trace_cmd_lines(line: str, means: tuple[str, int, int, int, int]) -> None:
    recording = read_text(f"cpus=4\n{line}{ADD.replace(': ', ':         ', 1)}\n")
    assert only(recording) == means
    assert recording.report.form == "trace-cmd"
    assert recording.report.cpus == 4


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("       hog-0   257 [001]    15.419874:       filemap:", ("hog-0", 257, 1, 2, 15_419_874_000)),
        ("       hog-0   200/257 [001]    15.419874123: filemap:", ("hog-0", 257, 1, 2, 15_419_874_123)),
        ("  my prog 12   257 [001]    15.419874: filemap:", ("my prog 12", 257, 1, 2, 15_419_874_000)),
        ("swapper 0 [001] 15.419874: 1 filemap:", ("swapper", 0, 1, 2, 15_419_874_000)),
        ("swapper 0 15.419874: filemap:", ("swapper", 0, 0, 2, 15_419_874_000)),
    ],
)
def test_perf_script_lines(line: str, means: tuple[str, int, int, int, int]) -> None:
    text = (
        "# ========\n# captured on    : Mon Nov 23 07:26:00 2026\n# ========\n#\n"
        f"{line}{ADD}\n"
        "\t    ffffffff81a528c0 _raw_spin_unlock_irq+0x0 ([kernel.kallsyms])\n"
        "\t            7f3c read+0x10 (/usr/lib/libc.so.6)\n"
        "\n"
    )
    recording = read_text(text)
    assert only(recording) == means
    assert recording.report.form == "perf script"
    assert (recording.report.bad_lines, recording.report.headers) == (0, 7)


def test_bpftrace_lines() -> None:
    text = (
        "Attaching 4 probes...\n"
        "24400254229 148 chroot qadd q=0xffffffff82a08ed0 folio=0xffffea0000316b80 bit=0 wflags=0x1\n"
        "17 9 my prog 2 qadd q=0xffffffff82a08ed0 folio=0xffffea0000316b80 bit=0 wflags=0x0\n".replace(
            "17 9", "24400254230 9"
        )
        + "\n\n@matched: 69\n@waits[0]: 69\nLost 12 events\n"
    )
    recording = read_text(text)
    assert recording.tasks == [("chroot", 148), ("my prog 2", 9)]
    assert ops(recording) == [Op.queued, Op.queued, Op.lost]
    assert recording.moves["time"].tolist() == [0, 1, 1]
    assert recording.report.form == "bpftrace"
    assert (recording.report.bad_lines, recording.report.lost_events) == (0, 12)


def test_carriage_returns_change_nothing() -> None:
    plain = read_text(f" wl-1 [000] ..... 1.000001: {ADD}\n wl-1 [000] ..... 1.000002: tracing_mark_write: hello\n")
    dos = read_text(f" wl-1 [000] ..... 1.000001: {ADD}\r\n wl-1 [000] ..... 1.000002: tracing_mark_write: hello\r\n")
    assert (plain.moves == dos.moves).all()
    assert plain.marks == dos.marks == ["hello"]


@pytest.mark.parametrize(
    ("name", "form", "lines", "events"),
    [
        ("perf-script-6.1", "perf script", 768, {"pw:qadd": 163, "pw:fin": 163, "pw:walk_begin": 108, "pw:walk": 167}),
        ("trace-cmd-6.1", "trace-cmd", 1173, {"qadd": 175, "fin": 173, "walk_begin": 123, "print": 2, "walk": 179}),
        ("bpftrace-6.1", "bpftrace", 79, {"qadd": 69}),
    ],
)
def test_samples_of_the_other_forms_read_without_a_bad_line(
    name: str, form: str, lines: int, events: dict[str, int]
) -> None:
    report = read_file(DATA / f"{name}.txt.gz").report
    assert (report.form, report.lines, report.bad_lines, report.kernel) == (
        form,
        lines,
        0,
        "" if form == "bpftrace" else "6.1",
    )
    counted = report.used | report.skipped
    assert {event: counted[event.removeprefix("pw:")] for event in events} == events


@pytest.mark.parametrize(
    ("text", "code", "remedy"),
    [
        ("", "empty_recording", "at least one event"),
        ("\n \n", "empty_recording", "at least one event"),
        ("# tracer: nop\n#\n", "empty_recording", "while the workload runs"),
        (f" wl-1 [000] ..... 1.000001: {ADD}", "empty_recording", "Line 1: the last line has no newline"),
        (f"  wl-131     0d.h1.     9.083423: {ADD}\n", "latency_format", "without -l"),
        ("# latency trace v1.1.5\n", "latency_format", "without -l"),
        (f"  wl-131     [000] d.h1.    9083423: {ADD}\n", "clock_without_unit", "trace_clock global"),
        ("perf 12 [000] 5.001001:     250000 cycles:  ffffffff81 foo ([k])\n", "samples", "perf record"),
        ("perf 12 [000] 5.001001:     250000 cycles:ppp:  ffffffff81 foo ([k])\n", "no_page_events", "perf record"),
        (" a-1 [000] d.... 5.1000: sched_switch: prev_comm=a\n", "no_page_events", "seen: sched_switch"),
        (" a-1 [000] d.... 5.1000: fin: (finish_wait+0x5/0x90)\n", "empty_recording", "Line 1: fin has no field folio"),
        ("Dear list,\n\nplease find below\n", "unknown_text", "trace-cmd report"),
    ],
)
def test_text_without_anything_to_play_is_refused_with_a_remedy(text: str, code: str, remedy: str) -> None:
    with pytest.raises(BadRecording, match=remedy) as refusal:
        read_text(text)
    assert (refusal.value.code, refusal.value.status, refusal.value.field) == (code, 422, "file")
