"""World: pages, tasks, queues, files and the trace as arrays. One run's whole state, and nothing else.

All arrays of the state proper are views of one flat buffer (`World.memory`), so that a state is copied, compared,
hashed and restored as one block. Row numbers are this world's pointers; NONE is NULL.
Words (flags, mapping, times) are int64, rows are kept as uint32. Signed and unsigned 64-bit must never meet in compiled
code (numba makes a float of them), so all columns but three (addresses and random words) are read as signed numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.events import BATCH, COLUMNS, NONE

__all__ = ["NONE"]


class Column:
    """An array of integers that gives and takes plain numbers: what compiled and interpreted code both see.

    Elements come as Python ints (64-bit signed when compiled); only columns of uint64 stay unsigned words. The array
    itself, for numpy, is `array`.
    """

    __slots__ = ("_word", "array")

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self._word = array.dtype == np.uint64

    def __getitem__(self, row: int) -> int:
        value = self.array[row]
        return value if self._word else int(value)

    def __setitem__(self, row: int, value: int) -> None:
        self.array[row] = value


# The classes below name the element type of each column; engine.build and engine.world_type read it there.
I64: TypeAlias = Column
U64: TypeAlias = Column
U32: TypeAlias = Column
U16: TypeAlias = Column
U8: TypeAlias = Column
DTYPES = {"I64": np.int64, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8}


def element_types(table: Any) -> dict[str, str]:
    """Return the element type ("I64" ..) of each column of a table, in order."""
    return {field: reference.__forward_arg__ for field, reference in table.__annotations__.items()}


# What a task is doing, as far as anyone may wake it.
READY, ASLEEP, SPINNING, FINISHED = range(4)


class Pages(NamedTuple):
    """One row a page (struct page)."""

    flags: I64  # bit order of engine.events
    mapping: I64  # page->mapping as a tagged word
    address: U64  # where its struct page stands, what the kernel hashes
    queue: U32  # shared queue that the address hashes to
    refcount: I64
    file: U32  # file it is cached in, or NONE
    index: I64  # type: ignore[assignment]  # place in that file; the kernel's name for it
    home: U32  # file it is inserted into by a scenario; NONE in a recording
    owner: U32  # ghost: task that holds PG_locked, or NONE; recorded locks have none
    mapped: U8  # 1 while a page table entry maps it
    doomed: U32  # ghost: task whose truncation found it in its file, or NONE


class Tasks(NamedTuple):
    """One row a task (or an interrupt that wakes)."""

    step: U8  # the next step
    then: U8  # step after the path under way
    outer: U8  # step after the path around that one
    at: U32  # place in its program
    rounds: I64  # times through its program still to go, -1 for ever
    page: U32  # page it works on
    bit: U8  # page bit it locks, waits for or wakes for
    state: U8  # READY ..
    drowsy: U8  # before 5.9: 1 from set_current_state() on, while it still runs; whoever wakes it now keeps it awake
    unfairness: I64  # attempts at the lock before it asks for hand-off; before 5.9 a ghost: minus the attempts it lost
    cpu: U16  # CPU it runs on
    random: U64  # state of its random stream
    holds: U8  # references it took by lookup and has not put
    phase: U8  # of its truncation: engine.mm.truncate_range
    seen: I64  # page_wait: mapping word that it follows, on the way to the structure's lock; 0 for none
    made: U32  # page_wait: structure that it made and has not swapped in, or NONE
    spins_on: U32  # list whose lock it spins on, or NONE
    spin_next: U32  # next spinner in the line
    run_next: U32  # next task that wants the same CPU
    cursor: U32  # next entry of the walk under way
    walk_list: U32  # list it walks, or holds the lock of
    walked: I64  # entries walked, all passes
    in_pass: I64  # entries walked in this pass
    matched: I64
    woken: I64
    other_bit: I64
    stop: U8  # STOPS


class Entries(NamedTuple):
    """Wait queue entries: row t is task t's own (it lives on its stack), row tasks + t is the bookmark of t's walk."""

    next: U32
    prev: U32
    list: U32  # list it is linked on, or NONE
    page: U32
    bit: U8
    flags: U8  # WQ_*


class Lists(NamedTuple):
    """Wait lists with their lock (wait_queue_head). hashed: one a queue; page_wait: some a structure."""

    head: U32
    tail: U32
    length: I64  # waiters, bookmarks not counted
    lock_row: U32  # list whose lock guards it (a page_wait has one lock for all its lists)
    lock: U32  # task that holds it, or NONE
    spin_head: U32
    spin_tail: U32


class Structures(NamedTuple):
    """Structures that a design swaps into page->mapping. page_wait: a pool; page_waiter: one row a task."""

    base: I64  # mapping word kept while swapped
    page: U32  # page it is attached to, or NONE
    readers: U32  # tasks on their way to its lock
    locked: U8  # page_waiter: its own lock is held
    free_next: U32


class Files(NamedTuple):
    """One row a file (struct address_space)."""

    address: I64  # the word that page->mapping holds
    pages: I64  # nrpages
    size: I64  # i_size, in pages


class Program(NamedTuple):
    """The operations of all groups, one after the other; read only."""

    step: U8  # first step of the operation
    arg: I64  # mean_ns, or row of picks
    last: U8  # 1 where a program ends
    first: U32  # where the program of that operation begins


class Picks(NamedTuple):
    """Tables for choosing pages (Walker's alias method), one range of rows a pick; read only."""

    offset: I64  # first row in threshold and alias
    count: I64  # type: ignore[assignment]  # pages to choose from
    first: I64  # first page
    threshold: U32
    alias: U32


class Machine(NamedTuple):
    """CPUs and the pending events."""

    heap: I64  # time << 20 | task, a 4-ary heap
    owner: U32  # task on each CPU, or NONE
    run_head: U32
    run_tail: U32
    woken: U32  # tasks that the last step made ready
    woken_delay: I64
    exponential: U64  # table of engine.rng


class Code(NamedTuple):
    """Addresses of compiled code, filled by engine.linking: a row a step, a row a verb."""

    steps: I64
    verbs: I64


class Trace(NamedTuple):
    """The events of the batch under way, as columns (engine.events.COLUMNS)."""

    time: I64
    kind: U8
    cpu: U16
    task: U32
    page: U32
    a: I64
    b: I64
    visits: U32  # entries walked, in order, where a replay asks for them; empty otherwise


class Rules(NamedTuple):
    """What the scenario fixed - designs, kernel profile, costs - as plain numbers."""

    # set by the wait design (Card.rules); 0 where it says nothing
    bits: int  # 2^bits queues that all pages share, 0 if none
    encoding: int  # of what is swapped into page->mapping: 1 for E1 ..
    tag: int  # bit of page->mapping that says that a structure is swapped in
    strip: int  # low bits taken off recorded mapping words, because the design claims them
    wait_bits: int  # page_wait: queues of a structure, 1 or 3
    free_early: int  # a structure is freed though a task may be on its way to it
    plain_writers: int  # page->mapping is stored to whatever it holds
    corrected: int  # page_waiter: without the holes of the posted text
    queue_lists: int  # lists that one queue of the design is made of, one lock for all
    queue_per_page: int  # events show a queue by the page that it belongs to, not by its list
    fixed_queues: int  # a page's waiters always sit in its shared queue
    tag_shows_queue: int  # a page whose mapping is not tagged has no queue
    lock_step: int  # first step of a wait for the page lock, where the design has a path of its own; else NONE
    unlock_step: int  # first step of unlocking likewise
    grant_step: int  # what a recorded wake comes to where the design hands the lock over
    sleep_step: int  # where a task sleeps for the lock on that path
    pins: int  # references on every page that nobody drops
    n_tasks: int
    n_pages: int
    n_waits: int
    cpus: int
    publish: bool  # 5.9 on: the waiter sets PG_waiters and tries the bit under the queue lock
    handoff_after: int  # 5.9 on: stolen attempts before the lock is handed over
    bookmark: bool  # 4.14 to 6.6: a walk pauses after 65 entries
    writeback_loops: bool  # 5.11 on: wait_on_page_writeback waits until it sees the bit clear
    writeback_pins: bool  # 5.10 on: end_page_writeback holds a reference
    writeback_xor: bool  # 6.7 on: end of writeback clears its bit and reads PG_waiters in one step
    atomic_ns: int
    entry_ns: int
    wake_ns: int
    queue_lock_ns: int
    latency_ns: int
    switch_ns: int
    visits: int  # entries walked that the trace holds, 0 for none


# Places in World.clock.
NOW, EVENTS, PENDING, WOKEN, FREE_WAIT, VISITS, SEQ, BROKEN, SEEN = range(9)
"""BROKEN, SEEN: bits of engine.invariants, by number."""
UNLINKED = 15
"""Place of the clock that names, plus one, a step that a task came to though nothing led there (engine.linking)."""


GROUPS: dict[str, Any] = {
    "pages": Pages,
    "tasks": Tasks,
    "entries": Entries,
    "lists": Lists,
    "waits": Structures,
    "files": Files,
    "program": Program,
    "picks": Picks,
    "machine": Machine,
    "trace": Trace,
    "code": Code,
}
"""The World's tables by attribute, in the order of its header."""


class World:
    """Everything. `clock` holds the few single numbers: NOW .. SEEN.

    Compiled code sees it as one pointer to `header`: where each column begins, then the rules (engine.world_type).
    `memory` is the block that the changing state lies in.
    """

    clock: I64
    pages: Pages
    tasks: Tasks
    entries: Entries
    lists: Lists
    waits: Structures
    files: Files
    program: Program
    picks: Picks
    machine: Machine
    trace: Trace
    code: Code
    rules: Rules
    designs: dict[str, str]
    """Axis -> name of the design chosen."""
    step_functions: list[Any]
    """Interpreted runs only: the functions that the rows of `code` stand for."""
    verb_functions: list[Any]

    def __init__(self, rules: Rules, memory: NDArray[np.uint8], clock: NDArray[np.int64], **tables: Any) -> None:
        self.rules, self.memory, self.clock = rules, memory, Column(clock)
        columns = [self.clock]
        for name in GROUPS:
            setattr(self, name, tables[name])
            columns += tables[name]
        self.header = np.array([c.array.ctypes.data for c in columns] + [int(rule) for rule in rules], np.int64)
        self.pointer = int(self.header.ctypes.data)


SLACK = 64
"""Events that one step may record at most; a batch ends when fewer places are left."""
CAPACITY = BATCH


def make_trace(visits: int = 0) -> Trace:
    """Return an empty trace of CAPACITY events; visits: entries walked that it can hold, 0 for none."""
    columns = [np.zeros(CAPACITY, dtype.lstrip("<")) for _, dtype in COLUMNS]
    return Trace(*(Column(column) for column in [*columns, np.zeros(max(visits, 1), np.uint32)]))
