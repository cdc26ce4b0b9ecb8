"""EVENTS: every kind of event, what its two words mean, and how a reader is told.

One shape for all: (seq, time_ns, kind, cpu, task, page, a, b). The log is complete: folding it from the start
(engine.fold) gives the pages, tasks and queues as the engine has them. Schema, legend, lanes, tooltips, exports and
the API's documents are all made from this table; nothing else says what an event means.

FORMAT is the version of the shape and of these meanings. A change is a new number and an upgrader, because a shared
link never dies.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
NONE = 0xFFFFFFFF
"""In the columns task and page: the event is about no task, or about no page."""

COLUMNS: tuple[tuple[str, str], ...] = (
    ("time", "<i8"),  # nanoseconds since the start of the run
    ("kind", "<u1"),
    ("cpu", "<u2"),
    ("task", "<u4"),  # row of the cast's tasks, or NONE
    ("page", "<u4"),  # row of the cast's pages, or NONE
    ("a", "<i8"),
    ("b", "<i8"),
)
RECORD = np.dtype(list(COLUMNS))
"""One event as hashed and exported: packed, little-endian, 35 bytes; seq is its place."""

BATCH = 16_384
"""Events handed from compiled code to Python at a time, and the most that one stored chunk holds."""


class Batch(NamedTuple):
    """Consecutive events as columns, each of shape (n,) with the dtype of COLUMNS; first_seq numbers the first."""

    first_seq: int
    time: NDArray[np.int64]
    kind: NDArray[np.uint8]
    cpu: NDArray[np.uint16]
    task: NDArray[np.uint32]
    page: NDArray[np.uint32]
    a: NDArray[np.int64]
    b: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time)

    def cut(self, start: int, stop: int) -> Batch:
        """Return the events start..stop-1 of this batch (places in the batch, not sequence numbers)."""
        columns: Any = self[1:]
        return Batch(self.first_seq + start, *(column[start:stop] for column in columns))

    def records(self) -> NDArray[np.void]:
        """Return the events as packed RECORDs, shape (n,): the bytes that the seal hashes."""
        rows = np.empty(len(self.time), RECORD)
        for (name, _), column in zip(COLUMNS, self[1:], strict=True):
            rows[name] = column
        return rows


class Kind(IntEnum):
    """The kinds, in the order of EVENTS. A number is never used again for another meaning."""

    page_locked = 1
    page_unlocked = 2
    waiter_queued = 3
    waiter_woken = 4
    waiter_left = 5
    walk_paused = 6
    walk_ended = 7
    mapping_swapped = 8
    mapping_restored = 9
    saved_mapping_cleared = 10
    page_inserted = 11
    page_removed = 12
    page_truncated = 13
    writeback_started = 14
    writeback_ended = 15
    page_dirtied = 16
    page_cleaned = 17
    page_uptodate = 18
    page_pinned = 19
    page_put = 20
    page_freed = 21
    page_seen = 22
    waiters_flag_set = 23
    waiters_flag_cleared = 24
    lookup_retried = 25
    truncate_began = 26
    truncate_ended = 27
    events_lost = 28
    mark = 29
    task_finished = 30
    invariant_broken = 31
    page_written = 32
    page_mapped = 33
    page_unmapped = 34
    table_resized = 35


@dataclass(frozen=True)
class Event:
    """What one kind means: its two words, the sentence a reader is told, and where it is drawn."""

    a: str
    b: str
    says: str
    lane: str
    colour: str


# Lanes group kinds in the events table and the legend; colours are told apart by the colour-blind (Okabe-Ito).
LANES: dict[str, str] = {
    "lock": "page lock",
    "wait": "waits and wake-ups",
    "mapping": "page->mapping",
    "writeback": "writeback and dirty",
    "life": "life of a page",
    "run": "the run itself",
}

_FLAGS = "page->flags after"
_QUEUE = "queue"
_ENTRY = (
    "queue length after (bits 0-31), page bit waited for (32-39), entry flags (40-47), "
    "1 if no PG_waiters is set for it (48)"
)

EVENTS: dict[Kind, Event] = {
    Kind.page_locked: Event(
        _FLAGS, "length of the queue this page waits in", "{task} locked {page}", "lock", "#0072b2"
    ),
    Kind.page_unlocked: Event(
        _FLAGS, "length of that queue before any wake", "{task} unlocked {page}", "lock", "#56b4e9"
    ),
    Kind.waiter_queued: Event(_QUEUE, _ENTRY, "{task} queued for {bit} of {page}", "wait", "#e69f00"),
    Kind.waiter_woken: Event(_QUEUE, _ENTRY, "{task} was woken for {bit} of {page}", "wait", "#009e73"),
    Kind.waiter_left: Event(_QUEUE, _ENTRY, "{task} left the queue by itself", "wait", "#cc79a7"),
    Kind.walk_paused: Event(
        _QUEUE, "entries walked in this pass", "{task} left a bookmark and let the queue lock go", "wait", "#999999"
    ),
    Kind.walk_ended: Event(
        "queue (bits 0-31), stop reason (32-35: 0 end, 1 exclusive, 2 taken), PG_waiters cleared (36), "
        "entries of this page waiting for another bit (40-59)",
        "entries walked (bits 0-20), matched (21-41), woken (42-62)",
        "{task} ended its walk of the queue",
        "wait",
        "#666666",
    ),
    Kind.mapping_swapped: Event(
        "mapping before", "mapping after", "page_wait swapped into {page}", "mapping", "#d55e00"
    ),
    Kind.mapping_restored: Event("mapping before", "mapping after", "mapping of {page} restored", "mapping", "#009e73"),
    Kind.saved_mapping_cleared: Event(
        "saved mapping before",
        "saved mapping after",
        "the mapping kept behind {page} was cleared",
        "mapping",
        "#cc79a7",
    ),
    Kind.page_inserted: Event("mapping after", "index in the file", "{page} entered the page cache", "life", "#0072b2"),
    Kind.page_removed: Event("mapping before", "mapping after", "{page} left the page cache", "life", "#56b4e9"),
    Kind.page_truncated: Event("mapping before", "mapping after", "{page} was truncated", "life", "#d55e00"),
    Kind.writeback_started: Event(_FLAGS, "0", "writeback of {page} began", "writeback", "#f0e442"),
    Kind.writeback_ended: Event(
        _FLAGS, "length of the queue this page waits in", "writeback of {page} ended", "writeback", "#009e73"
    ),
    Kind.page_dirtied: Event(_FLAGS, "0", "{page} became dirty", "writeback", "#e69f00"),
    Kind.page_cleaned: Event(_FLAGS, "0", "{page} became clean", "writeback", "#56b4e9"),
    Kind.page_uptodate: Event(_FLAGS, "0", "{page} holds its data", "life", "#009e73"),
    Kind.page_pinned: Event("reference count after", "0", "{task} took a reference on {page}", "life", "#999999"),
    Kind.page_put: Event("reference count after", "0", "{task} dropped a reference on {page}", "life", "#999999"),
    Kind.page_freed: Event("mapping before", "flags before", "{page} was freed", "life", "#666666"),
    Kind.page_seen: Event("mapping", "page->flags", "the recording first shows {page}", "life", "#999999"),
    Kind.waiters_flag_set: Event(_FLAGS, "0", "PG_waiters of {page} was set", "wait", "#999999"),
    Kind.waiters_flag_cleared: Event(_FLAGS, "0", "PG_waiters of {page} was cleared", "wait", "#999999"),
    Kind.lookup_retried: Event("mapping found", "mapping wanted", "{task} found {page} truncated", "life", "#cc79a7"),
    Kind.truncate_began: Event("mapping of the file", "first page cut", "{task} began to truncate", "run", "#d55e00"),
    Kind.truncate_ended: Event(
        "mapping of the file", "pages left in the file", "{task} ended its truncation", "run", "#d55e00"
    ),
    Kind.events_lost: Event("events lost, -1 if unknown", "0", "the recording lost events here", "run", "#000000"),
    Kind.mark: Event("row of the cast's marks", "0", "{mark}", "run", "#666666"),
    Kind.task_finished: Event("0", "0", "{task} finished its program", "run", "#666666"),
    Kind.invariant_broken: Event(
        "the invariant's number (engine/invariants.py)",
        "0",
        "here {task} breaks an invariant: {invariant}",
        "run",
        "#d55e00",
    ),
    Kind.page_written: Event("mapping", "index in the file", "{task} wrote to {page}", "life", "#e69f00"),
    Kind.page_mapped: Event("mapping", "index in the file", "{task} mapped {page}", "life", "#0072b2"),
    Kind.page_unmapped: Event("mapping", "index in the file", "{task} unmapped {page}", "life", "#56b4e9"),
    Kind.table_resized: Event(
        "buckets before", "buckets after", "{task} resized the hash table of waiters", "wait", "#999999"
    ),
}

STOPS = ("end", "exclusive", "taken")
"""Why a walk ended, in the words of the recordings: number in walk_ended -> word."""

# Bits of page->flags, in the order of 4.16 (include/linux/page-flags.h); readers of recordings translate to these.
PG_LOCKED, PG_ERROR, PG_REFERENCED, PG_UPTODATE, PG_DIRTY, PG_LRU, PG_ACTIVE, PG_WAITERS = range(8)
PG_PRIVATE_2, PG_WRITEBACK = 13, 14
PAGE_BITS = {PG_LOCKED: "PG_locked", PG_PRIVATE_2: "PG_private_2", PG_WRITEBACK: "PG_writeback"}
FLAG_LETTERS = {PG_LOCKED: "L", PG_ERROR: "E", PG_UPTODATE: "U", PG_DIRTY: "D", PG_WAITERS: "w", PG_WRITEBACK: "W"}
FLAG_NAMES = {
    PG_LOCKED: "locked",
    PG_DIRTY: "dirty",
    PG_UPTODATE: "uptodate",
    PG_WAITERS: "waiters",
    PG_WRITEBACK: "writeback",
}
FLAG_NAMES |= {PG_ERROR: "error", PG_PRIVATE_2: "private_2"}

# Flags of a wait entry, with the values of 5.9 and 6.1 (include/linux/wait.h); one meaning for every profile.
WQ_EXCLUSIVE, WQ_WOKEN, WQ_BOOKMARK, WQ_CUSTOM, WQ_DONE = 1, 2, 4, 8, 16
WQ_NAMES = {WQ_EXCLUSIVE: "exclusive", WQ_WOKEN: "woken", WQ_BOOKMARK: "bookmark", WQ_CUSTOM: "custom", WQ_DONE: "done"}


class PageState(IntEnum):
    """What a page is at one instant, in order of severity: where a page or a cell is several, the worst shows."""

    free = 0  # in no file: mapping is NULL and nobody has it locked
    clean = 1
    dirty = 2
    locked = 3
    waited_on = 4  # tasks sit in a queue for it
    swapped = 5  # page->mapping holds a tagged page_wait
    writeback = 6
    truncated = 7  # taken from its file by truncation, not yet freed or inserted again


PAGE_STATE_COLOURS = ("#d9dde2", "#9fb8cc", "#c8a15a", "#0072b2", "#e69f00", "#d55e00", "#f0e442", "#8b2f8f")


NO_WAITERS_FLAG = 1 << 48
"""In word b of waiter_queued: the design finds its waiters without PG_waiters."""


class Entry(NamedTuple):
    """Word b of waiter_queued, waiter_woken and waiter_left, taken apart."""

    length: int
    bit: int
    flags: int


def entry(b: int) -> Entry:
    """Take word b of a waiter's event apart."""
    return Entry(b & 0xFFFFFFFF, b >> 32 & 0xFF, b >> 40 & 0xFF)


class Walk(NamedTuple):
    """The two words of walk_ended, taken apart; strangers are entries of other pages."""

    queue: int
    stop: str
    flag_cleared: bool
    other_bit: int
    walked: int
    matched: int
    woken: int

    @property
    def strangers(self) -> int:
        return self.walked - self.matched - self.other_bit


def walk(a: int, b: int) -> Walk:
    """Take the two words of walk_ended apart."""
    return Walk(
        a & 0xFFFFFFFF,
        STOPS[a >> 32 & 0xF],
        bool(a >> 36 & 1),
        a >> 40 & 0xFFFFF,
        b & 0x1FFFFF,
        b >> 21 & 0x1FFFFF,
        b >> 42 & 0x1FFFFF,
    )
