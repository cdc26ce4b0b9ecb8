"""World: pages, tasks, queues, files and the trace as arrays. The whole state of one run, and nothing else.

All arrays of the state proper are views of one flat buffer (`World.memory`), so a state is copied, compared, hashed and
restored as one block. Row numbers serve as pointers; NONE is NULL.
Words (flags, mapping, times) are int64, rows are stored as uint32. Compiled code must never mix signed and unsigned
64-bit numbers (numba converts them to float), so all columns but three (addresses and random words) are read as signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.designs import AXES
from engine.events import BATCH, COLUMNS, NONE
from engine.schema import ENGINE_TABLES, I64, U8, U16, U32, U64, Column, count, flag, number, place, row, unseen, word

__all__ = ["NONE"]


# Values of Tasks.state.
READY, ASLEEP, SPINNING, FINISHED = range(4)


class Pages(NamedTuple):
    """One row per page (struct page)."""

    flags: I64 = number(0, (1 << 15) - 1)  # bit order of engine.events
    mapping: I64 = word()  # page->mapping as a tagged word
    address: U64 = unseen()  # address of its struct page, which the kernel hashes
    queue: U32 = unseen()  # shared queue that the address hashes to
    refcount: I64 = number(-1, 6)
    file: U32 = row("files")  # file it is cached in, or NONE
    index: I64 = place("pages")  # type: ignore[assignment]  # place in that file, named as in the kernel
    home: U32 = unseen()  # file that a scenario inserts it into; NONE in a recording
    owner: U32 = row("tasks")  # ghost: task that holds PG_locked, or NONE; recorded locks have none
    mapped: U8 = flag()  # 1 while a page table entry maps it
    truncated_by: U32 = row("tasks")  # ghost: task whose truncation found it in its file, or NONE


class Tasks(NamedTuple):
    """One row per task (or interrupt that wakes tasks)."""

    step: U8 = number(0, 127)  # the next step
    depth: U8 = number(0, 1)  # frames in use: engine.mm.frames
    at: U32 = place("program")  # place in its program
    rounds: I64 = number(-1, 0)  # remaining times through its program, -1 for unlimited
    page: U32 = row("pages", start=0)  # page it works on
    second: U32 = row("pages")  # second page of the path under way (migration: the new one), or NONE
    argument: I64 = number(0, 4)  # argument of the path under way (truncation: its pass)
    bit: U8 = number(0, 15)  # page bit it locks, waits for or wakes for
    state: U8 = number(0, 3)  # READY ..
    state_set: U8 = flag()  # before 5.9: 1 after set_current_state() while it still runs; a wake then keeps it awake
    unfairness: I64 = number(-1, 6)  # attempts before it requests hand-off; before 5.9 a ghost: minus the attempts lost
    cpu: U16 = unseen()  # CPU it runs on
    random: U64 = unseen()  # state of its random stream
    holds: U8 = number(0, 3)  # references taken by lookup and not yet put
    file: U32 = row("files", start=0)  # file that it truncates
    seen: I64 = word()  # page_wait: mapping word it follows to reach the structure's lock; 0 for none
    made: U32 = row("waits")  # page_wait: structure it allocated and has not swapped in, or NONE
    spins_on: U32 = unseen(NONE)  # list whose lock it spins on, or NONE
    spin_next: U32 = unseen(NONE)  # next spinner on the same lock
    run_next: U32 = unseen(NONE)  # next task that wants the same CPU
    cursor: U32 = row("entries")  # next entry of the walk under way
    walk_list: U32 = row("lists")  # list it walks, or holds the lock of
    walked: I64 = unseen()  # entries walked, all passes
    in_pass: I64 = unseen()  # entries walked in this pass
    matched: I64 = number(0, 7)
    woken: I64 = unseen()
    other_bit: I64 = number(0, 7)
    stop: U8 = unseen()  # STOPS
    mm: U16 = unseen()  # address space that it runs in
    device: U16 = unseen(0xFFFF)  # device whose request it is; NO_DEVICE for a CPU's task
    modified: U8 = unseen()  # policy refuse: 1 if its program asks for a protected page instead of failing


class Frames(NamedTuple):
    """Return points of called paths, FRAMES_MAX rows per task (engine.mm.frames): row depth * tasks + task."""

    step: U8 = number(0, 127)  # step after the called path
    kept: U8 = flag(by="call_on")  # 1 if the columns below hold the caller's pages and argument
    page: U32 = row("pages", start=0, by="call_on")
    second: U32 = row("pages", start=0, by="call_on")
    argument: I64 = number(0, 4, by="call_on")


FRAMES_MAX = 8
"""Max. depth of nested calls; engine.world.nesting rejects more before a run."""


class Entries(NamedTuple):
    """Wait queue entries: row t is the entry on task t's stack, row tasks + t is the bookmark of t's walk."""

    next: U32 = row("entries")
    prev: U32 = row("entries")
    list: U32 = row("lists")  # list it is linked on, or NONE
    page: U32 = row("pages")
    bit: U8 = number(0, 15)
    flags: U8 = number(0, 31)  # WQ_*


class Lists(NamedTuple):
    """Wait lists with their lock (wait_queue_head). hashed: one per queue; page_wait: one or more per structure."""

    head: U32 = row("entries")
    tail: U32 = row("entries")
    length: I64 = count("tasks")  # waiters, bookmarks not counted
    lock_row: U32 = unseen()  # list whose lock protects it (a page_wait has one lock for all its lists)
    lock: U32 = row("tasks")  # task that holds it, or NONE
    spin_head: U32 = unseen(NONE)
    spin_tail: U32 = unseen(NONE)


class Structures(NamedTuple):
    """Structures that a design swaps into page->mapping. page_wait: a pool; page_waiter: one row per task."""

    base: I64 = word()  # mapping word saved while swapped
    page: U32 = row("pages")  # page it is attached to, or NONE
    readers: U32 = count("tasks")  # tasks about to take its lock
    locked: U8 = flag()  # page_waiter: its own lock is held
    free_next: U32 = row("waits", start=0)


class Files(NamedTuple):
    """One row per file (struct address_space)."""

    address: I64 = unseen()  # the value of page->mapping for its pages
    pages: I64 = unseen()  # nrpages
    size: I64 = count("pages")  # i_size, in pages


class Mms(NamedTuple):
    """One row per address space (mm_struct); none in workloads without them, nor in the two tables below."""

    tasks: I64 = unseen()  # tasks that run in it: the CPUs whose TLBs a flush must reach
    shared: U8 = flag()  # VM_SHARED of its area (vm_area_struct), where the workload maps a file MAP_SHARED


class PageTables(NamedTuple):
    """Page table entries: row mm * virtual pages + virtual page."""

    page: U32 = row("pages")  # page that it maps, or NONE
    bits: U8 = number(0, 15)  # PTE_*


class ReverseMap(NamedTuple):
    """What the kernel knows of a page's mappings; one row per page."""

    kind: U8 = number(0, 3)  # NO_TYPE ..: what the tag of page->mapping says
    mapcount: I64 = number(0, 7)  # entries that map it
    pinned: I64 = number(0, 7)  # references taken by get_user_pages()
    virtual: U32 = place("rmap")  # virtual page at which it is mapped, the same in every address space
    cleaned: U8 = number(0, 7)  # page_mkclean() under way: entries changed so far


class Protection(NamedTuple):
    """Ghost: who has a page protected. One row per page in workloads that protect pages."""

    owner: U32 = row("tasks")
    since: I64 = unseen()


class Devices(NamedTuple):
    """One row per group of tasks that is a device; numbers of its profile (engine.devices)."""

    link_ps: I64 = unseen()  # picoseconds that a page occupies its link
    link_ns: I64 = unseen()  # one round trip
    local_ps: I64 = unseen()  # likewise, its own memory
    local_ns: I64 = unseen()
    link_free: I64 = unseen()  # time at which its link is free again, in ps


class Copies(NamedTuple):
    """Row device * pages + page, and one row more per page; none where devices keep no copies."""

    held: U8 = flag()  # the device has a read-only copy of the page; last rows: the page is protected for copies
    ready: I64 = unseen()  # time at which the copy is there


class Sleepers(NamedTuple):
    """One row per task in workloads that protect pages."""

    page: U32 = row("pages")  # protected page that it sleeps for, or NONE
    since: I64 = unseen()


class Contents(NamedTuple):
    """One row per page in workloads that know what their pages contain."""

    value: U32 = number(0, 31)  # engine.mm.contents


class Emulations(NamedTuple):
    """One row per task in workloads whose devices emulate atomic operations."""

    page: U32 = row("pages")  # page whose word it has read, and which nobody has written since; or NONE
    since: I64 = unseen(-1)  # when it began, -1 between operations


class KsmItems(NamedTuple):
    """rmap_item of KSM: one row per page table entry."""

    node: U32 = row("ksm_nodes")  # stable node that its entry belongs to, or NONE
    checksum: U32 = number(0, 31)  # contents at the last scan plus 1; 0 before the first
    unstable: U8 = flag()  # in the unstable tree


class KsmNodes(NamedTuple):
    """Stable nodes of KSM: as many rows as pages."""

    page: U32 = row("pages")  # its KSM page, or NONE
    contents: U32 = number(0, 31)
    items: I64 = number(0, 7)  # entries that belong to it


class Ksmd(NamedTuple):
    """Where ksmd is; one row."""

    cursor: U32 = number(0, 15)  # next entry to look at
    item: U32 = row("ksm_items")  # entry that it looks at, or NONE
    other: U32 = row("ksm_items")  # entry whose page has the same contents, or NONE
    node: U32 = row("ksm_nodes")  # node whose page it takes
    found: U32 = row("pages")  # that page, or NONE if the node was stale
    merged: U8 = flag()  # whether the last attempt to merge a page went through


class SwapSlots(NamedTuple):
    """Slots of the swap area: as many rows as page table entries; none where nothing is reclaimed, as in the two tables
    below.
    """

    page: U32 = row("pages")  # page in the swap cache, or NONE
    entries: I64 = number(0, 7)  # entries that name it
    value: U32 = number(0, 31)  # contents written to it


class SwapPages(NamedTuple):
    """What page->private says of a page in the swap cache; one row per page."""

    slot: U32 = row("swap_slots")  # or NONE
    freed_by: U32 = row("tasks")  # task that frees it after the next flush, or NONE


class SwapEntries(NamedTuple):
    """One row per page table entry."""

    slot: U32 = row("swap_slots")  # slot that a swap entry names, or NONE
    stale: U32 = row("pages")  # page that TLBs may still map here although the entry is gone, or NONE
    stale_dirty: U8 = flag()  # that entry was dirty
    batch: U32 = row("tasks")  # task that is to flush it


NO_DEVICE = 0xFFFF
"""Value of tasks.device."""
PTE_PRESENT, PTE_WRITE, PTE_DIRTY, PTE_EXCLUSIVE, PTE_MIGRATION, PTE_WAS_WRITABLE, PTE_SWAP = 1, 2, 4, 8, 16, 32, 64
"""Bits of ptes.bits; 0 is an empty entry. One with PTE_WRITE is present; one with PTE_EXCLUSIVE is a swap entry, and no
other bit is set; one with PTE_MIGRATION is another, which may remember PTE_WAS_WRITABLE; one with PTE_SWAP maps no page
and names a slot (swap_entries)."""
NO_TYPE, FILE_PAGE, ANON_PAGE, KSM_PAGE = range(4)
"""Values of rmap.kind. NO_TYPE: a free page."""
SHARED, PRIVATE, ANONYMOUS = range(1, 4)
"""Values of Rules.mapped: what the address spaces map; 0 without address spaces. Where it is SHARED, mms.shared says
which of them do."""


class Program(NamedTuple):
    """The operations of all groups, one after another; read only."""

    step: U8  # first step of the operation
    arg: I64  # mean_ns, or row of picks
    last: U8  # 1 where a program ends
    first: U32  # where the program of that operation begins


class Picks(NamedTuple):
    """Tables for choosing pages (Walker's alias method), one range of rows per pick; read only."""

    offset: I64  # first row in threshold and alias
    count: I64  # type: ignore[assignment]  # pages to choose from
    first: I64  # first page
    threshold: U32
    alias: U32


class Machine(NamedTuple):
    """CPUs and pending events."""

    heap: I64 = unseen()  # time << 20 | task, a 4-ary heap
    owner: U32 = unseen(NONE)  # task on each CPU, or NONE
    run_head: U32 = unseen(NONE)
    run_tail: U32 = unseen(NONE)
    woken: U32 = unseen()  # tasks that the last step made ready
    woken_delay: I64 = unseen()
    exponential: U64 = unseen()  # table of engine.world.rng


class Code(NamedTuple):
    """Addresses of compiled code, filled by engine.world.linking: one row per step, one row per verb."""

    steps: I64
    verbs: I64


class Trace(NamedTuple):
    """The events of the current batch, as columns (engine.events.COLUMNS)."""

    time: I64
    kind: U8
    cpu: U16
    task: U32
    page: U32
    a: I64
    b: I64
    visits: U32  # entries walked, in order, during a replay; empty otherwise


class Rules(NamedTuple):
    """The scenario's designs, kernel profile and costs as plain numbers."""

    # set by the wait design (Card.rules), 0 by default
    bits: int  # 2^bits queues that all pages share, 0 if none
    encoding: int  # encoding of the word swapped into page->mapping: 1 for E1 ..
    tag: int  # bit of page->mapping that marks a swapped-in structure
    strip: int  # low bits to clear in recorded mapping words, because the design claims them
    wait_bits: int  # page_wait: queues of a structure, 1 or 3
    free_early: int  # a structure is freed while a task may be about to take its lock
    plain_writers: int  # writers store to page->mapping without checking what it holds
    corrected: int  # page_waiter: the posted text with its holes fixed
    queue_lists: int  # lists per queue of the design, one lock for all of them
    queue_per_page: int  # events number a queue by its page, not by its list
    fixed_queues: int  # a page's waiters are always on its shared queue
    tag_shows_queue: int  # a page whose mapping is not tagged has no queue
    lock_step: int  # first step of a wait for the page lock, if the design has its own path; else NONE
    unlock_step: int  # first step of unlocking, likewise
    grant_step: int  # first step of a recorded wake, if the design hands the lock over
    sleep_step: int  # step at which a task sleeps for the lock on that path
    pins: int  # references on every page that no task drops
    movable_word: int  # page->mapping of a driver's movable pages, 0 if there are none
    movable_left: int  # and what __ClearPageMovable() leaves of it
    n_tasks: int  # rows of tasks, including actors
    first_actor: int  # row of the first actor: a kernel thread of the design
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
    mapped: int  # SHARED .., 0 without address spaces; the rules below are 0 then
    mms: int  # address spaces
    virtual_pages: int  # of each
    anon_word: int  # page->mapping of anonymous pages: their anon_vma, tagged
    stable_pages: bool  # a write fault waits for writeback
    count_decides: bool  # 5.9 on: an anonymous page with another reference is copied, not written
    unmap_step: int  # first step of clearing the entries of a range, NONE without address spaces
    unmap_page_step: int  # likewise for one page
    write_step: int  # step before write(2) copies to a locked page, NONE where no page is protected
    # set by the protect design (Card.rules), 0 by default
    protects: int
    policy: int  # WAIT, BREAK, REFUSE of engine.designs.protect.options
    all_paths: int  # truncation and write(2) take a page back before they change it
    protects_files: int  # also pages of files
    attaches: int  # the design keeps its own word in page->mapping
    attach_tag: int  # tag of page->mapping while a page_attachment is swapped in
    exclusive: int  # protected pages have device-exclusive entries
    break_ns: int
    protect_ns: int  # cache lines that the protect design touches: to protect, to give back, to find out who has a page
    unprotect_ns: int
    owner_ns: int
    n_devices: int
    keeps_copies: int  # a device keeps a copy of a page that it reads over its link
    host_page_ps: int  # picoseconds that reading a page occupies the host's memory
    fault_ns: int
    flush_ns: int
    flush_cpu_ns: int
    flush_socket_ns: int
    sockets: int
    copy_ns: int
    migrates: int  # tasks migrate anonymous pages
    migration_pins: bool  # before 5.0: a fault that waits for migration holds a reference
    contents: int  # different contents of pages at the start, 0 if what they contain is not known
    swaps: int  # tasks reclaim anonymous pages
    swap_ns: int  # the swap device writes or reads a page
    frees_swap: bool  # 6.1 on: a write fault takes the page out of the swap cache before it looks at the count
    emulates: int  # devices emulate atomic operations by compare-and-swap
    scans: int  # ksmd scans the pages
    ksm_tag: int  # tag of page->mapping of KSM pages
    ksm_locks: int  # set by the protect design: a write fault on a KSM page takes its lock
    compare_ns: int
    visits: int  # entries walked that the trace can hold, 0 for none
    watched: bool  # steps check for witnesses at the cost of a walk: only explorations read them


# Places in World.clock.
NOW, EVENTS, PENDING, WOKEN, FREE_WAIT, VISITS, SEQ, BROKEN, SEEN = range(9)
"""BROKEN, SEEN: bit masks of numbers in engine.invariants."""
UNLINKED, OVERFLOW, FREE_PAGE, HOST_FREE = 15, 16, 17, 18
"""UNLINKED: 1 + number of a step that ran without being linked (engine.world.linking). OVERFLOW: kind of the last event
that found no room, because a step recorded more than SLACK. FREE_PAGE: no page below it is free (engine.mm.anon).
HOST_FREE: time at which the host's memory is free again, in ps (engine.mm.device)."""


GROUPS: dict[str, Any] = {
    "pages": Pages,
    "tasks": Tasks,
    "frames": Frames,
    "entries": Entries,
    "lists": Lists,
    "waits": Structures,
    "files": Files,
    "mms": Mms,
    "ptes": PageTables,
    "rmap": ReverseMap,
    "protection": Protection,
    "sleepers": Sleepers,
    "devices": Devices,
    "copies": Copies,
    "contents": Contents,
    "emulations": Emulations,
    "ksm_items": KsmItems,
    "ksm_nodes": KsmNodes,
    "ksmd": Ksmd,
    "swap_slots": SwapSlots,
    "swap_pages": SwapPages,
    "swap_entries": SwapEntries,
    "program": Program,
    "picks": Picks,
    "machine": Machine,
    "trace": Trace,
    "code": Code,
}
"""The World's tables by attribute, in the order of its header: the engine's, then the designs'."""
assert set(GROUPS) == ENGINE_TABLES, "engine.schema names the engine's tables"
GROUPS |= {name: table for cards in AXES.values() for card in cards.values() for name, table in card.tables.items()}


class World:
    """The whole state of a run. `clock` holds the few single numbers: NOW .. SEEN.

    Compiled code sees it as one pointer to `header`: the address of the clock, the rules, the address of each column
    (engine.world.world_type). `memory` is the block that holds the changing state.
    """

    clock: I64
    pages: Pages
    tasks: Tasks
    frames: Frames
    entries: Entries
    lists: Lists
    waits: Structures
    files: Files
    mms: Mms
    ptes: PageTables
    rmap: ReverseMap
    protection: Protection
    sleepers: Sleepers
    devices: Devices
    copies: Copies
    contents: Contents
    emulations: Emulations
    ksm_items: KsmItems
    ksm_nodes: KsmNodes
    ksmd: Ksmd
    swap_slots: SwapSlots
    swap_pages: SwapPages
    swap_entries: SwapEntries
    program: Program
    picks: Picks
    machine: Machine
    trace: Trace
    code: Code
    rules: Rules
    designs: dict[str, str]
    """Axis -> name of the design chosen."""
    step_functions: list[Any]
    """The functions behind the rows of `code`; interpreted runs call them directly."""
    verb_functions: list[Any]
    nesting: int
    """Max. frames that a task of this World can use (engine.world.nesting)."""

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
"""Max. events that one step may record; a batch ends when no more places than this are left."""
CAPACITY = BATCH


def make_trace(visits: int = 0) -> Trace:
    """Return an empty trace of CAPACITY events; visits: entries walked that it can hold, 0 for none."""
    columns = [np.zeros(CAPACITY, dtype.lstrip("<")) for _, dtype in COLUMNS]
    return Trace(*(Column(column) for column in [*columns, np.zeros(max(visits, 1), np.uint32)]))
