"""What a scenario's parts must agree on beyond their own models: found before any worker starts.

Each function raises ValueError with the field, the limit and the remedy.
"""

from __future__ import annotations

from typing import Any

from engine.cast import ANON_TAG
from engine.designs import AXES, DESIGNS
from engine.devices import DEVICES
from engine.operations import MMS_MAX, Fork, Migrate, Pick
from engine.program import OF_MOVABLE, OPERATIONS, check_program, of_files
from engine.schedule_word import read
from engine.workloads import TASKS_MAX, Memory, Tasks

ENTRIES_MAX = 2**22
"""Page table entries of all address spaces."""
ITEMS_MAX = 2**14
"""Entries that ksmd scans: it searches them one by one."""
PICKS_MAX = 2**23
"""Rows in the tables from which pages are picked, over all distinct picks: each row costs 8 bytes and 2 us."""


def check_memory(workload: Tasks) -> None:
    """Raise ValueError for address spaces that are not there, or page tables that are too large."""
    memory, groups = workload.memory, workload.groups
    if memory is None:
        if stray := next((group for group in groups if group.mm), None):
            raise ValueError(f"group {stray.name!r} runs in address space {stray.mm}: add workload.memory")
        return
    mms = memory.mms + memory.children
    if mms > MMS_MAX:
        raise ValueError(f"{mms} address spaces; the limit is {MMS_MAX}: lower memory.mms or memory.children")
    if mms * workload.pages > ENTRIES_MAX:
        raise ValueError(
            f"{mms} address spaces of {workload.pages} pages have {mms * workload.pages} page table entries; "
            f"the limit is {ENTRIES_MAX}: use fewer pages or address spaces"
        )
    private = memory.private or []
    if memory.private is not None and memory.maps != "shared":
        raise ValueError(f"memory.private: all areas are {memory.maps}: leave it out, or set maps to shared")
    if len(set(private)) < len(private) or any(mm >= memory.mms for mm in private):
        raise ValueError(
            f"memory.private names address spaces {', '.join(map(str, private))}: name each of 0 to "
            f"{memory.mms - 1} at most once; a fork copies its parent's area"
        )
    if not workload.cached and memory.maps != "anonymous":
        raise ValueError("memory maps pages of a file: leave cached true")
    if memory.maps == "anonymous" and memory.mms > workload.pages:
        raise ValueError(f"{memory.mms} address spaces share {workload.pages} pages: each needs one; raise pages")
    for group in groups:
        if memory.maps == "anonymous" and (strange := next((name for name in group.names if of_files(name)), None)):
            raise ValueError(f"group {group.name!r}: {strange} is for pages of a file: memory.maps is anonymous")
        if memory.maps != "anonymous" and "migrate" in group.names:
            raise ValueError(f"group {group.name!r}: migrate is for anonymous pages: memory.maps is {memory.maps}")
        if memory.maps != "anonymous" and "reclaim" in group.names:
            raise ValueError(f"group {group.name!r}: reclaim is for anonymous pages: memory.maps is {memory.maps}")
        if group.mm >= mms:
            raise ValueError(f"group {group.name!r} runs in address space {group.mm}, but there are {mms}: raise mms")
        for op in group.program:
            if isinstance(op, Fork) and not memory.mms <= op.to < mms:
                raise ValueError(
                    f"group {group.name!r} forks to address space {op.to}: the empty ones are {memory.mms} to "
                    f"{mms - 1}; raise memory.children"
                    if memory.children
                    else f"group {group.name!r} forks, but no address space is empty: raise memory.children"
                )


def check_movable(workload: Tasks, wait: Any, protect: Any) -> None:
    """Raise ValueError for what cannot be done with a driver's movable pages."""
    if workload.type == "file":
        return
    if protect.design != "none":
        raise ValueError(
            f"protect: {protect.design} cannot protect movable pages, which no process maps: leave type out"
        )
    if workload.memory is not None:
        raise ValueError("type: no process maps movable pages; leave memory out, or type")
    if not workload.pinned or workload.files > 1:
        raise ValueError("type: movable pages belong to one driver, which keeps them: leave pinned true and files at 1")
    for group in workload.groups:
        if stray := next((op for op in group.program if isinstance(op, Migrate) and op.to < workload.movable), None):
            raise ValueError(
                f"group {group.name!r} migrates to page {stray.to}, which is the driver's: pages to migrate to are the "
                f"last ones, from {workload.movable} on"
            )
        if strange := next((name for name in group.names if name not in OF_MOVABLE), None):
            raise ValueError(
                f"group {group.name!r}: {strange} is not for movable pages; they take {', '.join(sorted(OF_MOVABLE))}"
            )


def check_ksm(workload: Tasks) -> None:
    """Raise ValueError for pages that cannot be merged, and for a ksmd that is not alone or does other things too."""
    memory, scanning = workload.memory, [group for group in workload.groups if "ksm_scan" in group.names]
    if memory is None:
        return
    if memory.contents and memory.maps != "anonymous":
        raise ValueError(f"memory.contents: KSM merges anonymous pages, and memory.maps is {memory.maps}: leave it out")
    user = next((group for group in workload.groups if {"ksm_scan", "unmerge"} & set(group.names)), None)
    if user is not None and not memory.contents:
        raise ValueError(f"group {user.name!r} merges pages of known contents: set memory.contents to 1 or more")
    if len(scanning) > 1 or any(group.tasks > 1 for group in scanning):
        raise ValueError("ksmd is one thread: let one group with one task run ksm_scan")
    for group in scanning:
        if others := [name for name in group.names if name not in ("ksm_scan", "think", "hold")]:
            raise ValueError(f"group {group.name!r} is ksmd, and {others[0]} is for tasks: move it to another group")
    if scanning and (entries := (memory.mms + memory.children) * workload.choices) > ITEMS_MAX:
        raise ValueError(f"ksmd scans {entries} entries; the limit is {ITEMS_MAX}: lower pages or memory.children")


def check_protection(workload: Tasks, wait: Any, protect: Any) -> None:
    """Raise ValueError for pages protected without a design, or by one that cannot protect pages of this type."""
    design = protect.design
    names = {name for group in workload.groups for name in group.names}
    if design == "none":
        if "protect" in names:
            raise ValueError("protect: no design protects pages; choose attachment, page_flag or exclusive_pte")
        return
    if workload.memory is None:
        raise ValueError(f"protect: {design} protects pages that are mapped: add workload.memory")
    if workload.memory.maps not in (takes := AXES["protect"][design].protects):
        raise ValueError(
            f"protect: {design} takes {' and '.join(takes)} memory, and memory.maps is {workload.memory.maps} "
            "(EOPNOTSUPP): choose another design"
        )


def check_devices(workload: Tasks, wait: Any, protect: Any) -> None:
    """Raise ValueError for a device's operations in other groups, and for what a device cannot do."""
    for group in workload.groups:
        label, names = f"group {group.name!r}", set(group.names)
        strange = sorted(name for name in names if OPERATIONS[name].device is (group.device is None))
        if group.device is None:
            if strange:
                raise ValueError(f"{label}: {strange[0]} is for devices: set device to {', '.join(DEVICES)}")
            continue
        profile = DEVICES[group.device]
        if workload.memory is None:
            raise ValueError(f"{label} is a device, and no process maps pages that it could use: add workload.memory")
        if group.tasks > profile.in_flight.value:
            raise ValueError(
                f"{label} has {group.tasks} requests in flight; {group.device} has at most {profile.in_flight.value}: "
                "use fewer tasks"
            )
        if {"atomic", "emulated_atomic"} & names and not profile.atomics:
            raise ValueError(f"{label}: {group.device} issues no PCIe atomics: choose another device")
        if strange:
            raise ValueError(f"{label}: {strange[0]} is what a CPU does: put it into a group without a device")
    if workload.memory is not None and workload.memory.copies:
        if protect.design in ("none", "exclusive_pte"):
            raise ValueError("memory.copies: copies need pages that stay protected: choose attachment or page_flag")
        devices = sum(group.device is not None for group in workload.groups)
        if devices * workload.all_pages > ENTRIES_MAX:
            raise ValueError(
                f"{devices} devices could hold copies of {workload.all_pages} pages; the limit is {ENTRIES_MAX} copies "
                "in all: use fewer pages"
            )


def _maps_anonymous(memory: Memory) -> bool:
    """Return whether anonymous pages can come to be: at once, or as copies of a file's."""
    return memory.maps != "shared" or bool(memory.private)


def check_tags(workload: Tasks, wait: Any, protect: Any) -> None:
    """Raise ValueError if the wait design claims bits of page->mapping that other words there use."""
    card = AXES["protect"][protect.design]
    if workload.memory is None or getattr(wait, "encoding", "") == "E1":  # E1 moves the other tags elsewhere
        return
    used = card.tag_bits(protect) | (0 if not _maps_anonymous(workload.memory) else ANON_TAG)
    if both := DESIGNS[wait.design].tag_bits(wait) & used:
        users = "anonymous pages" if both & ANON_TAG and _maps_anonymous(workload.memory) else protect.design
        raise ValueError(
            f"{wait.design} takes every word of page->mapping with bit {(both & -both).bit_length() - 1} for its own, "
            f"and {users} {'set' if users == 'anonymous pages' else 'sets'} that bit: choose another encoding"
        )


def check_programs(workload: Tasks) -> None:
    """Raise ValueError for a program that cannot run on the workload's pages, or picks from too many."""
    mapped = workload.memory is not None
    for group in workload.groups:
        pages, label = workload.pages, f"group {group.name!r}"
        check_program(label, group.names, repeat=group.repeat, pages=pages, pinned=workload.pinned, mapped=mapped)
        for op in group.program:
            if isinstance(op, Migrate) and op.to >= pages:
                raise ValueError(f"{label} migrates to page {op.to}, but there are {pages}: raise pages")
            if isinstance(op, Migrate) and workload.files > 1:
                raise ValueError(f"{label} migrates: pages keep their file here, so leave files at 1")
            if isinstance(op, Pick) and op.first + (op.count or 1) > workload.choices:
                raise ValueError(
                    f"{label} picks page {op.first + (op.count or 1) - 1}, but there are "
                    f"{workload.choices} pages to pick from: raise pages or lower first and count"
                )
    picks = [op for group in workload.groups for op in group.program if isinstance(op, Pick)]
    tables = {(op.count or workload.choices - op.first, op.zipf) for op in picks}
    if (rows := sum(count for count, _ in tables)) > PICKS_MAX:
        raise ValueError(
            f"the picks choose from {rows} pages in {len(tables)} ways; the limit is {PICKS_MAX} in all: "
            "use fewer pages, or the same zipf and count more often"
        )


def check_fits(workload: Tasks, wait: Any, protect: Any, schedule: str | None) -> None:
    """Raise ValueError for parts of a scenario that do not fit together; wait, protect: the designs' options."""
    total, names = sum(group.tasks for group in workload.groups), [group.name for group in workload.groups]
    if total > TASKS_MAX:
        raise ValueError(f"{total} tasks in all groups; the limit is {TASKS_MAX}: use fewer")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two groups are named {twice!r}: their tasks could not be told apart; rename one")
    if workload.files > workload.pages:
        raise ValueError(f"{workload.files} files share {workload.pages} pages: each needs one; raise pages")
    check_movable(workload, wait, protect)
    check_memory(workload)
    check_ksm(workload)
    check_protection(workload, wait, protect)
    check_tags(workload, wait, protect)
    check_devices(workload, wait, protect)
    check_programs(workload)
    if schedule is not None:
        read(total + len(DESIGNS[wait.design].actors), schedule)
