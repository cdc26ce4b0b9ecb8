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
    its contents; node: its stable node.
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


@dataclass
class Entry:
    """A page table entry."""

    page: int
    write: bool = False
    dirty: bool = False
    exclusive: bool = False
    moving: bool = False
    was_writable: bool = False


@dataclass
class Machine:
    """Pages, address spaces and what happened in them."""

    frames: list[Frame]
    spaces: list[dict[int, Entry]]
    maps: str
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
    log: list[str] = field(default_factory=list)

    def mapcount(self, page: int) -> int:
        return sum(entry.page == page and not entry.moving for space in self.spaces for entry in space.values())

    def put(self, page: int) -> None:
        frame = self.frames[page]
        frame.refs -= 1
        assert frame.refs >= 0, page
        if not frame.refs:
            self.frames[page] = Frame()

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
    m = Machine(frames, tables + [{} for _ in range(children)], maps, rules.pop("by_count"))
    for name, value in rules.items():
        setattr(m, name, value)
    for page in range(pages // spaces * spaces if maps == "anonymous" and m.contents else 0):
        frames[page].value = 1 + page % m.contents
    return m
