"""Page tables and write faults against a second implementation, state for state, and the identities of every run."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.events import PG_DIRTY, PG_WRITEBACK, Kind
from engine.explore.plan import Plan
from engine.explore.search.explorer import Explorer
from engine.explore.worlds.subject import WorldSubject
from engine.kernels import KERNELS
from engine.mm.steps import NUMBERS, SPIN
from engine.runs.play import open_run
from engine.runs.schedule import enabled, make_move, step_name, step_once
from engine.runs.scheduled import references
from engine.world.state import (
    ANON_PAGE,
    EVENTS,
    FILE_PAGE,
    FINISHED,
    FREE_PAGE,
    KSM_PAGE,
    NONE,
    PTE_DIRTY,
    PTE_EXCLUSIVE,
    PTE_MIGRATION,
    PTE_SWAP,
    PTE_WAS_WRITABLE,
    PTE_WRITE,
    World,
)
from tests.ksm_rules import Ksmd
from tests.page_tables import Machine, machine
from tests.page_tasks import Task
from tests.worlds import Stage, scenario

KINDS = {"free": 0, "file": FILE_PAGE, "anon": ANON_PAGE, "ksm": KSM_PAGE}
OWN = (
    *("LOAD", "STORE", "MISSING", "MISSING_CHECK", "MISSING_MAP", "ANON_FAULT", "PIN", "DMA", "UNPIN", "FORK", "PICK"),
    *("WP_PAGE", "WP_ANON_LOCKED", "WP_COPY", "WP_COPY_INSTALL", "FAULT_PUT"),
    *("MKWRITE_CHECK", "MKWRITE_STABLE", "MKWRITE_REUSE", "SET_DIRTY"),
    *("PROTECT", "PROTECT_CHECK", "PROTECT_WALK", "PROTECT_SET", "PROTECT_END", "DEVICE_WRITE"),
    *("UNPROTECT", "UNPROTECT_CLEAR", "UNPROTECT_PUT", "EXCLUSIVE_FAULT", "EXCLUSIVE_RESTORE"),
    *("PROTECTED_FAULT", "PROTECTED_BREAK", "PROTECTED_BROKEN", "PROTECTED_REFUSED", "PROTECTED_SLEEP"),
    *("PROTECTED_RESUME", "THINK"),
    *(name for name in NUMBERS if name.startswith(("KSM_", "MIGRATE_ANON", "MIGRATED", "MIGRATION", "RECLAIM"))),
    *(name for name in NUMBERS if name.startswith("SWAP_")),
    "WAIT_ON_LOCKED",
    *("WRITEBACK_MAPPED", "MKCLEAN", "MKCLEAN_END", "WRITEBACK_SET", "WRITEBACK_END", "WRITEBACK_PUT"),
)
"""Steps that both implementations take; the others wait for locks, or wake tasks."""
FILE_OPERATIONS = ("load", "store", "store", "pin dma unpin", "lock writeback_begin unlock writeback_end")
PROTECTING = ("protect device_write unprotect", "protect think:1 device_write unprotect")
ANON_OPERATIONS = ("load", "store", "store", "pin dma unpin", "fork:1", "fork:1")
MOVING = ("migrate", "migrate")
SWAPPING = ("reclaim:1", "reclaim:3", "reclaim:2", "store", "load")


def drawn(
    draw: random.Random, maps: str, more: tuple[str, ...] = (), *, ksm: bool = False, mixed: bool = False
) -> dict[str, Any]:
    """Return programs and sizes of a random small workload: up to four tasks, three pages, two address spaces; and
    ksmd.
    """
    choice = (*(ANON_OPERATIONS if maps != "shared" else FILE_OPERATIONS), *(("fork:2",) if mixed else ()), *more)
    tasks, pages = draw.randint(2, 4), draw.randint(1, 3)
    mms = 1 if maps != "shared" else 2
    virtual = pages // mms if maps == "anonymous" else pages
    programs = []
    for _ in range(tasks):
        parts = [f"pick:{draw.randrange(virtual)} {draw.choice(choice)}" for _ in range(draw.randint(1, 4))]
        programs.append(" ".join(parts))
    memory = {"maps": maps, "mms": mms, "children": 2 - mms, "spare": draw.randint(0, 3)}
    memory["stable_pages"] = draw.random() < 0.5
    if mixed:
        memory |= {"private": [draw.randrange(mms)], "children": 1}
    if ksm:
        memory["contents"] = draw.randint(1, 2)
        programs.append(" ".join(f"ksm_scan:{draw.randint(1, 4)}" for _ in range(draw.randint(3, 6))))
    return {
        "programs": programs,
        "mms": [draw.randrange(2 + mixed) for _ in range(tasks)] + [0] * ksm,
        "pages": pages,
        "memory": memory,
    }


def agree(w: World, m: Machine, where: str) -> None:
    """Assert that both implementations are in the same state."""
    virtual = w.rules.virtual_pages
    for page, frame in enumerate(m.frames):
        row_here = (w.rmap.kind[page], w.pages.refcount[page], w.rmap.mapcount[page], w.rmap.pinned[page])
        assert row_here == (KINDS[frame.kind], frame.refs, m.mapcount(page), frame.pins), f"{where}: page {page}"
        flags = w.pages.flags[page]
        assert (flags >> PG_DIRTY & 1, flags >> PG_WRITEBACK & 1) == (frame.dirty, frame.writeback), f"{where}: {page}"
        device = w.protection.owner[page] if w.rules.protects else NONE
        assert device == (NONE if frame.device is None else frame.device), f"{where}: device of page {page}"
        if w.rules.contents:
            assert w.contents.value[page] == frame.value, f"{where}: contents of page {page}"
        assert w.pages.owner[page] == (NONE if frame.owner is None else frame.owner), f"{where}: lock of page {page}"
    for mm, table in enumerate(m.spaces):
        for place in range(virtual):
            entry, row = table.get(place), mm * virtual + place
            assert w.ptes.page[row] == (NONE if entry is None or entry.page < 0 else entry.page), (
                f"{where}: entry {mm}, {place}"
            )
            if w.rules.swaps:
                agree_on_swap(w, m, (mm, place), where)
            bits = w.ptes.bits[row]
            wanted = [False] * 6
            if entry is not None:
                wanted = [entry.write, entry.dirty, entry.exclusive, entry.moving, entry.was_writable]
                wanted.append(entry.slot is not None)
            names = (PTE_WRITE, PTE_DIRTY, PTE_EXCLUSIVE, PTE_MIGRATION, PTE_WAS_WRITABLE, PTE_SWAP)
            here = [bool(bits & name) for name in names]
            assert here == wanted, f"{where}: entry {mm}, {place}"


def agree_on_swap(w: World, m: Machine, at: tuple[int, int], where: str) -> None:
    """Assert the same slot, and the same old entry in TLBs, for a virtual page of an address space."""
    row, entry = at[0] * w.rules.virtual_pages + at[1], m.spaces[at[0]].get(at[1])
    slot = NONE if entry is None or entry.slot is None else entry.slot
    assert w.swap_entries.slot[row] == slot, f"{where}: slot of {at}"
    stale = (w.swap_entries.stale[row], w.swap_entries.stale_dirty[row] != 0, w.swap_entries.batch[row])
    assert stale == m.stale.get(at, (NONE, False, NONE)), f"{where}: TLBs for {at}"
    for page, frame in enumerate(m.frames):
        assert w.swap_pages.slot[page] == (NONE if frame.slot is None else frame.slot), f"{where}: swap cache, {page}"
        assert w.swap_pages.freed_by[page] == (NONE if frame.freed_by is None else frame.freed_by), f"{where}: {page}"


def resumed(w: World, task: Task, was: str, tasks: list[Task]) -> None:
    """Let the second implementation take the step that the engine has just taken, if it is one of its own."""
    m = task.m
    match task.label:
        case ("unlock", int(page)) if w.pages.owner[page] != task.number:
            m.frames[page].owner = None
            task.resume()
        case ("wait", _):
            if step_name(w, task.number) in OWN:  # the wait is over: back where it began
                task.resume()
        case str(label) if label == was:
            task.resume()
    for other in tasks:  # a waker may hand the lock to another task
        match other.label:
            case ("lock", int(page)) if w.pages.owner[page] == other.number:
                assert m.frames[page].owner is None, "two tasks hold one page lock"
                m.frames[page].owner = other.number
                other.resume()


def second(
    w: World,
    kernel: str,
    protect: dict[str, str],
    memory: dict[str, Any],
    programs: Sequence[str],
    mms: Sequence[int],
    *,
    ksm: bool = False,
) -> tuple[Machine, list[Task]]:
    """Return the second implementation of a world in its first state; ksm: the last program is ksmd's."""
    profile, pages = KERNELS[kernel], w.rules.n_pages - memory.get("spare", 0)
    m = machine(
        memory["maps"],
        pages,
        memory.get("mms", 1),
        memory.get("children", 0),
        memory.get("spare", 0),
        by_count=profile.count_decides,
        loops=profile.writeback_loops,
        pins=profile.writeback_pins,
        stable=memory.get("stable_pages", False),
        contents=memory.get("contents", 0),
        private=memory.get("private", ()),
    )
    m.design, m.policy = protect.get("design", "none"), protect.get("policy", "break")
    m.virtual, m.drops_swap = w.rules.virtual_pages, profile.frees_swap
    m.running = w.mms.tasks.array.tolist()
    m.paths, m.moves_pinned = protect.get("paths", "all"), profile.migration_pins
    tasks = [Task(m, i, mms[i], text.split()) for i, text in enumerate(programs[: len(programs) - ksm])]
    if ksm:
        tasks.append(Ksmd(m, len(tasks), programs[-1].split()))
    return m, tasks


def side_by_side(
    maps: str,
    kernel: str,
    protect: dict[str, str],
    seeds: int,
    *,
    ksm: bool = False,
    moves: bool = False,
    swaps: bool = False,
    mixed: bool = False,
) -> Counter[str]:
    """Play random programs in both implementations, and assert that they agree after every step; count the steps."""
    seen: Counter[str] = Counter()
    for seed in range(seeds):
        draw = random.Random(f"{seed} {maps} {kernel} {protect}")
        given = drawn(
            draw,
            maps,
            (PROTECTING if protect else ()) + (MOVING if moves else ()) + (SWAPPING if swaps else ()),
            ksm=ksm,
            mixed=mixed,
        )
        programs, memory = given.pop("programs"), given["memory"]
        given |= {"protect": protect} if protect else {}
        stage = Stage(*programs, kernel=kernel, **given)
        w = stage.world
        m, tasks = second(w, kernel, protect, memory, programs, given["mms"], ksm=ksm)
        for move in range(5_000):
            ready = [task for task in range(len(tasks)) if enabled(w, task)]
            if not ready:
                break
            at = draw.choice(ready)
            was = step_name(w, at)
            w.clock[0] += 1
            w.clock[FREE_PAGE] = 0
            if step_once(w, at) == SPIN:
                continue
            seen[was] += 1
            resumed(w, tasks[at], was, tasks)
            agree(w, m, f"seed {seed}, move {move}, task {at} at {was}")
        assert all(w.tasks.state[task] == FINISHED for task in range(len(tasks))), f"seed {seed}: the programs end"
        assert set(m.log) == stage.broke(), f"seed {seed}"
    return seen


@pytest.mark.parametrize("kernel", ["4.16", "5.9-rc", "6.7+"])
@pytest.mark.parametrize("maps", ["shared", "private", "anonymous"])
def test_given_random_programs_then_every_state_is_that_of_the_second_implementation(maps: str, kernel: str) -> None:
    seen = side_by_side(maps, kernel, {}, 80)
    expected = {"shared": "MKWRITE_REUSE", "private": "WP_COPY_INSTALL", "anonymous": "WP_COPY_INSTALL"}
    assert seen[expected[maps]] > 20, "the programs fault"


@pytest.mark.parametrize("kernel", ["4.16", "6.7+"])
@pytest.mark.parametrize("maps", ["shared", "private", "anonymous"])
@pytest.mark.parametrize("design", ["attachment wait", "attachment break", "attachment refuse", "page_flag wait"])
def test_given_pages_protected_in_random_programs_then_every_state_is_that_of_the_second_implementation(
    maps: str, kernel: str, design: str
) -> None:
    name, _, policy = design.partition(" ")
    seen = side_by_side(maps, kernel, {"design": name, "policy": policy}, 160)
    met = {"wait": "PROTECTED_SLEEP", "break": "PROTECTED_BROKEN", "refuse": "PROTECTED_REFUSED"}[policy]
    assert min(seen["PROTECT_END"], seen[met]) > 0


@pytest.mark.parametrize("kernel", ["4.16", "6.7+"])
@pytest.mark.parametrize("design", ["none", "attachment break all", "page_flag wait posted", "exclusive_pte"])
def test_given_ksmd_beside_random_programs_then_every_state_is_that_of_the_second_implementation(
    kernel: str, design: str
) -> None:
    options = dict(zip(("design", "policy", "paths"), design.split(), strict=False))
    seen = side_by_side("anonymous", kernel, {} if design == "none" else options, 70, ksm=True)
    assert min(seen[step] for step in ("KSM_APPEND_LOCKED", "KSM_INSERT", "KSM_REPLACE", "WP_COPY_INSTALL")) > 0


@pytest.mark.parametrize("kernel", ["4.16", "6.7+"])
@pytest.mark.parametrize("design", ["none", "attachment wait", "page_flag break posted", "exclusive_pte"])
def test_given_migration_beside_random_programs_then_every_state_is_that_of_the_second_implementation(
    kernel: str, design: str
) -> None:
    options = dict(zip(("design", "policy", "paths"), design.split(), strict=False))
    seen = side_by_side("anonymous", kernel, {} if design == "none" else options, 80, ksm=True, moves=True)
    assert min(seen[step] for step in ("MIGRATE_ANON_RESTORE", "MIGRATION_PUT", "KSM_REPLACE", "FORK")) > 0


@pytest.mark.parametrize("kernel", ["4.16", "6.7+"])
@pytest.mark.parametrize("design", ["none", "attachment wait", "page_flag break posted"])
def test_given_a_file_mapped_shared_and_private_then_every_state_is_that_of_the_second_implementation(
    kernel: str, design: str
) -> None:
    options = dict(zip(("design", "policy", "paths"), design.split(), strict=False))
    seen = side_by_side("shared", kernel, {} if design == "none" else options, 80, mixed=True)
    assert min(seen[step] for step in ("MKWRITE_REUSE", "WP_COPY_INSTALL", "MKCLEAN_END", "FORK")) > 0


@pytest.mark.parametrize("kernel", ["4.16", "5.10", "6.7+"])
@pytest.mark.parametrize("design", ["none", "attachment wait", "page_flag break posted", "exclusive_pte"])
def test_given_reclaim_beside_random_programs_then_every_state_is_that_of_the_second_implementation(
    kernel: str, design: str
) -> None:
    options = dict(zip(("design", "policy", "paths"), design.split(), strict=False))
    seen = side_by_side("anonymous", kernel, {} if design == "none" else options, 70, ksm=True, moves=True, swaps=True)
    steps = ("RECLAIM_FREED", "RECLAIM_KEEP", "RECLAIM_PUT", "RECLAIM_DONE", "SWAP_READ", "SWAP_MAP", "KSM_REPLACE")
    assert min(seen[step] for step in steps) > 0


@pytest.mark.parametrize("kernel", ["4.16", "6.7+"])
def test_given_exclusive_entries_in_random_programs_then_every_state_is_that_of_the_second_implementation(
    kernel: str,
) -> None:
    seen = side_by_side("anonymous", kernel, {"design": "exclusive_pte"}, 80)
    assert min(seen["PROTECT_END"], seen["EXCLUSIVE_RESTORE"], seen["PROTECTED_BROKEN"]) > 0


EVERY: dict[str, tuple[tuple[str, ...], dict[str, Any], tuple[int, ...], dict[str, str], str]] = {
    "a store and writeback": (
        ("store", "lock writeback_begin unlock writeback_end"),
        {"maps": "shared", "stable_pages": True},
        (0, 0),
        {},
        "4.16",
    ),
    "stores around fork": (
        ("fork:1 store", "store"),
        {"maps": "anonymous", "children": 1, "spare": 2},
        (0, 1),
        {},
        "6.7+",
    ),
    "a store and reclaim": (("store", "reclaim:1"), {"maps": "anonymous", "spare": 1}, (0, 0), {}, "6.1"),
    "a store and a device": (
        ("store", "protect device_write unprotect"),
        {"maps": "shared"},
        (0, 0),
        {"design": "page_flag", "policy": "wait"},
        "6.1",
    ),
    "a store and a migration": (("store", "migrate"), {"maps": "anonymous", "spare": 1}, (0, 0), {}, "4.16"),
}


@pytest.mark.parametrize("name", EVERY)
def test_given_every_interleaving_then_both_implementations_agree_in_all_states_that_the_explorer_counts(
    name: str,
) -> None:
    programs, memory, mms, protect, kernel = EVERY[name]
    more: dict[str, Any] = {"protect": protect} if protect else {}
    subject = WorldSubject(scenario(*programs, memory=memory, mms=mms, kernel=kernel, **more))
    w = subject.world

    def moved(path: Sequence[int]) -> Machine | None:
        """Play a path from the first state in both; None if its last task finds a queue lock taken."""
        subject.begin()
        m, tasks = second(w, kernel, protect, memory, programs, mms)
        for at in path:
            was, w.clock[EVENTS] = step_name(w, at), 0
            if not make_move(w, at, 0):
                return None
            resumed(w, tasks[at], was, tasks)
        return m

    moved(())
    paths: dict[Any, tuple[int, ...]] = {subject.here(): ()}
    to_do: list[tuple[int, ...]] = [()]
    while to_do:
        path = to_do.pop()
        moved(path)
        for at in [task for task in range(len(programs)) if enabled(w, task)]:
            m = moved((*path, at))
            if m is None:
                continue
            agree(w, m, f"path {path}, task {at}")
            if subject.here() not in paths:
                paths[subject.here()] = (*path, at)
                to_do.append((*path, at))
    explorer = Explorer(WorldSubject(subject.scenario), Plan(reduction="none", promises=False))
    found = explorer.found(explorer.run())
    assert not found.broken
    assert len(paths) == found.states > 100


def played(
    *programs: str, memory: dict[str, Any], mms: tuple[int, ...], **more: Any
) -> tuple[Counter[str], Any, World]:
    """Play a timed run; return the number of events by kind, the events, and the world at the end."""
    run = open_run(scenario(*programs, memory=memory, mms=mms, costs={"preset": "estimate"}, **more))
    batches = list(run.batches())
    kinds = np.concatenate([batch.kind for batch in batches])
    counts = Counter(Kind(kind).name for kind in kinds.tolist())
    events = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in ("kind", "a", "b")}
    return counts, events, run.world  # type: ignore[attr-defined]


def test_shoot_downs_are_the_writable_or_dirty_entries_that_page_mkclean_met() -> None:
    counts, events, _ = played(
        "3*~/pick store think:5000",
        "3*~/pick store think:5000",
        "~/pick lock writeback_begin unlock think:3000 writeback_end",
        memory={"maps": "shared", "mms": 2},
        mms=(0, 1, 0),
        pages=8,
        limits={"events": 30_000},
    )
    cleaned = events["a"][events["kind"] == int(Kind.page_mkcleaned)].sum()
    assert counts["tlb_flushed"] - cleaned in (0, 1), "the last walk may be under way when the run stops"
    assert cleaned > 500
    assert counts["page_written"] > counts["fault_taken"] > 0


def test_every_private_page_is_copied_once_for_each_address_space_that_writes_it() -> None:
    counts, _, w = played(
        "2*200/pick store think:100",
        "2*200/pick store think:100",
        memory={"maps": "private", "mms": 2, "spare": 16},
        mms=(0, 1),
        pages=8,
    )
    assert counts["page_copied"] - counts["page_freed"] == 16
    assert w.rmap.mapcount.array.tolist() == [0] * 8 + [1] * 16
    assert references(w) == 8, "the pins of the workload's pages"


def test_a_truncation_leaves_no_entry_and_no_copy_behind_and_later_accesses_are_refused() -> None:
    counts, _, w = played(
        "2*50/pick store think:2000",
        "50/pick load think:2000",
        "think:20000 truncate",
        memory={"maps": "private", "mms": 2, "spare": 8},
        mms=(0, 1, 1),
        pages=4,
    )
    assert counts["page_truncated"] == 4
    assert counts["fault_refused"] > 0
    assert not counts["invariant_broken"]
    assert (w.ptes.page.array == NONE).all()
    assert references(w) == 4


def test_after_fork_parent_and_child_write_to_pages_of_their_own() -> None:
    stage = Stage("fork:1 store", "think:1 store", memory={"maps": "anonymous", "children": 1, "spare": 1}, mms=(0, 1))
    stage.until(0, "STORE")
    stage.until(1, "STORE")
    assert stage.world.rmap.mapcount[0] == 2
    assert "0 page_copied" in stage.sleep(0)
    told = stage.sleep(1)
    assert "1 page_copied" not in told, "the child is the only user left"
    assert "1 page_written" in told
    assert not stage.broke()
    assert stage.world.ptes.page.array.tolist() == [1, 0]


@pytest.mark.parametrize(("kernel", "copied"), [("4.16", False), ("5.9", True)])
def test_a_pinned_anonymous_page_is_copied_on_write_where_the_count_decides(kernel: str, copied: bool) -> None:
    stage = Stage(
        "pin think:1 dma unpin",
        "fork:1 store",
        "think:1",
        memory={"maps": "anonymous", "children": 1, "spare": 2},
        mms=(0, 0, 1),
        kernel=kernel,
    )
    stage.until(0, "DMA")
    stage.until(1, "STORE")
    stage.world.rmap.mapcount.array[0] -= 1  # the child exits
    stage.world.ptes.page.array[1], stage.world.ptes.bits.array[1] = NONE, 0
    stage.world.pages.refcount.array[0] -= 1
    assert ("1 page_copied" in stage.sleep(1)) == copied
    assert (stage.world.ptes.page[0] != 0) == copied, "a copy leaves the device with a page that the program lost"


def test_dma_to_a_page_under_writeback_breaks_stable_pages_and_no_store_does() -> None:
    """A pin is what page_mkclean() cannot see (the reason why pages with a pin must not be protected)."""
    memory = {"maps": "shared", "stable_pages": True}
    stage = Stage("pin think:1 dma unpin", "lock writeback_begin unlock writeback_end", "store", memory=memory)
    stage.until(0, "DMA")
    stage.until(1, "WRITEBACK_END")
    stage.sleep(2)
    assert "unstable_write" not in stage.broke()
    assert stage.world.tasks.state[2] == 1, "the store waits for writeback"
    stage.play("0")
    assert stage.broke() == {"unstable_write"}


@pytest.mark.parametrize(("sockets", "remote"), [(1, 0), (2, 2), (4, 3)])
def test_a_flush_costs_more_for_each_cpu_on_another_socket(sockets: int, remote: int) -> None:
    def ended(**machine: int) -> int:
        memory = {"maps": "anonymous", "children": 1, "spare": 1}
        costs = {"flush_ns": 1_000, "flush_cpu_ns": 500, "flush_socket_ns": 300}
        run = open_run(scenario("fork:1", "4*1/think:1", memory=memory, machine=machine, costs=costs))
        (batch,) = list(run.batches())
        finished = (batch.kind == int(Kind.task_finished)) & (batch.task == 0)
        return int(batch.time[finished][0])

    assert ended(sockets=sockets) - ended() == 300 * remote
