"""FORMS: the line grammars of the texts that are read, and which one a text is written in.

    ftrace       COMM-PID (TGID) [CPU] FLAGS SECONDS.FRACTION: EVENT: TEXT       (TGID before or after [CPU], or absent)
    trace-cmd    the same, mostly without FLAGS, EVENT: padded to 20 columns; begins with `cpus=N`
    perf script  COMM PID [CPU] SECONDS.FRACTION: SYSTEM:EVENT: TEXT             (PID or TGID/PID)
    bpftrace     NANOSECONDS PID COMM EVENT KEY=VALUE ...

Sources: kernel/trace/trace_output.c (4.16 and 7.1), tools/lib/traceevent/event-parse.c, tools/perf/builtin-script.c,
and for bpftrace the programs of this project. A COMM may hold blanks, dashes and brackets: what follows it decides
where it ends. No pattern takes more than linear time: a COMM is bounded, and all other repeats are of one kind of byte.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.recordings.limits import LIMITS, unusable

# Possessive repeats (*+, ++) give nothing back, so blanks are never gone through twice.
_START = rb"^[ \t]*+"
_GAP = rb"[ \t]++"
_COMM = rb"(\S.{0,63}?)"
_PID = rb"(\d{1,10})"
_TGID = rb"(?:\([ \t]*+[\d-]{1,10}\)[ \t]*+)?"
_CPU = rb"\[(\d{1,4})\][ \t]*+"  # 8192 at most
_FLAGS = rb"(?:([A-Za-z.#\d]{4,5})[ \t]++)?"
_TIME = rb"(\d{1,10})\.(\d{3,9}):[ \t]++"
_NAME = rb"([\w-]{1,64}):[ \t]*+"
_TEXT = rb"(.{0,%d}+)\n" % (LIMITS.line_bytes - 512)  # a carriage return goes with the blanks of the last field


_SECONDS = tuple(10 ** (9 - digits) for digits in range(10))


class Form(NamedTuple):
    """A line's pattern, and its groups in the order comm, pid, cpu, flags, seconds, fraction, event, text."""

    name: str
    line: re.Pattern[bytes]
    order: tuple[int, ...]
    scale: tuple[int, ...] = _SECONDS
    """Digits of the fraction -> nanoseconds that the digits of seconds and fraction together count."""


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
"""A sample of perf, whatever its event."""
RECORD = (
    "Record tracepoints, for example with `perf record -a -e 'filemap:*' -e 'writeback:*'`, "
    "and give what `perf script` prints."
)


def has_form(head: bytes) -> bool:
    """Say whether any line of head is of a form."""
    return any(form.line.search(head) for form in FORMS)


def form_of(head: bytes) -> Form:
    """Return the form most lines of head have: complete lines from the beginning of a text.

    Raises BadRecording (422) with a hint if they have none.
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
        "No line reads as one of ftrace, trace-cmd report, perf script or bpftrace. Give the text that they print.",
        "unknown_text",
    )
