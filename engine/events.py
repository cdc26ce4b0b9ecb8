"""EVENTS: every kind of event, the layout of its two words, and the sentence displayed for it.

One shape for all: (seq, time_ns, kind, cpu, task, page, a, b). The log is complete: folding it from the start
(engine.fold) reproduces the engine's pages, tasks and queues. Packers, readers, schema, legend, lanes, tooltips,
exports and the API's documents are all generated from this table; it alone defines what an event means.

FORMAT is the version of the shape and of these meanings. Every change takes a new number and an upgrader, so that
shared links keep working.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from string import Formatter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import BadLayout
from engine.words import Words, bits, less, word

FORMAT = 1
NONE = 0xFFFFFFFF
"""In the columns task and page: the event has no task, or no page."""

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
"""Events passed from compiled code to Python at a time, and the max. in one stored chunk."""


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
        """Return the events start..stop-1 of this batch (positions in the batch, not sequence numbers)."""
        columns: Any = self[1:]
        return Batch(self.first_seq + start, *(column[start:stop] for column in columns))

    def records(self) -> NDArray[np.void]:
        """Return the events as packed RECORDs, shape (n,): the bytes that the seal hashes."""
        rows = np.empty(len(self.time), RECORD)
        for (name, _), column in zip(COLUMNS, self[1:], strict=True):
            rows[name] = column
        return rows


class Kind(IntEnum):
    """The kinds, in the order of EVENTS. A number is never reused for another meaning."""

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
    fault_taken = 36
    fault_refused = 37
    pte_set = 38
    pte_cleared = 39
    tlb_flushed = 40
    page_mkcleaned = 41
    page_allocated = 42
    page_copied = 43
    page_protected = 44
    page_unprotected = 45
    protect_refused = 46
    fault_blocked = 47
    fault_resumed = 48
    device_read = 49
    copy_made = 50
    copy_dropped = 51
    device_atomic = 52
    ksm_page_set = 53
    page_merged = 54
    page_unmerged = 55
    ksm_scanned = 56
    atomic_retried = 57
    page_migrated = 58
    swap_cached = 59
    swap_uncached = 60
    notifier_range = 61


@dataclass(frozen=True)
class Event:
    """What one kind means: its two words, the sentence displayed for it, and where it is drawn."""

    words: Words
    says: str
    """Names in braces are the task, the page, or fields of the words."""
    lane: str
    colour: str


# Lanes group kinds in the events table and the legend; the colours are safe for the colour-blind (Okabe-Ito).
LANES: dict[str, str] = {
    "lock": "page lock",
    "wait": "waits and wake-ups",
    "mapping": "page->mapping",
    "writeback": "writeback and dirty",
    "life": "page life cycle",
    "tables": "page tables",
    "protect": "write protection",
    "device": "devices",
    "run": "run",
}

NO_WORDS = Words()
FLAGS = Words(flags=word("a", "page->flags after", "flags"))
FLAGS_LENGTH = Words(flags=word("a", "page->flags after", "flags"), length=word("b", "length of this page's queue"))
ENTRY = Words(
    queue=word("a", "queue"),
    length=bits("b", 0, 32, "queue length after"),
    bit=bits("b", 32, 8, "page bit waited for", "page_bit"),
    flags=bits("b", 40, 8, "flags of the wait entry", "entry_flags"),
    unflagged=bits("b", 48, 1, "PG_waiters is not set for it: the design finds it without the flag", "yes"),
)
WALK = Words(
    queue=bits("a", 0, 32, "queue"),
    stop=bits("a", 32, 4, "why the walk ended", "stop"),
    cleared=bits("a", 36, 1, "PG_waiters was cleared", "yes"),
    other_bit=bits("a", 40, 20, "entries of this page that wait for another bit"),
    walked=bits("b", 0, 21, "entries walked"),
    matched=bits("b", 21, 21, "entries that wait for this page and bit"),
    woken=bits("b", 42, 21, "tasks woken"),
    strangers=less("walked", "matched", "other_bit", label="entries of other pages"),
)
MAPPING = Words(before=word("a", "mapping before", "mapping"), after=word("b", "mapping after", "mapping"))
SAVED = Words(before=word("a", "saved mapping before", "mapping"), after=word("b", "saved mapping after", "mapping"))
PLACE = Words(mapping=word("a", "mapping", "mapping"), index=word("b", "index in the file"))
PTE = Words(
    mm=bits("a", 0, 16, "address space"),
    virtual=bits("a", 16, 32, "virtual page"),
    bits=bits("a", 48, 8, "bits of the entry", "pte"),
    mapcount=word("b", "entries that map the page after"),
)
FAULT = Words(
    mm=bits("a", 0, 16, "address space"),
    virtual=bits("a", 16, 32, "virtual page"),
    bits=bits("a", 48, 8, "bits of the entry", "pte"),
    write=word("b", "a write", "yes"),
)
RANGE = Words(
    mm=bits("a", 0, 16, "address space"),
    notifier=bits("a", 16, 8, "event", "notifier"),
    pages=word("b", "virtual pages in it"),
)
FLUSH = Words(
    mm=bits("a", 0, 16, "address space"),
    cpus=word("b", "other CPUs interrupted"),
)
UNPROTECTED = Words(
    mapping=word("a", "mapping after", "mapping"),
    broken=bits("b", 0, 1, "taken back from the device", "yes"),
    held_ns=bits("b", 1, 63, "how long it was protected, in ns"),
)
TRANSFER = Words(
    device=bits("a", 0, 16, "device"),
    bytes=bits("a", 16, 32, "bytes"),
    local=bits("a", 48, 1, "in the device's own memory", "yes"),
    took_ns=word("b", "how long it takes, in ns"),
)
SLOT = Words(slot=word("a", "slot of the swap area"))
HELD = Words(device=word("a", "device"))
COUNT = Words(count=word("a", "reference count after"))

EVENTS: dict[Kind, Event] = {
    Kind.page_locked: Event(FLAGS_LENGTH, "{task} locked {page}", "lock", "#0072b2"),
    Kind.page_unlocked: Event(FLAGS_LENGTH, "{task} unlocked {page}", "lock", "#56b4e9"),
    Kind.waiter_queued: Event(
        ENTRY, "{task} queued for {bit} of {page}: queue {queue}, length now {length}", "wait", "#e69f00"
    ),
    Kind.waiter_woken: Event(ENTRY, "{task} was woken for {bit} of {page}", "wait", "#009e73"),
    Kind.waiter_left: Event(ENTRY, "{task} left the queue without a wake-up", "wait", "#cc79a7"),
    Kind.walk_paused: Event(
        Words(queue=word("a", "queue"), walked=word("b", "entries walked in this pass")),
        "{task} walked {walked} entries, left a bookmark and dropped the queue lock",
        "wait",
        "#999999",
    ),
    Kind.walk_ended: Event(
        WALK,
        "{task} walked queue {queue} for {page}: {walked} visited, {woken} woken, {strangers} of other pages, "
        "{other_bit} for another bit; {stop}",
        "wait",
        "#666666",
    ),
    Kind.mapping_swapped: Event(MAPPING, "mapping of {page} was swapped for a wait structure", "mapping", "#d55e00"),
    Kind.mapping_restored: Event(MAPPING, "mapping of {page} was restored", "mapping", "#009e73"),
    Kind.saved_mapping_cleared: Event(SAVED, "the saved mapping of {page} was cleared", "mapping", "#cc79a7"),
    Kind.page_inserted: Event(
        Words(mapping=word("a", "mapping after", "mapping"), index=word("b", "index in the file")),
        "{page} was added to the page cache",
        "life",
        "#0072b2",
    ),
    Kind.page_removed: Event(MAPPING, "{page} was removed from the page cache", "life", "#56b4e9"),
    Kind.page_truncated: Event(MAPPING, "{page} was truncated", "life", "#d55e00"),
    Kind.writeback_started: Event(FLAGS, "writeback of {page} began", "writeback", "#f0e442"),
    Kind.writeback_ended: Event(FLAGS_LENGTH, "writeback of {page} ended", "writeback", "#009e73"),
    Kind.page_dirtied: Event(FLAGS, "{page} became dirty", "writeback", "#e69f00"),
    Kind.page_cleaned: Event(FLAGS, "{page} became clean", "writeback", "#56b4e9"),
    Kind.page_uptodate: Event(FLAGS, "{page} became up to date", "life", "#009e73"),
    Kind.page_pinned: Event(COUNT, "{task} took a reference on {page}: {count} now", "life", "#999999"),
    Kind.page_put: Event(COUNT, "{task} dropped a reference on {page}: {count} left", "life", "#999999"),
    Kind.page_freed: Event(
        Words(mapping=word("a", "mapping before", "mapping"), flags=word("b", "page->flags before", "flags")),
        "{page} was freed",
        "life",
        "#666666",
    ),
    Kind.page_seen: Event(
        Words(mapping=word("a", "mapping", "mapping"), flags=word("b", "page->flags", "flags")),
        "{page} first appears in the recording",
        "life",
        "#999999",
    ),
    Kind.waiters_flag_set: Event(FLAGS, "PG_waiters of {page} was set", "wait", "#999999"),
    Kind.waiters_flag_cleared: Event(FLAGS, "PG_waiters of {page} was cleared", "wait", "#999999"),
    Kind.lookup_retried: Event(
        Words(found=word("a", "mapping found", "mapping"), wanted=word("b", "mapping wanted", "mapping")),
        "{task} found {page} truncated",
        "life",
        "#cc79a7",
    ),
    Kind.truncate_began: Event(
        Words(file=word("a", "mapping of the file", "mapping"), first=word("b", "first page cut")),
        "{task} began to truncate",
        "run",
        "#d55e00",
    ),
    Kind.truncate_ended: Event(
        Words(file=word("a", "mapping of the file", "mapping"), left=word("b", "pages left in the file")),
        "{task} ended its truncation: {left} pages left",
        "run",
        "#d55e00",
    ),
    Kind.events_lost: Event(
        Words(count=word("a", "events lost, -1 if unknown")), "the recording lost events here", "run", "#000000"
    ),
    Kind.mark: Event(Words(mark=word("a", "row of the cast's marks", "mark")), "{mark}", "run", "#666666"),
    Kind.task_finished: Event(NO_WORDS, "{task} finished its program", "run", "#666666"),
    Kind.invariant_broken: Event(
        Words(invariant=word("a", "the invariant's number (engine/invariants.py)", "invariant")),
        "INVARIANT BROKEN by {task}: {invariant}",
        "run",
        "#d55e00",
    ),
    Kind.page_written: Event(PLACE, "{task} wrote to {page}", "life", "#e69f00"),
    Kind.page_mapped: Event(PLACE, "{task} mapped {page}", "life", "#0072b2"),
    Kind.page_unmapped: Event(PLACE, "{task} unmapped {page}", "life", "#56b4e9"),
    Kind.table_resized: Event(
        Words(before=word("a", "buckets before"), after=word("b", "buckets after")),
        "{task} resized the hash table of waiters from {before} to {after} buckets",
        "wait",
        "#999999",
    ),
    Kind.fault_taken: Event(FAULT, "{task} faulted on {page}, virtual page {virtual}", "tables", "#cc79a7"),
    Kind.fault_refused: Event(
        Words(reason=word("a", "reason", "refusal")), "{task} was refused {page}: {reason}", "tables", "#d55e00"
    ),
    Kind.pte_set: Event(PTE, "an entry of address space {mm} maps {page}: {bits}", "tables", "#0072b2"),
    Kind.pte_cleared: Event(PTE, "an entry of address space {mm} no longer maps {page}", "tables", "#56b4e9"),
    Kind.tlb_flushed: Event(
        FLUSH,
        "{task} flushed TLBs of address space {mm}; other CPUs interrupted: {cpus}",
        "tables",
        "#e69f00",
    ),
    Kind.page_mkcleaned: Event(
        Words(cleaned=word("a", "entries changed"), mapped=word("b", "entries that map the page")),
        "{task} write-protected {page}; entries changed: {cleaned} of {mapped}",
        "tables",
        "#009e73",
    ),
    Kind.page_allocated: Event(
        Words(mapping=word("a", "mapping after", "mapping"), virtual=word("b", "virtual page")),
        "{task} allocated {page}",
        "life",
        "#0072b2",
    ),
    Kind.page_copied: Event(
        Words(mapping=word("a", "mapping after", "mapping"), source=word("b", "row of the page copied")),
        "{task} copied a page to {page}",
        "life",
        "#e69f00",
    ),
    Kind.page_protected: Event(
        Words(mapping=word("a", "mapping after", "mapping"), mapped=word("b", "entries that map the page")),
        "{task} protected {page}; entries that map it: {mapped}",
        "protect",
        "#0072b2",
    ),
    Kind.page_unprotected: Event(
        UNPROTECTED,
        "{task} ended the protection of {page} after {held_ns} ns",
        "protect",
        "#56b4e9",
    ),
    Kind.protect_refused: Event(
        Words(reason=word("a", "reason", "protect_refusal")),
        "{task} could not protect {page}: {reason}",
        "protect",
        "#cc79a7",
    ),
    Kind.fault_blocked: Event(
        Words(owner=word("a", "row of the task that has it protected")),
        "{task} met {page} protected",
        "protect",
        "#e69f00",
    ),
    Kind.fault_resumed: Event(
        Words(waited_ns=word("a", "how long it waited, in ns")),
        "{task} goes on with {page} after {waited_ns} ns",
        "protect",
        "#009e73",
    ),
    Kind.device_read: Event(TRANSFER, "{task} read {page} in {took_ns} ns", "device", "#0072b2"),
    Kind.copy_made: Event(HELD, "device {device} has a copy of {page}", "device", "#009e73"),
    Kind.copy_dropped: Event(HELD, "the copy of {page} in device {device} was dropped", "device", "#d55e00"),
    Kind.device_atomic: Event(TRANSFER, "{task} made an atomic on {page} in {took_ns} ns", "device", "#e69f00"),
    Kind.ksm_page_set: Event(MAPPING, "mapping of {page} names a stable node: it is a KSM page", "mapping", "#0072b2"),
    Kind.page_merged: Event(
        PTE, "{task} merged virtual page {virtual} of address space {mm} into {page}", "tables", "#009e73"
    ),
    Kind.page_unmerged: Event(
        PTE, "virtual page {virtual} of address space {mm} got a copy of {page}", "tables", "#d55e00"
    ),
    Kind.ksm_scanned: Event(
        Words(shared=word("a", "KSM pages"), sharing=word("b", "entries that share them, besides the first of each")),
        "{task} has scanned all entries: {shared} pages shared, {sharing} more sharing them",
        "tables",
        "#999999",
    ),
    Kind.atomic_retried: Event(
        TRANSFER, "an atomic of {task} on {page} begins again: the word has changed", "device", "#d55e00"
    ),
    Kind.page_migrated: Event(
        Words(mapping=word("a", "mapping after", "mapping"), source=word("b", "row of the page that moved")),
        "{task} moved a page to {page}",
        "life",
        "#0072b2",
    ),
    Kind.swap_cached: Event(SLOT, "{page} was added to the swap cache, slot {slot}", "life", "#56b4e9"),
    Kind.swap_uncached: Event(SLOT, "{page} was removed from the swap cache, slot {slot}", "life", "#cc79a7"),
    Kind.notifier_range: Event(
        RANGE,
        "{task} told devices that entries of address space {mm} change ({notifier}); virtual pages: {pages}",
        "tables",
        "#999999",
    ),
}


def check_layouts(events: Mapping[Kind, Event]) -> None:
    """Raise BadLayout for a kind without a layout, and for a sentence that names a field its kind does not have."""
    for kind in Kind:
        event = events.get(kind)
        if event is None:
            raise BadLayout(f"event {kind.name}: EVENTS in engine/events.py has no layout of its words")
        named = {name for _, name, _, _ in Formatter().parse(event.says) if name is not None}
        if unknown := named - event.words.fields.keys() - {"task", "page"}:
            raise BadLayout(f"event {kind.name}: its sentence names {min(unknown)}, which its words do not have")


check_layouts(EVENTS)

STOPS = ("end", "exclusive", "taken")
"""Why a walk ended, as recordings name it; the index is the number in walk_ended."""
STOP_WORDS = ("end of the queue", "stopped at an exclusive waiter", "stopped: the bit was taken again")
"""The same in words."""

PTE_NAMES = {
    1: "present",
    2: "writable",
    4: "dirty",
    8: "device-exclusive",
    16: "migration",
    32: "was writable",
    64: "swap",
}
"""Bits of a page table entry -> name (engine.world.state.PTE_PRESENT ..)."""
NOTIFIER_EVENTS = (
    "UNMAP",
    "CLEAR",
    "PROTECTION_VMA",
    "PROTECTION_PAGE",
    "SOFT_DIRTY",
    "RELEASE",
    "MIGRATE",
    "EXCLUSIVE",
)
"""MMU_NOTIFY_ events of 6.1 (include/linux/mmu_notifier.h); 4.16 has the ranges without them."""
REFUSALS = ("beyond the end of the file (SIGBUS)", "not in the page cache", "no page is free", "protected")
"""Why an access was refused; the index is the number in fault_refused (engine.mm.page_table)."""
PROTECT_REFUSALS = (
    "no page is mapped here",
    "it has left its file",
    "protected already",
    "not anonymous",
    "pinned",
    "merged by KSM",
    "its entry has changed",
)
"""Why a page was not protected; the index is the number in protect_refused (engine.mm.protect)."""

# Bits of page->flags, in the order of 4.16 (include/linux/page-flags.h); readers of recordings translate to these.
PG_LOCKED, PG_ERROR, PG_REFERENCED, PG_UPTODATE, PG_DIRTY, PG_LRU, PG_ACTIVE, PG_WAITERS = range(8)
PG_PRIVATE_2, PG_WRITEBACK = 13, 14
FLAG_NAMES = {
    PG_LOCKED: "PG_locked",
    PG_ERROR: "PG_error",
    PG_REFERENCED: "PG_referenced",
    PG_UPTODATE: "PG_uptodate",
    PG_DIRTY: "PG_dirty",
    PG_LRU: "PG_lru",
    PG_ACTIVE: "PG_active",
    PG_WAITERS: "PG_waiters",
    PG_PRIVATE_2: "PG_private_2",
    PG_WRITEBACK: "PG_writeback",
}
PAGE_BITS = {bit: FLAG_NAMES[bit] for bit in (PG_LOCKED, PG_PRIVATE_2, PG_WRITEBACK)}
"""The page bits that a task can wait for."""
FLAG_LETTERS = {PG_LOCKED: "L", PG_ERROR: "E", PG_UPTODATE: "U", PG_DIRTY: "D", PG_WAITERS: "w", PG_WRITEBACK: "W"}

# Flags of a wait entry, with the values of 5.9 and 6.1 (include/linux/wait.h); one meaning for every profile.
WQ_EXCLUSIVE, WQ_WOKEN, WQ_BOOKMARK, WQ_CUSTOM, WQ_DONE = 1, 2, 4, 8, 16
WQ_NAMES = {WQ_EXCLUSIVE: "exclusive", WQ_WOKEN: "woken", WQ_BOOKMARK: "bookmark", WQ_CUSTOM: "custom", WQ_DONE: "done"}
