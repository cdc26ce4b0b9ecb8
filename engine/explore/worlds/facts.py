"""A World's observable facts in kernel terms: name -> value, with the same names in every state."""

from __future__ import annotations

from engine.designs import AXES, DESIGNS
from engine.events import FLAG_NAMES, NONE, PTE_NAMES, WQ_NAMES
from engine.explore.story import State
from engine.explore.worlds.subject import WorldSubject
from engine.mm.mapping import word_shown
from engine.mm.wait_list import line_length
from engine.schedule_word import letters
from engine.world.state import FILE_PAGE, READY, World

KINDS = ("free", "of a file", "anonymous", "KSM")
"""rmap.kind -> words."""
STATES = ("ready", "asleep", "spinning", "finished")
_NOUNS = ("queue ", "page_wait ", "page_waiter ")


def facts(subject: WorldSubject) -> State:
    """Return the facts of the subject's world in its current state."""
    w, values = subject.world, State()
    files = w.files.address.array.tolist()
    for page in range(w.rules.n_pages):
        values[f"page {page}: flags"] = _flags(w.pages.flags[page])
        values[f"page {page}: mapping"] = word_shown(w.pages.mapping[page], files)
        values[f"page {page}: slot"] = _slot(w, page)
        values[f"page {page}: references"] = w.pages.refcount[page]
        values[f"page {page}: lock"] = _holder(w.pages.owner[page], "free")
        if w.rules.mapped:
            mapped = f"{w.rmap.mapcount[page]} times at virtual page {w.rmap.virtual[page]}"
            values[f"page {page}: mapped"] = f"{mapped}, {KINDS[w.rmap.kind[page]]}"
            values[f"page {page}: pinned"] = w.rmap.pinned[page]
            values[f"page {page}: entries cleaned"] = w.rmap.cleaned[page]
        values[f"page {page}: pte"] = "mapped" if w.pages.mapped[page] else "none"
        values[f"page {page}: being truncated by"] = _holder(w.pages.truncated_by[page], "no task")
        if w.rules.protects:
            values[f"page {page}: protected by"] = _holder(w.protection.owner[page], "no device")
        if w.rules.contents:
            values[f"page {page}: contents"] = w.contents.value[page]
        if w.rules.swaps:
            values[f"page {page}: in the swap cache for slot"] = _row(w.swap_pages.slot[page], "none")
            values[f"page {page}: freed after the flush by"] = _holder(w.swap_pages.freed_by[page], "no task")
        if w.rules.keeps_copies:
            held = [row for row in range(w.rules.n_devices) if w.copies.held[row * w.rules.n_pages + page]]
            values[f"page {page}: copies in devices"] = " ".join(map(str, held)) or "none"
            values[f"page {page}: protected for copies"] = w.copies.held[w.rules.n_devices * w.rules.n_pages + page]
    for file in range(w.files.size.array.size):
        values[f"file {file}: i_size"] = w.files.size[file]
    for mm in range(w.rules.mms):
        values[f"address space {mm}: VM_SHARED"] = w.mms.shared[mm]
    for row in range(w.rules.mms * w.rules.virtual_pages):
        mm, virtual = divmod(row, w.rules.virtual_pages)
        values[f"address space {mm}, virtual page {virtual}"] = _entry(w, row)
    for task in range(w.rules.n_tasks):
        values |= _task(w, task, files)
    if w.rules.scans:
        values |= _ksm(w)
    if w.rules.swaps:
        values |= _swap(w)
    for axis in ("wait", "protect"):
        if (more := AXES[axis][w.designs[axis]].facts) is not None:
            values |= more(w)
    rows = next((column.rows for column in subject.columns if column.title == "lists.head"), ())
    for row in rows:
        values[f"queue {row}"] = _queue(w, row)
        values[f"queue {row}: lock"] = _holder(w.lists.lock[row], "free")
    for row in next((column.rows for column in subject.columns if column.title == "waits.base"), ()):
        name, value = _structure(w, row, files)
        values[name] = value
    return values


def _flags(flags: int) -> str:
    return " ".join(name.removeprefix("PG_") for bit, name in FLAG_NAMES.items() if flags >> bit & 1) or "0"


def _entry(w: World, row: int) -> str:
    page, bits = w.ptes.page[row], w.ptes.bits[row]
    names = [name for bit, name in PTE_NAMES.items() if bits & bit and name != "present"]
    if page != NONE:
        return ", ".join([f"page {page}", *names])
    return ", ".join(names) or "empty"


def _slot(w: World, page: int) -> str:
    file, at = w.pages.file[page], w.pages.index[page]
    if file == NONE and (w.rules.movable_word or (w.rules.mapped and w.rmap.kind[page] != FILE_PAGE)):
        return f"none, index {at}"
    if file == NONE:
        return "empty"
    return f"in file {file} at {at}" if w.files.size.array.size > 1 else f"in the file at {at}"


def at_rest(name: str) -> bool:
    """Whether a name is that of a queue or wait structure, which matters only while it is in use."""
    return name.startswith(_NOUNS)


def _task(w: World, task: int, files: list[int]) -> State:
    label, flags, state = letters(task), w.entries.flags[task], w.tasks.state[task]
    state_set = w.tasks.state_set[task] and state == READY
    made = w.tasks.made[task]
    values: State = {
        f"{label} is": "about to sleep" if state_set else STATES[state],
        f"{label}: references held by lookups": w.tasks.holds[task],
        f"{label}'s entry": " ".join(name for bit, name in WQ_NAMES.items() if flags & bit) or "plain",
        f"{label}: truncation pass": w.tasks.argument[task],
        f"{label}: file being truncated": w.tasks.file[task],
        f"{label}: second page": "none" if w.tasks.second[task] == NONE else w.tasks.second[task],
    }
    if w.rules.protects:
        blocked = w.sleepers.page[task]
        values[f"{label}: sleeps for protected page"] = "none" if blocked == NONE else blocked
    if w.rules.emulates:
        values[f"{label}: page with the word it has read"] = _row(w.emulations.page[task], "none")
    if w.rules.n_waits:
        seen = w.tasks.seen[task]
        values[f"{label}: structure it is about to use"] = word_shown(seen & ~2, files) if seen else "none"
        values[f"{label}: structure allocated"] = "none" if made == NONE else f"page_wait {made}"
    return values


def _ksm(w: World) -> State:
    """Return what ksmd remembers, and where it is."""
    ksmd, values = w.ksmd, State()
    for node, page in enumerate(w.ksm_nodes.page.array.tolist()):
        inside = f"contents {w.ksm_nodes.contents[node]}, {w.ksm_nodes.items[node]} entries"
        values[f"stable node {node}"] = f"{_row(page, 'no page')}, {inside}"
    for item in range(w.rules.mms * w.rules.virtual_pages):
        mm, virtual = divmod(item, w.rules.virtual_pages)
        where = "waits in the unstable tree" if w.ksm_items.unstable[item] else "not in the unstable tree"
        belongs = _row(w.ksm_items.node[item], "none")
        values[f"KSM's item {mm}, {virtual}"] = f"node {belongs}, checksum {w.ksm_items.checksum[item]}, {where}"
    values["ksmd: next entry"] = ksmd.cursor[0]
    values["ksmd: looks at entry"] = _row(ksmd.item[0], "none")
    values["ksmd: entry with the same contents"] = _row(ksmd.other[0], "none")
    values["ksmd: takes the page of node"] = _row(ksmd.node[0], "none")
    values["ksmd: found page"] = _row(ksmd.found[0], "none")
    values["ksmd: merged"] = "yes" if ksmd.merged[0] else "no"
    return values


def _swap(w: World) -> State:
    """Return what the slots of the swap area hold, and which entries TLBs may still have."""
    values, slots = State(), w.swap_slots
    for slot in range(slots.page.array.size):
        inside = f"contents {slots.value[slot]}, named by {slots.entries[slot]} entries"
        values[f"slot {slot}"] = f"page {_row(slots.page[slot], 'none')}, {inside}"
    for row in range(w.rules.mms * w.rules.virtual_pages):
        mm, virtual = divmod(row, w.rules.virtual_pages)
        stale = w.swap_entries.stale[row]
        how = "dirty" if w.swap_entries.stale_dirty[row] else "clean"
        by = _holder(w.swap_entries.batch[row], "no task")
        values[f"slot named by address space {mm}, virtual page {virtual}"] = _row(w.swap_entries.slot[row], "none")
        values[f"TLBs of address space {mm}, virtual page {virtual}"] = (
            f"old entry: page {_row(stale, 'none')}, {how}, to be flushed by {by}"
        )
    return values


def _row(row: int, none: str) -> str | int:
    return none if row == NONE else row


def _structure(w: World, row: int, files: list[int]) -> tuple[str, str]:
    """Return a wait structure's name and a description of its fields."""
    waiter = DESIGNS[w.designs["wait"]].names_tasks
    name = f"page_waiter {letters(row)}" if waiter else f"page_wait {row}"
    page, parts = w.waits.page[row], list[str]()
    if page != NONE:
        parts = [f"page {page}", f"base {word_shown(w.waits.base[row], files)}"]
    elif w.waits.base[row]:
        parts = [f"base {word_shown(w.waits.base[row], files)}"]
    if not waiter and (waiting := line_length(w, row * w.rules.queue_lists)):
        parts.append(f"{waiting} waiting")
    if w.waits.readers[row]:
        parts.append(f"{w.waits.readers[row]} about to use it")
    if w.waits.locked[row]:
        parts.append("locked")
    return name, ", ".join(parts) or "free"


def _holder(task: int, none: str) -> str:
    return none if task == NONE else letters(task)


def _queue(w: World, row: int) -> str:
    found, entry = list[str](), w.lists.head[row]
    while entry != NONE and len(found) <= w.rules.n_tasks:
        found.append(letters(entry) if entry < w.rules.n_tasks else "bookmark")
        entry = w.entries.next[entry]
    return " ".join(found) or "empty"
