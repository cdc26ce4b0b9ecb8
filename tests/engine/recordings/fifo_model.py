"""A second opinion on hashed wait queues: plain Python lists, written from the kernel's source, not from the engine.

It eats the moves of a recording and foretells every walk: __wake_up_common and wake_page_function of 5.10, 6.1 and 6.12
(kernel/sched/wait.c, mm/filemap.c).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from engine.events import WQ_EXCLUSIVE, WQ_WOKEN
from engine.recordings.moves import Op, Recording

GOLDEN_RATIO_64 = 0x61C8864680B583EB
BREAK_AFTER = {"5.10": 65, "6.1": 65}
"""Entries of one pass in kernels that leave a bookmark; others walk to the end."""


@dataclass
class Entry:
    """A waiter, or (task -1) the bookmark of a walk that let the lock go."""

    task: int
    page: int = -1
    bit: int = -1
    exclusive: bool = False


@dataclass
class Walk:
    """One walk as foretold; the names are those of the table of truth."""

    row: int
    bucket: int
    batches: list[int] = field(default_factory=list)
    matched: int = 0
    woken: int = 0
    other_bit: int = 0
    strangers: int = 0
    stop: str = "end"
    waiters: list[int] = field(default_factory=list)
    """Rows of tasks walked, in order."""


@dataclass
class Fifo:
    """The queues, and what became of them."""

    walks: list[Walk] = field(default_factory=list)
    without_wake: list[int] = field(default_factory=list)
    """Rows of moves: waits that ended woken while their entry was still in its queue."""
    longest: int = 0


def bucket_of(address: int, bits: int = 8) -> int:
    """hash_ptr (include/linux/hash.h)."""
    return (address * GOLDEN_RATIO_64 & 0xFFFF_FFFF_FFFF_FFFF) >> (64 - bits)


def _take_off(queues: dict[int, list[Entry]], gone: Entry, bucket: int) -> None:
    queues[bucket][:] = [entry for entry in queues[bucket] if entry is not gone]


def foretell(recording: Recording, bits: int = 8) -> Fifo:
    """Walk the queues of 2^bits buckets as the moves say."""
    told = Fifo()
    queues: defaultdict[int, list[Entry]] = defaultdict(list)
    sits: dict[int, tuple[Entry, int]] = {}  # task -> its entry and bucket
    paused: list[tuple[int, int, int, Entry, Walk]] = []  # task, page, bit of a walk that left a bookmark
    most = BREAK_AFTER.get(recording.report.kernel, 1 << 62)
    buckets = [bucket_of(recording.vmemmap_base + 64 * int(pfn), bits) for pfn in recording.pfns]
    moves = recording.moves
    columns = (moves[name].tolist() for name in ("op", "task", "page", "bit", "wflags", "arg"))
    for row, (op, task, page, bit, wflags, arg) in enumerate(zip(*columns, strict=True)):
        if op == Op.queued:
            if task in sits:  # its wake is missing: an entry is queued again only after it was taken off
                _take_off(queues, *sits.pop(task))
            entry = Entry(task, page, bit, bool(wflags & WQ_EXCLUSIVE))
            queue = queues[buckets[page]]
            queue.append(entry)
            told.longest = max(told.longest, len(queue))
            sits[task] = entry, buckets[page]
        elif op == Op.left and task in sits:
            _take_off(queues, *sits.pop(task))
            if wflags & WQ_WOKEN:
                told.without_wake.append(row)
        elif op in (Op.walk, Op.walk_on):
            bucket = buckets[page]
            queue = queues[bucket]
            if op == Op.walk:
                walk, at = Walk(row, bucket), 0
                told.walks.append(walk)
            else:
                mine = [i for i, walk_of in enumerate(paused) if walk_of[:3] == (task, page, bit)]
                if not mine:
                    continue  # the walk's beginning was lost
                mark, walk = paused.pop(mine[-1])[3:]
                at = next(i for i, entry in enumerate(queue) if entry is mark)
                del queue[at]
            walked, walk.stop = 0, "end"
            while at < len(queue):
                entry = queue[at]
                if entry.task < 0:  # another walk's bookmark is passed over and not counted
                    at += 1
                    continue
                walked += 1
                walk.waiters.append(entry.task)
                if entry.page != page:
                    walk.strangers += 1
                    at += 1
                elif entry.bit != bit:
                    walk.other_bit += 1
                    at += 1
                else:
                    walk.matched += 1
                    if entry.exclusive and arg == 1:
                        walk.stop = "taken"
                        break
                    walk.woken += 1
                    del queue[at]
                    del sits[entry.task]
                    if entry.exclusive:
                        walk.stop = "exclusive"
                        break
                if walked == most and at < len(queue):
                    mark = Entry(-1)
                    queue.insert(at, mark)
                    paused.append((task, page, bit, mark, walk))
                    break
            walk.batches.append(walked)
    return told
