"""World: pages, tasks, queues, files and the trace as arrays. One run's whole state, and nothing else.

All arrays of the state proper are views of one flat buffer (`World.memory`), so that a state is copied, compared,
hashed and restored as one block. Row numbers are this world's pointers; NONE is NULL.
Words (flags, mapping, times) are int64, rows are kept as uint32. Signed and unsigned 64-bit must never meet in compiled
code (numba makes a float of them), so all columns but three (addresses and random words) are read as signed numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.designs import AXES
from engine.events import BATCH, COLUMNS, NONE
from engine.schema import ENGINE_TABLES, I64, U8, U16, U32, U64, Column, count, flag, number, place, row, unseen, word

__all__ = ["NONE"]


# What a task is doing, as far as anyone may wake it.
READY, ASLEEP, SPINNING, FINISHED = range(4)


class Pages(NamedTuple):
    """One row a page (struct page)."""

    flags: I64 = number(0, (1 << 15) - 1)  # bit order of engine.events
    mapping: I64 = word()  # page->mapping as a tagged word
    address: U64 = unseen()  # where its struct page stands, what the kernel hashes
    queue: U32 = unseen()  # shared queue that the address hashes to
    refcount: I64 = number(-1, 6)
    file: U32 = row("files")  # file it is cached in, or NONE
    index: I64 = place("pages")  # type: ignore[assignment]  # place in that file; the kernel's name for it
    home: U32 = unseen()  # file it is inserted into by a scenario; NONE in a recording
    owner: U32 = row("tasks")  # ghost: task that holds PG_locked, or NONE; recorded locks have none
    mapped: U8 = flag()  # 1 while a page table entry maps it
    truncated_by: U32 = row("tasks")  # ghost: task whose truncation found it in its file, or NONE


class Tasks(NamedTuple):
    """One row a task (or an interrupt that wakes)."""

    step: U8 = number(0, 127)  # the next step
    depth: U8 = number(0, 1)  # frames in use: engine.mm.frames
    at: U32 = place("program")  # place in its program
    rounds: I64 = number(-1, 0)  # times through its program still to go, -1 for ever
    page: U32 = row("pages", start=0)  # page it works on
    second: U32 = row("pages")  # second page of the path under way (migration: the new one), or NONE
    argument: I64 = number(0, 4)  # argument of the path under way (truncation: its pass)
    bit: U8 = number(0, 15)  # page bit it locks, waits for or wakes for
    state: U8 = number(0, 3)  # READY ..
    state_set: U8 = flag()  # before 5.9: 1 from set_current_state() on, while it still runs; a wake now keeps it awake
    unfairness: I64 = number(-1, 6)  # attempts before it asks for hand-off; before 5.9 a ghost: minus the attempts lost
    cpu: U16 = unseen()  # CPU it runs on
    random: U64 = unseen()  # state of its random stream
    holds: U8 = number(0, 3)  # references it took by lookup and has not put
    file: U32 = row("files", start=0)  # that it truncates
    seen: I64 = word()  # page_wait: mapping word that it follows, on the way to the structure's lock; 0 for none
    made: U32 = row("waits")  # page_wait: structure that it made and has not swapped in, or NONE
    spins_on: U32 = unseen(NONE)  # list whose lock it spins on, or NONE
    spin_next: U32 = unseen(NONE)  # next spinner in the line
    run_next: U32 = unseen(NONE)  # next task that wants the same CPU
    cursor: U32 = row("entries")  # next entry of the walk under way
    walk_list: U32 = row("lists")  # list it walks, or holds the lock of
    walked: I64 = unseen()  # entries walked, all passes
    in_pass: I64 = unseen()  # entries walked in this pass
    matched: I64 = number(0, 7)
    woken: I64 = unseen()
    other_bit: I64 = number(0, 7)
    stop: U8 = unseen()  # STOPS


class Frames(NamedTuple):
    """Where the callers of paths go on, FRAMES_MAX rows a task (engine.mm.frames): row depth * tasks + task."""

    step: U8 = number(0, 127)  # step after the path that was called
    kept: U8 = flag(by="call_on")  # 1 if the columns below hold what the caller worked on
    page: U32 = row("pages", start=0, by="call_on")
    second: U32 = row("pages", start=0, by="call_on")
    argument: I64 = number(0, 4, by="call_on")


FRAMES_MAX = 8
"""Calls that can nest; engine.world.nesting refuses more before a run."""


class Entries(NamedTuple):
    """Wait queue entries: row t is task t's own (it lives on its stack), row tasks + t is the bookmark of t's walk."""

    next: U32 = row("entries")
    prev: U32 = row("entries")
    list: U32 = row("lists")  # list it is linked on, or NONE
    page: U32 = row("pages")
    bit: U8 = number(0, 15)
    flags: U8 = number(0, 31)  # WQ_*


class Lists(NamedTuple):
    """Wait lists with their lock (wait_queue_head). hashed: one a queue; page_wait: some a structure."""

    head: U32 = row("entries")
    tail: U32 = row("entries")
    length: I64 = count("tasks")  # waiters, bookmarks not counted
    lock_row: U32 = unseen()  # list whose lock guards it (a page_wait has one lock for all its lists)
    lock: U32 = row("tasks")  # task that holds it, or NONE
    spin_head: U32 = unseen(NONE)
    spin_tail: U32 = unseen(NONE)


class Structures(NamedTuple):
    """Structures that a design swaps into page->mapping. page_wait: a pool; page_waiter: one row a task."""

    base: I64 = word()  # mapping word kept while swapped
    page: U32 = row("pages")  # page it is attached to, or NONE
    readers: U32 = count("tasks")  # tasks on their way to its lock
    locked: U8 = flag()  # page_waiter: its own lock is held
    free_next: U32 = row("waits", start=0)


class Files(NamedTuple):
    """One row a file (struct address_space)."""

    address: I64 = unseen()  # the word that page->mapping holds
    pages: I64 = unseen()  # nrpages
    size: I64 = count("pages")  # i_size, in pages


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

    heap: I64 = unseen()  # time << 20 | task, a 4-ary heap
    owner: U32 = unseen(NONE)  # task on each CPU, or NONE
    run_head: U32 = unseen(NONE)
    run_tail: U32 = unseen(NONE)
    woken: U32 = unseen()  # tasks that the last step made ready
    woken_delay: I64 = unseen()
    exponential: U64 = unseen()  # table of engine.world.rng


class Code(NamedTuple):
    """Addresses of compiled code, filled by engine.world.linking: a row a step, a row a verb."""

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
    n_tasks: int  # rows of tasks, actors too
    first_actor: int  # row of the first actor of a design, a kernel thread that works beside the tasks
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
    watched: bool  # steps look for witnesses that cost a walk: only explorations read them


# Places in World.clock.
NOW, EVENTS, PENDING, WOKEN, FREE_WAIT, VISITS, SEQ, BROKEN, SEEN = range(9)
"""BROKEN, SEEN: bits of engine.invariants, by number."""
UNLINKED, OVERFLOW = 15, 16
"""UNLINKED names, plus one, a step that a task came to though nothing led there (engine.world.linking); OVERFLOW: a
step recorded more events than SLACK."""


GROUPS: dict[str, Any] = {
    "pages": Pages,
    "tasks": Tasks,
    "frames": Frames,
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
"""The World's tables by attribute, in the order of its header: the engine's, then those of designs."""
assert set(GROUPS) == ENGINE_TABLES, "engine.schema names the engine's tables"
GROUPS |= {name: table for cards in AXES.values() for card in cards.values() for name, table in card.tables.items()}


class World:
    """Everything. `clock` holds the few single numbers: NOW .. SEEN.

    Compiled code sees it as one pointer to `header`: the rules, then where each column begins
    (engine.world.world_type). `memory` is the block that the changing state lies in.
    """

    clock: I64
    pages: Pages
    tasks: Tasks
    frames: Frames
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
    nesting: int
    """Frames that a task of this World can use (engine.world.nesting)."""

    if TYPE_CHECKING:

        def __getattr__(self, table: str) -> Any:
            """The tables of designs."""

    def __init__(self, rules: Rules, memory: NDArray[np.uint8], clock: NDArray[np.int64], **tables: Any) -> None:
        self.rules, self.memory, self.clock = rules, memory, Column(clock)
        columns: list[Column] = []
        for name in GROUPS:
            setattr(self, name, tables[name])
            columns += tables[name]
        words = [self.clock.array.ctypes.data, *(int(rule) for rule in rules), *(c.array.ctypes.data for c in columns)]
        self.header = np.array(words, np.int64)
        self.pointer = int(self.header.ctypes.data)


SLACK = 64
"""Events that one step may record at most; a batch ends when fewer places are left. record() counts on."""
CAPACITY = BATCH


def make_trace(visits: int = 0) -> Trace:
    """Return an empty trace of CAPACITY events; visits: entries walked that it can hold, 0 for none."""
    columns = [np.zeros(CAPACITY, dtype.lstrip("<")) for _, dtype in COLUMNS]
    return Trace(*(Column(column) for column in [*columns, np.zeros(max(visits, 1), np.uint32)]))
