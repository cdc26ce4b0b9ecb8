"""A second implementation of page tables and write faults, for tests: plain objects and one generator per task.

Here is the state; the accesses and faults of a task are in tests.page_faults, the rest of its operations in
tests.page_tasks.

Slow and simple on purpose, and written from the kernel's source, not from the engine's. A task yields the name of its
next atomic step, ("lock", page), ("unlock", page) or ("wait", page), and takes it when it is resumed. How the page lock
is waited for is not its subject: whoever plays it decides when a lock is taken.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

Label = str | tuple[str, int]
Steps = Iterator[Label]
Faulting = Generator[Label, None, bool]
"""Returns whether the access is made again."""


@dataclass
class Frame:
    """A page. kind: free, file, anon or ksm; refs: its reference count; place: the virtual page it is mapped at; value:
    its contents; node: its stable node; slot: its slot in the swap cache.
    """

    kind: str = "free"
    refs: int = 0
    place: int = 0
    dirty: bool = False
    writeback: bool = False
    owner: int | None = None
    pins: int = 0
    device: int | None = None
    value: int = 0
    node: object = None
    slot: int | None = None
    freed_by: int | None = None


@dataclass
class Entry:
    """A page table entry; a swap entry maps no page (-1) and names a slot."""

    page: int
    write: bool = False
    dirty: bool = False
    exclusive: bool = False
    moving: bool = False
    was_writable: bool = False
    slot: int | None = None

    @property
    def present(self) -> bool:
        return not self.exclusive and not self.moving and self.slot is None


@dataclass
class Machine:
    """Pages, address spaces and what happened in them."""

    frames: list[Frame]
    spaces: list[dict[int, Entry]]
    maps: str
    areas: list[bool]
    """By address space: whether it maps the file MAP_SHARED."""
    by_count: bool
    stable: bool = False
    loops: bool = False
    pins: bool = False
    design: str = "none"
    policy: str = "break"
    paths: str = "all"
    contents: int = 0
    moves_pinned: bool = False
    flushes: int = 0
    copies: int = 0
    refused: int = 0
    virtual: int = 0
    running: list[int] = field(default_factory=list)
    """Tasks by address space."""
    drops_swap: bool = False
    slots: dict[int, int] = field(default_factory=dict)
    """Contents by slot."""
    stale: dict[tuple[int, int], tuple[int, bool, int]] = field(default_factory=dict)
    """Address space and virtual page -> page, dirty, task: entries that only TLBs still have."""
    log: list[str] = field(default_factory=list)

    def mapcount(self, page: int) -> int:
        return sum(entry.page == page and not entry.moving for space in self.spaces for entry in space.values())

    def put(self, page: int) -> None:
        frame = self.frames[page]
        frame.refs -= 1
        assert frame.refs >= 0, page
        if not frame.refs:
            if any(left == page for left, _, _ in self.stale.values()):
                self.log.append("freed_in_tlb")
            self.frames[page] = Frame()

    def busy(self, page: int) -> bool:
        return self.frames[page].dirty or self.frames[page].writeback

    def flush(self, mm: int, place: int | None = None) -> None:
        """Flush one virtual page of an address space, or all of them."""
        self.flushes += 1
        self.stale = {at: left for at, left in self.stale.items() if at[0] != mm or place not in (None, at[1])}

    def named(self, slot: int | None) -> int:
        """How many entries name a slot."""
        return sum(slot is not None and entry.slot == slot for space in self.spaces for entry in space.values())

    def cached(self, slot: int) -> int | None:
        """The page that the swap cache has for a slot."""
        return next((page for page, frame in enumerate(self.frames) if frame.slot == slot), None)

    def uncache(self, page: int) -> None:
        slot, self.frames[page].slot = self.frames[page].slot, None
        self.forget(slot)
        self.put(page)

    def forget(self, slot: int | None) -> None:
        if slot is not None and not self.named(slot) and self.cached(slot) is None:
            self.slots.pop(slot, None)

    def free_swap(self, page: int) -> None:
        """Out of the swap cache, unless an entry names its slot or it is being written out."""
        frame = self.frames[page]
        if frame.slot is not None and not self.named(frame.slot) and not frame.writeback:
            frame.dirty = True
            self.uncache(page)

    def allocate(self, place: int) -> int | None:
        for page, frame in enumerate(self.frames):
            if frame.kind == "free":
                self.frames[page] = Frame("anon", 1, place)
                return page
        return None


def machine(maps: str, pages: int, spaces: int, children: int, spare: int, **rules: Any) -> Machine:
    """Return the state in which a workload begins; rules: fields of Machine, by_count among them."""
    if maps == "anonymous":
        each = pages // spaces
        frames = [Frame("anon", 1, page % each) for page in range(each * spaces)]
        frames += [Frame() for _ in range(pages - each * spaces + spare)]
        tables = [{place: Entry(mm * each + place, True, True) for place in range(each)} for mm in range(spaces)]
    else:
        frames = [Frame("file", 2 + spaces, page) for page in range(pages)] + [Frame() for _ in range(spare)]
        tables = [{page: Entry(page) for page in range(pages)} for _ in range(spaces)]
    areas = [maps == "shared" and mm not in rules.get("private", ()) for mm in range(spaces + children)]
    rules.pop("private", None)
    m = Machine(frames, tables + [{} for _ in range(children)], maps, areas, rules.pop("by_count"))
    for name, value in rules.items():
        setattr(m, name, value)
    for page in range(pages // spaces * spaces if maps == "anonymous" and m.contents else 0):
        frames[page].value = 1 + page % m.contents
    return m
