"""A second implementation of page tables and write faults, for tests: plain objects and one generator per task.

Slow and simple on purpose, and written from the kernel's source, not from the engine's. A task yields the name of its
next atomic step, ("lock", page), ("unlock", page) or ("wait", page), and takes it when it is resumed. How the page lock
is waited for is not its subject: whoever plays it decides when a lock is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

Label = str | tuple[str, int]
Steps = Iterator[Label]
Faulting = Generator[Label, None, bool]
"""Returns whether the access is made again."""


@dataclass
class Frame:
    """A page. kind: free, file or anon; refs: its reference count; place: the virtual page it is mapped at."""

    kind: str = "free"
    refs: int = 0
    place: int = 0
    dirty: bool = False
    writeback: bool = False
    owner: int | None = None
    pins: int = 0


@dataclass
class Entry:
    """A page table entry."""

    page: int
    write: bool = False
    dirty: bool = False


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
    flushes: int = 0
    copies: int = 0
    refused: int = 0
    log: list[str] = field(default_factory=list)

    def mapcount(self, page: int) -> int:
        return sum(entry.page == page for space in self.spaces for entry in space.values())

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


def machine(maps: str, pages: int, spaces: int, children: int, spare: int, **rules: bool) -> Machine:
    """Return the state in which a workload begins; rules: by_count, stable, loops and pins of Machine."""
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
    return m


class Task:
    """One task: its address space and program."""

    def __init__(self, m: Machine, number: int, mm: int, program: list[str]) -> None:
        self.m, self.number, self.mm = m, number, mm
        self.page, self.held = 0, None
        self.label: Label | None = None
        self._steps = self._run(program)
        self.resume()

    held: int | None

    def resume(self) -> None:
        """Take the step announced, and announce the next one."""
        self.label = next(self._steps, None)

    @property
    def table(self) -> dict[int, Entry]:
        return self.m.spaces[self.mm]

    def _run(self, program: list[str]) -> Steps:
        for text in program:
            name, _, number = text.partition(":")
            yield from getattr(self, f"do_{name}")(*([int(number)] if number else []))
        yield "NEXT_OP"

    def do_pick(self, page: int) -> Steps:
        yield "PICK"
        self.page = page

    def do_lock(self) -> Steps:
        yield "lock", self.page

    def do_unlock(self) -> Steps:
        yield "unlock", self.page

    def do_load(self) -> Steps:
        yield from self._access("LOAD", lambda entry: entry is not None, lambda entry: None)

    def do_store(self) -> Steps:
        yield from self._access("STORE", lambda entry: entry is not None and entry.write, self._stored)

    def do_pin(self) -> Steps:
        yield from self._access("PIN", lambda entry: entry is not None and entry.write, self._pinned)

    def _stored(self, entry: Entry) -> None:
        entry.dirty = True
        frame = self.m.frames[entry.page]
        if frame.kind == "anon" and self.m.mapcount(entry.page) > 1:
            self.m.log.append("shared_copy_written")
        if self.m.stable and frame.writeback:
            self.m.log.append("unstable_write")

    def _pinned(self, entry: Entry) -> None:
        self.held = entry.page
        self.m.frames[entry.page].refs += 1
        self.m.frames[entry.page].pins += 1

    def do_dma(self) -> Steps:
        yield "DMA"
        if self.held is not None:
            frame = self.m.frames[self.held]
            if frame.kind == "anon" and self.m.mapcount(self.held) > 1:
                self.m.log.append("shared_copy_written")
            if self.m.stable and frame.writeback:
                self.m.log.append("unstable_write")

    def do_unpin(self) -> Steps:
        yield "UNPIN"
        if self.held is not None:
            self.m.frames[self.held].pins -= 1
            self.m.put(self.held)
            self.held = None

    def do_fork(self, child: int) -> Steps:
        m, done = self.m, -1
        while True:
            yield "FORK"
            found = None
            if m.maps != "shared":
                found = min((p for p in self.table if p > done and p not in m.spaces[child]), default=None)
            if found is None:
                m.flushes += 1
                return
            done = found
            self.table[found].write = False
            m.spaces[child][found] = Entry(self.table[found].page, False, self.table[found].dirty)
            m.frames[self.table[found].page].refs += 1

    def do_writeback_begin(self) -> Steps:
        m, frame = self.m, self.m.frames[self.page]
        while True:
            yield "WRITEBACK_MAPPED"
            if not frame.writeback:
                break
            yield "wait", self.page
        changed = 0
        while True:
            yield "MKCLEAN"
            entries = [s[self.page] for s in m.spaces if self.page in s and s[self.page].page == self.page]
            entry = next((e for e in entries if e.write or e.dirty), None)
            if entry is None:
                break
            entry.write = entry.dirty = False
            m.flushes += 1
            changed += 1
        yield "MKCLEAN_END"
        frame.dirty |= changed > 0
        yield "WRITEBACK_SET"
        frame.dirty, frame.writeback = False, True

    def do_writeback_end(self) -> Steps:
        yield "WRITEBACK_END"
        frame = self.m.frames[self.page]
        frame.writeback = False
        frame.refs += self.m.pins
        yield "WRITEBACK_PUT"
        if self.m.pins:
            self.m.put(self.page)

    def _access(self, name: str, allowed: Callable[[Entry | None], bool], act: Callable[[Entry], None]) -> Steps:
        """Make an access; fault as long as the entry does not allow it. An access that cannot be made is given up."""
        place = self.page
        while True:
            yield name
            entry = self.table.get(place)
            if allowed(entry):
                assert entry is not None
                act(entry)
                return
            gone_on = yield from (self._missing(place) if entry is None else self._write_fault(place, entry.page))
            if not gone_on:
                self.m.refused += 1
                return

    def _missing(self, place: int) -> Faulting:
        m = self.m
        yield "MISSING"
        if m.maps == "anonymous":
            yield "ANON_FAULT"
            if place not in self.table:
                page = m.allocate(place)
                if page is None:
                    return False
                self.table[place] = Entry(page, True, True)
            return True
        m.frames[place].refs += 1
        yield "lock", place
        yield "MISSING_CHECK"
        yield "MISSING_MAP"
        if place not in self.table:
            self.table[place] = Entry(place)
            m.frames[place].refs += 1
        return (yield from self._unlocked(place))

    def _same(self, place: int, page: int) -> bool:
        entry = self.table.get(place)
        return entry is not None and entry.page == page and not entry.write

    def _sole(self, page: int) -> bool:
        return self.m.mapcount(page) == 1 and (not self.m.by_count or self.m.frames[page].refs == 1)

    def _write_fault(self, place: int, page: int) -> Faulting:
        m = self.m
        yield "WP_PAGE"
        if not self._same(place, page):
            return True
        frame, sole = m.frames[page], self._sole(page)
        frame.refs += 1
        if frame.kind == "file" and m.maps == "shared":
            return (yield from self._mkwrite(place, page))
        if frame.kind == "file" or (m.by_count and (not sole or frame.owner is not None)):
            return (yield from self._copy(place, page))
        if frame.owner is None:
            frame.owner = self.number
        else:
            yield "lock", page
            yield "WP_ANON_LOCKED"
            if not self._same(place, page):
                return (yield from self._unlocked(page))
            sole = self._sole(page)
        if sole:
            self.table[place] = Entry(page, True, True)
            return (yield from self._unlocked(page))
        yield "unlock", page
        return (yield from self._copy(place, page))

    def _unlocked(self, page: int) -> Faulting:
        yield "unlock", page
        yield "FAULT_PUT"
        self.m.put(page)
        return True

    def _mkwrite(self, place: int, page: int) -> Faulting:
        m, frame = self.m, self.m.frames[page]
        yield "lock", page
        yield "MKWRITE_CHECK"
        yield "SET_DIRTY"
        frame.dirty = True
        while True:
            yield "MKWRITE_STABLE"
            if not (m.stable and frame.writeback):
                break
            yield "wait", page
            if not m.loops:
                break
        yield "MKWRITE_REUSE"
        if self._same(place, page):
            self.table[place] = Entry(page, True, True)
        return (yield from self._unlocked(page))

    def _copy(self, place: int, page: int) -> Faulting:
        m = self.m
        yield "WP_COPY"
        if not self._same(place, page):
            yield "FAULT_PUT"
            m.put(page)
            return True
        copy = m.allocate(place)
        if copy is None:
            m.put(page)
            return False
        m.copies += 1
        yield "WP_COPY_INSTALL"
        if self._same(place, page):
            m.flushes += 1
            self.table[place] = Entry(copy, True, True)
            m.put(page)
        else:
            m.put(copy)
        yield "FAULT_PUT"
        m.put(page)
        return True
