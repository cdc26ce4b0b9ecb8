"""Convert blocks of text to a Recording, with a report of what was read, used, skipped and lost."""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import BinaryIO, NoReturn

import numpy as np

from engine.cast import VMEMMAP_BASE
from engine.errors import BadRecording
from engine.recordings.forms import PERF, RECORD, SAMPLE, Form, form_of, has_form
from engine.recordings.kernels import translate
from engine.recordings.limits import LIMITS, Limits, too_large, unusable
from engine.recordings.meaning import Moves, readable
from engine.recordings.moves import MOVE, REFUSED_MAX, Recording, Refused, Report
from engine.recordings.opening import Opening
from engine.recordings.waits import with_lost_wakes

SORT_WINDOW_NS = 1_000_000_000
"""Max. lag of a line behind the newest line before it: buffers of several CPUs, printed in turn, differ by less."""
TIME_MAX_NS = 9_000_000_000 * 10**9
NAMES_MAX = 1_000
"""Event names counted individually; further ones are counted together."""
FIRST_BYTES, FIRST_BYTES_MAX = 64 << 10, 1 << 20
"""Bytes used to detect the form, and the max. if a header fills them."""
_BAD_CHARS = 80

# 1: hard (h H) or soft (s H) interrupt, 0: neither (.), 2: unknown, such as the flags of a probe's own context (Z z)
_IRQ = bytes({ord("."): 0, ord("h"): 1, ord("H"): 1, ord("s"): 1}.get(flag, 2) for flag in range(256))

_LOST = re.compile(
    rb"CPU:(\d{1,4}) \[(?:LOST )?(?:(\d{1,18}) )?EVENTS(?: DROPPED)?\]"  # tracefs, trace-cmd
    rb"|Lost (\d{1,18}) events"  # bpftrace
    rb"|.{0,120}PERF_RECORD_LOST(?:_SAMPLES)? lost (\d{1,18})"  # perf script --show-lost-events
)
_WRITTEN = re.compile(rb"# entries-in-buffer/entries-written: (\d{1,18})/(\d{1,18})\s+#P:(\d{1,5})")
_CPUS = re.compile(rb"cpus=(\d{1,5})")
_LONG_LINE = b"\x00too long\n"
"""Placeholder for a line that was dropped."""
# a run of blank lines and comments, without information
_BLANKS_AND_COMMENTS = re.compile(rb"(?:[ \t\r]*+(?:#(?! entries-in-buffer).{0,4096}+)?\n)++")
# perf call chains, ftrace stack traces, and bpftrace output other than events
_OTHER_OUTPUT = re.compile(rb"#|\s+[0-9a-f]{4,16} |\s*=> |Attaching \d+ probe|@|\[[^\]]*\) +\d+ \|")


class _Reader:
    """State kept between the blocks of one text."""

    def __init__(self, form: Form, limits: Limits) -> None:
        self._form, self._limits = form, limits
        self._moves = Moves(limits)
        self._seen: Counter[bytes] = Counter()
        self._unused: Counter[bytes] = Counter()
        self._bad: list[Refused] = []
        self._lines = self._headers = self._bad_lines = self._long_lines = 0
        self._lost_events = self._lost_marks = self._buffer_lost = self._reordered = 0
        self._newest, self._oldest = -1, TIME_MAX_NS
        self._cpus = 0

    def text(self, text: bytes) -> None:
        """Read lines; only the last line of a recording may lack its newline."""
        end = text.rfind(b"\n") + 1
        self._read_lines(text[:end])
        if end < len(text):
            self._lines += 1
            self._report_bad_line(self._lines, "the last line has no newline: it may be cut off", text[end:])

    def _read_lines(self, text: bytes) -> None:
        form, meanings = self._form, self._moves.meanings
        scale, newest, line = form.scale, self._newest, self._lines
        first = line
        # split() returns, in one call per block, the text before each match followed by the match's groups.
        parts = form.line.split(text)
        width = form.line.groups + 1
        names = parts[form.order[6] :: width]
        for gap, comm, pid, cpu_text, flags, seconds, fraction, name, details in zip(
            parts[::width], *(parts[place::width] for place in form.order), strict=False
        ):
            if gap:
                self._newest, self._lines = newest, line
                self._read_other_lines(gap)
                line = self._lines
            line += 1
            time = int(seconds + fraction) * scale[len(fraction)]
            if time >= newest:
                if newest < 0:
                    self._oldest = time
                newest = time
            else:
                self._check_lag(line, time, newest)
            meaning = meanings.get(name)
            if meaning is None:
                continue
            cpu = int(cpu_text) if cpu_text else -1
            irq = _IRQ[flags[2]] if flags else 2
            read, op = meaning
            try:
                if not read(op, time, cpu, pid, comm, irq, details, line):
                    self._unused[name] += 1
            except KeyError as error:
                self._report_unreadable(line, name, f"has no field {readable(error.args[0])}", text, line - first)
            except (ValueError, struct.error):
                self._report_unreadable(line, name, "has a field with an invalid value", text, line - first)
        self._newest, self._lines = newest, line
        self._read_other_lines(parts[-1])
        self._seen.update(names)
        self._cpus = max(self._cpus, 1 + max(map(int, filter(None, set(parts[form.order[2] :: width]))), default=-1))
        self._check_limits()

    def _check_limits(self) -> None:
        if len(self._moves.rows) > self._limits.moves * MOVE.itemsize:
            raise too_large(f"The recording has more than {self._limits.moves} moves. Record for a shorter time.")
        if self._lines > self._limits.lines:
            raise too_large(f"The recording has more than {self._limits.lines} lines. Record for a shorter time.")
        if self._newest > TIME_MAX_NS:
            raise unusable("The times go beyond 9,000,000,000 s. Record with another trace_clock.", "bad_time")
        if len(self._seen) > NAMES_MAX:
            for name, count in self._seen.most_common()[NAMES_MAX // 2 :]:
                if name not in self._moves.meanings:
                    del self._seen[name]
                    self._seen[b"(others)"] += count

    def _report_unreadable(self, line: int, name: bytes, why: str, text: bytes, place: int) -> None:
        """Report an unreadable event line, line number `place` of text, counted from 1."""
        self._seen[name] -= 1
        raw = text.split(b"\n", place)[place - 1] if len(self._bad) < REFUSED_MAX else b""
        self._report_bad_line(line, f"{readable(name)} {why}", raw)

    def _check_lag(self, line: int, time: int, newest: int) -> None:
        if newest - time > SORT_WINDOW_NS:
            raise unusable(
                f"Line {line} is {(newest - time) / 1e9:.3f} s older than a line before it; the limit is 1 s. "
                "Print the buffers of all CPUs merged by time, and keep one clock for the whole recording.",
                "out_of_order",
            )
        self._reordered += 1
        self._oldest = min(self._oldest, time)

    def _read_other_lines(self, text: bytes) -> None:
        """Read lines that are not events."""
        at = 0
        while at < len(text):
            if skipped := _BLANKS_AND_COMMENTS.match(text, at):
                count = text.count(b"\n", at, skipped.end())
                self._lines += count
                self._headers += count
                at = skipped.end()
                continue
            end = text.index(b"\n", at)
            raw, at = text[at:end], end + 1
            self._lines += 1
            if len(raw) > self._limits.line_bytes or raw == _LONG_LINE[:-1]:
                self._long_lines += 1
            elif lost := _LOST.match(raw):
                self._count_lost(lost)
            elif header := _WRITTEN.match(raw):
                self._headers += 1
                self._cpus = max(self._cpus, int(header[3]))
                self._count_overwritten(int(header[2]) - int(header[1]))
            elif header := _CPUS.match(raw):
                self._headers += 1
                self._cpus = max(self._cpus, int(header[1]))
            elif _OTHER_OUTPUT.match(raw):
                self._headers += 1
            elif self._form is PERF and SAMPLE.match(raw):
                self._seen[b"(samples)"] += 1
            else:
                self._report_bad_line(self._lines, "not an event line", raw)

    def _count_lost(self, lost: re.Match[bytes]) -> None:
        count = int(lost[2] or lost[3] or lost[4] or 0)
        self._lost_marks += 1
        self._lost_events += count
        self._moves.lost(self._newest, int(lost[1] or 0), count or -1, self._lines)

    def _count_overwritten(self, count: int) -> None:
        if count > 0:
            self._buffer_lost += count
            self._moves.lost(self._newest, 0, count, self._lines)

    def _report_bad_line(self, line: int, why: str, raw: bytes) -> None:
        self._bad_lines += 1
        if len(self._bad) < REFUSED_MAX:
            shown = readable(raw[: 4 * _BAD_CHARS].strip())[:_BAD_CHARS]
            self._bad.append(Refused(line=line, why=why, text=shown))
        if self._bad_lines > self._limits.bad_lines and self._bad_lines * 2 > line:
            raise unusable(f"Most of the first {line} lines are not event lines.", "unreadable")

    def _reject(self, skipped: Mapping[bytes, int]) -> NoReturn:
        if self._form is PERF and skipped:
            raise unusable(f"None of the events is about the page cache. {RECORD}", "no_page_events")
        if skipped:
            seen = ", ".join(readable(name) for name in list(skipped)[:5])
            raise unusable(
                f"None of the events is about pages (seen: {seen}). Record the filemap and writeback events, and the "
                "probes of page waits.",
                "no_page_events",
            )
        why = "".join(f" Line {bad.line}: {bad.why}." for bad in self._bad[:1])
        raise unusable(f"No event could be read.{why} Give the whole text output of the tracer.", "empty_recording")

    def recording(self, opening: Opening) -> Recording:
        """Return the recording, with moves in order of time and the bit numbers of engine.events."""
        used = {name: self._seen[name] - self._unused[name] for name in self._moves.meanings}
        skipped = self._seen - Counter(used)
        if not any(used.values()):
            self._reject(skipped)
        read, cast = self._moves, self._moves.cast
        moves = np.frombuffer(read.rows, MOVE)
        moves["arg"][read.taken] = 1
        kernel = read.signs.kernel()
        translate(moves, kernel)
        times = moves["time"]
        times[times < 0] = self._oldest
        times -= self._oldest
        if self._reordered:
            moves = moves[np.argsort(times, kind="stable")]
        report = Report(
            form=self._form.name,
            compressed=opening.compressed,
            bytes_read=opening.text_bytes,
            lines=self._lines,
            headers=self._headers,
            events=self._seen.total(),
            used=_counted(used),
            skipped=_counted(skipped),
            bad_lines=self._bad_lines,
            bad=self._bad,
            long_lines=self._long_lines,
            lost_events=self._lost_events,
            lost_marks=self._lost_marks,
            buffer_lost=self._buffer_lost,
            unfinished_waits=len(read.waiting),
            reordered=self._reordered,
            cpus=self._cpus,
            kernel=kernel,
            first_time_ns=self._oldest,
            last_time_ns=self._newest,
            has_waits=read.has_waits,
            has_truth=read.has_truth,
        )
        return Recording(
            moves=moves,
            tasks=[(readable(comm), int(pid)) for comm, pid in zip(cast.comms, cast.tasks, strict=True)],
            pfns=np.fromiter(cast.pages, np.int64, len(cast.pages)),
            files=[(readable(name), signed(at)) for name, at in zip(cast.files, cast.file_addresses(), strict=True)],
            marks=list(read.marks),
            report=report,
            sha256=opening.sha256,
            vmemmap_base=VMEMMAP_BASE if cast.vmemmap_base is None else cast.vmemmap_base,
        )


def _counted(names: Mapping[bytes, int]) -> dict[str, int]:
    """Return the counts above 0 by name, largest first."""
    ordered = sorted(names.items(), key=lambda item: (-item[1], item[0]))
    return {readable(name): count for name, count in ordered if count > 0}


def signed(word: int) -> int:
    """Return an unsigned 64-bit word as a signed one, as in columns and casts."""
    return word - (1 << 64) if word >> 63 else word


def _whole_lines(blocks: Iterator[bytes], line_bytes: int) -> Iterator[bytes]:
    """Yield text blocks that end at ends of lines, and last, if there is one, a line without newline.

    A line over the limit is dropped piece by piece, so that it is never in memory, and replaced by _LONG_LINE.
    """
    rest = b""
    dropping = False
    for block in blocks:
        if dropping:
            end = block.find(b"\n") + 1
            if not end:
                continue
            dropping, block = False, block[end:]
        text = rest + block
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        dropping = len(rest) > line_bytes
        if dropping:
            rest = b""
            yield text[:end] + _LONG_LINE
        elif end:
            yield text[:end]
    if rest:
        yield rest


def read_file(source: str | os.PathLike[str] | BinaryIO, name: str = "", limits: Limits = LIMITS) -> Recording:
    """Read a recording, plain or compressed, in any of the forms; a stream is read to its end and not closed.

    Moves are in order of time, lines of equal time in the order of the text. Raises BadRecording: 413 for a file above
    a limit, 415 for another kind of file, 422 for a damaged file or one with nothing to replay; its text begins with
    name, if given. OSError is not caught.
    """
    try:
        with open(source, "rb") if isinstance(source, (str, os.PathLike)) else nullcontext(source) as stream:
            return with_lost_wakes(_read(Opening(stream, limits), limits))
    except BadRecording as error:
        if name:
            error.args = (f"{readable(name.encode(errors='replace'))[:_BAD_CHARS]}: {error}",)
        raise


def _read(opening: Opening, limits: Limits) -> Recording:
    head = b""
    reader: _Reader | None = None
    found = False
    for text in _whole_lines(opening.blocks(), limits.line_bytes):
        if reader is None:
            head += text
            found = found or has_form(text)
            # A header may be long: the form is detected from the first events.
            if len(head) < (FIRST_BYTES if found else FIRST_BYTES_MAX):
                continue
            reader, text = _Reader(form_of(head), limits), head
        reader.text(text)
    if reader is None:
        reader = _Reader(form_of(head if head.endswith(b"\n") else head + b"\n"), limits)
        reader.text(head)
    return reader.recording(opening)
