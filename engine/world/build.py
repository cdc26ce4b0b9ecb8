"""make_world(): the arrays of a run, as views of one flat buffer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.axes import VERBS
from engine.cast import STRUCT_PAGE_BYTES, VMEMMAP_BASE
from engine.designs import AXES, DESIGNS
from engine.designs.card import Options, Sizes
from engine.mm.steps import STEPS
from engine.schema import DTYPES, ENGINE_TABLES, Column, element_types
from engine.world.rng import exponential_table
from engine.world.state import (
    FRAMES_MAX,
    GROUPS,
    NONE,
    Code,
    Contents,
    Copies,
    Devices,
    Emulations,
    Entries,
    Files,
    Frames,
    Ksmd,
    KsmItems,
    KsmNodes,
    Lists,
    Machine,
    Mms,
    Pages,
    PageTables,
    Picks,
    Program,
    Protection,
    ReverseMap,
    Rules,
    Sleepers,
    Structures,
    SwapEntries,
    SwapPages,
    SwapSlots,
    Tasks,
    World,
    make_trace,
)

_ALIGN = 64
CLOCK_PLACES = 24
GOLDEN_RATIO_64 = np.uint64(0x61C8864680B583EB)  # include/linux/hash.h


class Buffer:
    """Allocates arrays one after another in one block of memory, each aligned to a cache line."""

    def __init__(self) -> None:
        self._wanted: list[tuple[str, int, int]] = []
        self._size = 0

    def plan(self, table: Any, rows: dict[str, int]) -> None:
        """Plan one array per field of the table (a NamedTuple class of columns); rows by field name, "" the rest."""
        for field, kind in element_types(table).items():
            self.plan_one(kind, rows.get(field, rows[""]))

    def plan_one(self, kind: str, count: int) -> None:
        """Plan one array of an element type."""
        self._wanted.append((kind, count, self._size))
        self._size += -(-count * np.dtype(DTYPES[kind]).itemsize // _ALIGN) * _ALIGN

    def build(self) -> tuple[NDArray[np.uint8], list[NDArray[Any]]]:
        """Return the block, zeroed, and the arrays in the order planned."""
        block = np.zeros(self._size + _ALIGN, np.uint8)
        block = block[-block.ctypes.data % _ALIGN :][: self._size]
        arrays = []
        for kind, count, at in self._wanted:
            dtype = np.dtype(DTYPES[kind])
            arrays.append(block[at : at + count * dtype.itemsize].view(dtype))
        return block, arrays


def make_world(
    rules: Rules,
    *,
    wait: Options,
    protect: Options | None = None,
    n_pages: int,
    n_files: int,
    program: tuple[list[int], list[int], list[int], list[int]] = ([], [], [], []),
    picks: list[tuple[int, int, NDArray[np.uint32], NDArray[np.uint32]]] | None = None,
) -> World:
    """Return an empty World for these sizes and these options of the wait design, and of the protect design if any.

    program: columns of Program, one entry per operation. picks: (first page, count, threshold, alias) of each.
    """
    n_tasks, chosen = rules.n_tasks, [(DESIGNS[wait.design], wait)]
    if protect is not None:
        chosen.append((AXES["protect"][protect.design], protect))
    rows = {
        name: count for card, options in chosen for name, count in card.rows(options, Sizes(n_tasks, n_pages)).items()
    }
    n_lists, n_waits = rows["lists"], rows.get("waits", 0)
    rules = rules._replace(n_pages=n_pages, n_waits=n_waits)
    picks = picks or []
    n_cpus = max(rules.cpus, 1)
    buffer = Buffer()
    buffer.plan_one("I64", CLOCK_PLACES)
    buffer.plan(Pages, {"": n_pages})
    buffer.plan(Tasks, {"": n_tasks})
    buffer.plan(Frames, {"": FRAMES_MAX * n_tasks})
    buffer.plan(Entries, {"": 2 * n_tasks})
    buffer.plan(Lists, {"": n_lists})
    buffer.plan(Structures, {"": n_waits})
    buffer.plan(Files, {"": max(n_files, 1)})
    buffer.plan(Mms, {"": rules.mms})
    buffer.plan(PageTables, {"": rules.mms * rules.virtual_pages})
    buffer.plan(ReverseMap, {"": n_pages if rules.mms else 0})
    buffer.plan(Protection, {"": n_pages if rules.protects else 0})
    buffer.plan(Sleepers, {"": n_tasks if rules.protects else 0})
    buffer.plan(Devices, {"": rules.n_devices})
    buffer.plan(Copies, {"": (rules.n_devices + 1) * n_pages if rules.keeps_copies else 0})
    buffer.plan(Contents, {"": n_pages if rules.contents else 0})
    buffer.plan(Emulations, {"": n_tasks if rules.emulates else 0})
    buffer.plan(KsmItems, {"": rules.mms * rules.virtual_pages if rules.scans else 0})
    buffer.plan(KsmNodes, {"": n_pages if rules.scans else 0})
    buffer.plan(Ksmd, {"": int(rules.scans)})
    buffer.plan(SwapSlots, {"": rules.mms * rules.virtual_pages if rules.swaps else 0})
    buffer.plan(SwapPages, {"": n_pages if rules.swaps else 0})
    buffer.plan(SwapEntries, {"": rules.mms * rules.virtual_pages if rules.swaps else 0})
    buffer.plan(
        Machine,
        {"": n_cpus, "heap": n_tasks + 1, "woken": 2 * n_tasks + 2, "woken_delay": 2 * n_tasks + 2, "exponential": 0},
    )
    own = {name: table for name, table in GROUPS.items() if name not in ENGINE_TABLES}
    for name, table in own.items():
        buffer.plan(table, {"": rows.get(name, 0)})
    block, arrays = buffer.build()
    parts = iter(arrays)

    def take(table: Any) -> Any:
        return table(*(Column(next(parts)) for _ in table._fields))

    w = World(
        rules,
        block,
        next(parts),
        pages=take(Pages),
        tasks=take(Tasks),
        frames=take(Frames),
        entries=take(Entries),
        lists=take(Lists),
        waits=take(Structures),
        files=take(Files),
        mms=take(Mms),
        ptes=take(PageTables),
        rmap=take(ReverseMap),
        protection=take(Protection),
        sleepers=take(Sleepers),
        devices=take(Devices),
        copies=take(Copies),
        contents=take(Contents),
        emulations=take(Emulations),
        ksm_items=take(KsmItems),
        ksm_nodes=take(KsmNodes),
        ksmd=take(Ksmd),
        swap_slots=take(SwapSlots),
        swap_pages=take(SwapPages),
        swap_entries=take(SwapEntries),
        machine=take(Machine)._replace(exponential=Column(exponential_table())),
        **{name: take(table) for name, table in own.items()},
        program=Program(
            *(Column(np.array(c, DTYPES[e])) for c, e in zip(program, element_types(Program).values(), strict=True))
        ),
        picks=_pick_tables(picks),
        trace=make_trace(rules.visits),
        code=Code(Column(np.zeros(len(STEPS), np.int64)), Column(np.zeros(len(VERBS), np.int64))),
    )
    for group, table in GROUPS.items():
        for field, declaration in table._field_defaults.items():
            if declaration.start:
                getattr(getattr(w, group), field).array[:] = declaration.start
    for card, options in chosen:
        if card.set_up is not None:
            card.set_up(w, options)
    w.waits.free_next.array[:] = np.append(np.arange(1, n_waits, dtype=np.uint32), NONE)[:n_waits]
    numbers = np.arange(n_lists, dtype=np.uint32)
    w.lists.lock_row.array[:] = numbers // rules.queue_lists * rules.queue_lists
    return w


def _pick_tables(picks: list[tuple[int, int, NDArray[np.uint32], NDArray[np.uint32]]]) -> Picks:
    """Concatenate the alias tables of all picks; store a shared table once."""
    offsets: list[int] = []
    seen: dict[int, int] = {}
    thresholds: list[NDArray[np.uint32]] = []
    aliases: list[NDArray[np.uint32]] = []
    size = 0
    for _, _, threshold, alias in picks:
        if id(threshold) not in seen:
            seen[id(threshold)] = size
            thresholds.append(threshold)
            aliases.append(alias)
            size += len(threshold)
        offsets.append(seen[id(threshold)])
    columns: tuple[NDArray[Any], ...] = (
        np.array(offsets, np.int64),
        np.array([count for _, count, _, _ in picks], np.int64),
        np.array([first for first, _, _, _ in picks], np.int64),
        np.concatenate(thresholds) if thresholds else np.zeros(0, np.uint32),
        np.concatenate(aliases) if aliases else np.zeros(0, np.uint32),
    )
    return Picks(*(Column(column) for column in columns))


def hash_pages(w: World, addresses: NDArray[np.uint64]) -> None:
    """Place the struct pages at these addresses, shape (pages,), and compute the shared queue of each.

    mm/filemap.c: page_waitqueue(); include/linux/hash.h: hash_64().
    """
    w.pages.address.array[:] = addresses
    if not w.rules.bits:
        return
    with np.errstate(over="ignore"):
        w.pages.queue.array[:] = (addresses * GOLDEN_RATIO_64) >> np.uint64(64 - w.rules.bits)


def page_addresses(pfns: NDArray[np.int64], base: int = VMEMMAP_BASE) -> NDArray[np.uint64]:
    """Return the addresses of the struct pages of these frames, shape (n,)."""
    with np.errstate(over="ignore"):
        return np.uint64(base) + pfns.astype(np.uint64) * np.uint64(STRUCT_PAGE_BYTES)
