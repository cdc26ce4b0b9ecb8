"""FORMS: the line grammars of the supported text formats, and detection of the format of a text.

    ftrace       COMM-PID (TGID) [CPU] FLAGS SECONDS.FRACTION: EVENT: TEXT       (TGID before or after [CPU], or absent)
    trace-cmd    the same, usually without FLAGS, EVENT: padded to 20 columns; begins with `cpus=N`
    perf script  COMM PID [CPU] SECONDS.FRACTION: SYSTEM:EVENT: TEXT             (PID or TGID/PID)
    bpftrace     NANOSECONDS PID COMM EVENT KEY=VALUE ...

Sources: kernel/trace/trace_output.c (4.16 and 7.1), tools/lib/traceevent/event-parse.c, tools/perf/builtin-script.c,
and, for bpftrace, this project's programs. A COMM may contain blanks, dashes and brackets; the fields after it show
where it ends. Every pattern runs in linear time: COMM is bounded, and every other repeat is of one kind of byte.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.recordings.limits import LIMITS, unusable

# Possessive repeats (*+, ++) never backtrack, so blanks are scanned only once.
_START = rb"^[ \t]*+"
_GAP = rb"[ \t]++"
_COMM = rb"(\S.{0,63}?)"
_PID = rb"(\d{1,10})"
_TGID = rb"(?:\([ \t]*+[\d-]{1,10}\)[ \t]*+)?"
_CPU = rb"\[(\d{1,4})\][ \t]*+"  # max. 8192 CPUs
_FLAGS = rb"(?:([A-Za-z.#\d]{4,5})[ \t]++)?"
_TIME = rb"(\d{1,10})\.(\d{3,9}):[ \t]++"
_NAME = rb"([\w-]{1,64}):[ \t]*+"
_TEXT = rb"(.{0,%d}+)\n" % (LIMITS.line_bytes - 512)  # a carriage return counts as a trailing blank


_SECONDS = tuple(10 ** (9 - digits) for digits in range(10))


class Form(NamedTuple):
    """A line's pattern, and its groups in the order comm, pid, cpu, flags, seconds, fraction, event, text."""

    name: str
    line: re.Pattern[bytes]
    order: tuple[int, ...]
    scale: tuple[int, ...] = _SECONDS
    """Number of digits of the fraction -> ns per unit of seconds and fraction read as one integer."""


def _form(name: str, *pattern: bytes) -> Form:
    return Form(name, re.compile(b"".join(pattern), re.MULTILINE), (1, 2, 3, 4, 5, 6, 7, 8))


FTRACE = _form("ftrace", _START, _COMM, rb"-", _PID, _GAP, _TGID, _CPU, _TGID, _FLAGS, _TIME, _NAME, _TEXT)
TRACE_CMD = FTRACE._replace(name="trace-cmd")
PERF = _form(
    "perf script",
    *(_START, _COMM, _GAP, rb"(?:\d{1,10}/)?", _PID, _GAP, rb"(?:", _CPU, rb")?()", _TIME),
    *(rb"(?:\d{1,20}[ \t]++)?[\w-]{1,64}:", _NAME, _TEXT),
)
BPFTRACE = Form(
    "bpftrace",
    re.compile(
        rb"^(\d{0,10}?)(\d{1,9})[ \t](\d{1,10})[ \t](.{0,63}?)[ \t]([A-Za-z_]\w{0,63})[ \t]()()"
        rb"([A-Za-z_]\w{0,63}=.{0,65000}+)\n",
        re.MULTILINE,
    ),
    (4, 3, 6, 7, 1, 2, 5, 8),
    scale=(1,) * 10,
)
FORMS = (FTRACE, PERF, BPFTRACE)

_LATENCY = re.compile(_START + _COMM + rb"-\d{1,10}[ \t]++\d{1,4}[A-Za-z.][^\s\[\]]{3,5}[ \t]++\d", re.MULTILINE)
_COUNTS = re.compile(_START + _COMM + rb"-\d{1,10}[ \t]++" + _CPU + rb"(?:\S{4,5}[ \t]++)?\d{1,20}:[ \t]", re.MULTILINE)
SAMPLE = re.compile(_START + _COMM + rb"[ \t]++\d{1,10}[ \t]++(?:" + _CPU + rb")?" + _TIME, re.MULTILINE)
"""A perf sample of any event."""
RECORD = (
    "Record tracepoints, for example with `perf record -a -e 'filemap:*' -e 'writeback:*'`, "
    "and give the output of `perf script`."
)


def has_form(head: bytes) -> bool:
    """Return whether any line of head matches a form."""
    return any(form.line.search(head) for form in FORMS)


def form_of(head: bytes) -> Form:
    """Return the form that most lines of head match; head is complete lines from the beginning of a text.

    Raises BadRecording (422) with a hint if no line matches.
    """
    best = max(FORMS, key=lambda form: sum(1 for _ in form.line.finditer(head)))
    if first := best.line.search(head):
        if best is FTRACE and (head.startswith(b"cpus=") or first[4] is None):
            return TRACE_CMD
        return best
    if not head.strip():
        raise unusable("The file is empty. Give a recording with at least one event.", "empty_recording")
    if _LATENCY.search(head) or head.startswith(b"# latency"):
        raise unusable("This is the latency format: CPU and flags are one word. Print it without -l.", "latency_format")
    if _COUNTS.search(head):
        raise unusable(
            "The times are counts of a clock without a unit. Record with trace_clock global.", "clock_without_unit"
        )
    if SAMPLE.search(head):
        raise unusable(f"The lines are samples, not events of the page cache. {RECORD}", "samples")
    if all(line[:1] in (b"#", b"") or line.isspace() or line.startswith(b"cpus=") for line in head.split(b"\n")):
        raise unusable("The file holds only its header. Record while the workload runs.", "empty_recording")
    raise unusable(
        "No line is in the format of ftrace, trace-cmd report, perf script or bpftrace. Give their text output.",
        "unknown_text",
    )
