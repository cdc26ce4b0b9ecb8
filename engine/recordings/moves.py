"""MOVES: a recording as a table of events, in order of time, independent of the text format.

Readers (ftrace, perf script, bpftrace) write it; engine.runs.replay replays it. Tasks, pages and files are numbered in
order of first appearance.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from engine.cast import VMEMMAP_BASE

MOVE = np.dtype(
    [
        ("time", "<i8"),  # ns since the recording's first event
        ("arg", "<i8"),  # see Op
        ("index", "<i8"),  # page's index in its file, or see Op
        ("flags", "<i8"),  # page->flags in the bit order of engine.events, or -1 where the line has none
        ("mapping", "<i8"),  # page->mapping, or -1 where the line has none
        ("task", "<u4"),  # row of tasks: the thread the line names (an interrupt shows the interrupted thread)
        ("page", "<u4"),  # row of pages, or NONE
        ("cpu", "<u2"),
        ("op", "<u1"),
        ("bit", "<u1"),  # page bit in the order of engine.events (PG_locked 0, PG_writeback 14)
        ("wflags", "<u1"),  # wait entry flags with the values of engine.events (WQ_*)
        ("irq", "<u1"),  # 1: the line's flags show a hard or soft interrupt, 0: neither, 2: unknown (see below)
        ("line", "<u4"),  # number of the line in the text, from 1
    ]
)
"""One packed move, 58 bytes. irq is 2 for forms without flags, and for the flags Z and z: a probe that the kernel could
not optimise runs in NMI context, whatever it interrupts."""


class Op(IntEnum):
    """What happened in a move; `arg` is 0 unless the comment names it."""

    queued = 1  # task was appended at the tail of the page's queue, for bit, with wflags
    left = 2  # task left its wait; without WQ_WOKEN in wflags it gave up and removes itself from the queue
    walk = 3  # a waker began to walk the queue; arg = 1: this pass ended at an exclusive waiter whose bit was taken
    walk_on = 4  # a further pass of the same walk, after its bookmark; arg as for walk
    not_queued = 5  # the wait path found the bit clear: no waiter was queued; page is NONE if the line does not name it
    insert = 6  # page entered the page cache; arg = row of files, index = index, flags = order (log2 of pages)
    remove = 7  # page left the page cache; arg = row of files, index, flags = order
    unlock = 8  # unlock_page / folio_unlock entered
    writeback_end = 9  # end_page_writeback / folio_end_writeback entered
    truncate = 10  # truncate_inode_pages_range; arg = start byte, index = end byte, mapping = the file's
    dirty = 11  # a page of file arg became dirty at index (page is NONE if the page is not known)
    writeback_wait = 12  # a task met PG_writeback on file arg at index
    mark = 13  # the workload's own mark; arg = row of marks
    lost = 14  # the recording lost events here; arg = their number, -1 if unknown; task is NONE
    wake = 15  # wake function entered, before the queue lock: shows flags and mapping only
    look = 16  # any other line that shows a page's flags and mapping


REFUSED_MAX = 20
"""Max. lines of each kind in a report."""


class Refused(BaseModel):
    """One bad line: its number (from 1), why it could not be read, and its first 80 characters."""

    model_config = ConfigDict(frozen=True)
    line: int
    why: str
    text: str


class Report(BaseModel):
    """What an import read, used, skipped and lost."""

    form: str
    """"ftrace", "trace-cmd", "perf script" or "bpftrace"."""
    compressed: str = ""
    bytes_read: int = 0
    """Bytes of text, after decompression."""
    lines: int = 0
    headers: int = 0
    events: int = 0
    used: dict[str, int] = {}
    skipped: dict[str, int] = {}
    """Lines understood but not needed, by event name."""
    bad_lines: int = 0
    bad: list[Refused] = []
    """The first 20."""
    long_lines: int = 0
    lost_events: int = 0
    lost_marks: int = 0
    """"LOST n EVENTS" notes; those without a number count here and not in lost_events."""
    buffer_lost: int = 0
    """entries-written minus entries-in-buffer of the header."""
    unfinished_waits: int = 0
    """Waits still open at the end."""
    waits_without_wake: list[Refused] = []
    """Waits that ended woken with no wake-up recorded for them (first 20)."""
    waits_without_wake_count: int = 0
    reordered: int = 0
    cpus: int = 0
    kernel: str = ""
    """Profile inferred from the lines: "5.10", "6.1", "6.7+"; empty if unknown."""
    first_time_ns: int = 0
    last_time_ns: int = 0
    has_waits: bool = False
    has_truth: bool = False
    """The recording has the kernel's own walk and walk_ret lines."""


class Recording(NamedTuple):
    """A parsed recording. moves has dtype MOVE and shape (n,)."""

    moves: NDArray[np.void]
    tasks: list[tuple[str, int]]  # comm, pid
    pfns: NDArray[np.int64]
    files: list[tuple[str, int]]  # "dev ino" as tracepoints print it, address of its address_space (made up if unseen)
    marks: list[str]
    report: Report
    sha256: str  # of the file as given
    vmemmap_base: int = VMEMMAP_BASE  # address of a page's struct = vmemmap_base + 64 * pfn


def tell_waits_without_wake(recording: Recording, rows: Sequence[int]) -> Recording:
    """Return the recording with these waits in its report: they ended woken, but no wake-up was recorded for them.

    `rows` are rows of moves, each an Op.left.
    """
    reported = []
    for row in rows[:REFUSED_MAX]:
        move = recording.moves[row]
        comm, pid = recording.tasks[move["task"]]
        text = f"{comm}-{pid} left the wait for page {int(recording.pfns[move['page']]):#x}"
        reported.append(Refused(line=int(move["line"]), why="woken, but no wake was recorded", text=text[:80]))
    report = recording.report.model_copy(update={"waits_without_wake": reported, "waits_without_wake_count": len(rows)})
    return recording._replace(report=report)
