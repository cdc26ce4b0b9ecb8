"""What a task of the second implementation does to memory, and the faults that it takes."""

from __future__ import annotations

from collections.abc import Callable, Generator

from tests.page_tables import Entry, Faulting, Frame, Label, Machine, Steps


class Faults:
    """One task: its address space, its program, and its accesses to memory."""

    def __init__(self, m: Machine, number: int, mm: int, program: list[str]) -> None:
        self.m, self.number, self.mm = m, number, mm
        self.page, self.held = 0, None
        self.label: Label | None = None
        self._steps = self._run(program)
        self.resume()

    held: int | None

    @property
    def shared(self) -> bool:
        return self.m.areas[self.mm]

    @property
    def virtual(self) -> int:
        return self.m.virtual

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

    def do_think(self, mean: int) -> Steps:
        yield "THINK"

    def do_lock(self) -> Steps:
        yield "lock", self.page

    def do_unlock(self) -> Steps:
        yield "unlock", self.page

    def do_load(self) -> Steps:
        yield from self._access("LOAD", self._readable, lambda entry: None)

    @staticmethod
    def _readable(entry: Entry | None) -> bool:
        return entry is not None and entry.present

    def do_store(self) -> Steps:
        yield from self._access("STORE", lambda entry: entry is not None and entry.write, self._stored)

    def do_pin(self) -> Steps:
        yield from self._access("PIN", lambda entry: entry is not None and entry.write, self._pinned)

    def _stored(self, entry: Entry) -> None:
        entry.dirty = True
        self._written(entry.page)

    def _stored_stale(self, page: int) -> None:
        self._written(page)
        if not self.m.frames[page].dirty:
            self.m.log.append("write_lost")

    def _written(self, page: int) -> None:
        frame = self.m.frames[page]
        if frame.kind == "anon" and self.m.mapcount(page) > 1:
            self.m.log.append("shared_copy_written")
        if self.m.stable and frame.writeback:
            self.m.log.append("unstable_write")
        if frame.device is not None:
            self.m.log.append("protected_written")
        if frame.kind == "ksm":
            self.m.log.append("merged_written")
        self._fill(frame)

    def _fill(self, frame: Frame) -> None:
        first = self.m.contents + 1 + 2 * self.number
        if self.m.contents:
            frame.value = first + 1 if frame.value == first else first

    def _pinned(self, entry: Entry) -> None:
        self.held = entry.page
        self.m.frames[entry.page].refs += 1
        self.m.frames[entry.page].pins += 1

    def do_dma(self) -> Steps:
        yield "DMA"
        if self.held is not None:
            self._written(self.held)

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
            if not m.spaces[child]:
                m.areas[child] = self.shared
            if not self.shared and not m.areas[child]:
                found = min((p for p in self.table if p > done and p not in m.spaces[child]), default=None)
            if found is None:
                m.flush(self.mm)
                return
            if self.table[found].slot is not None:
                done = found
                m.spaces[child][found] = Entry(-1, slot=self.table[found].slot)
                continue
            if self.table[found].exclusive:
                frame = m.frames[self.table[found].page]
                if frame.owner is None:
                    frame.device = None
                    self.table[found] = Entry(self.table[found].page, m.mapcount(self.table[found].page) == 1)
                continue
            frame = m.frames[self.table[found].page]
            asks = m.design in ("attachment", "page_flag") and m.paths == "all" and not self.table[found].moving
            if asks and frame.kind == "anon" and frame.device is not None:
                if frame.owner is None:
                    frame.device = None
                continue
            done = found
            if self.table[found].moving:
                self.table[found].was_writable = False
                m.spaces[child][found] = Entry(self.table[found].page, moving=True)
                continue
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
            m.flush(next(mm for mm, s in enumerate(m.spaces) if entry in s.values()), self.page)
            changed += 1
        yield "MKCLEAN_END"
        frame.dirty |= changed > 0
        yield "WRITEBACK_SET"
        frame.dirty, frame.writeback = False, True

    def do_writeback_end(self, page: int | None = None) -> Steps:
        page = self.page if page is None else page
        yield "WRITEBACK_END"
        frame = self.m.frames[page]
        frame.writeback = False
        frame.refs += self.m.pins
        yield "WRITEBACK_PUT"
        if self.m.pins:
            self.m.put(page)

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
            left = self.m.stale.get((self.mm, place))
            if name == "STORE" and left is not None and left[1]:
                self._stored_stale(left[0])
                return
            if not (yield from self._fault(place, entry, write=name != "LOAD")):
                self.m.refused += 1
                return

    def _fault(self, place: int, entry: Entry | None, *, write: bool = True) -> Faulting:
        if entry is None:
            return (yield from self._missing(place))
        if entry.slot is not None:
            return (yield from self._swap_in(place, write))
        if entry.moving:
            return (yield from self._await_migration(place, entry.page))
        if entry.exclusive:
            return (yield from self._exclusive(place, entry.page))
        return (yield from self._write_fault(place, entry.page))

    def _shared_copy(self, page: int) -> bool:
        return not self.shared and (self.m.frames[page].kind != "anon" or self.m.mapcount(page) > 1)

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

    def _await_migration(self, place: int, page: int) -> Faulting:
        m = self.m
        yield "MIGRATION_WAIT"
        entry = self.table.get(place)
        if entry is None or entry.page != page or not entry.moving:
            return True
        if m.moves_pinned:
            m.frames[page].refs += 1
        yield "WAIT_ON_LOCKED"
        if m.frames[page].owner is not None:
            yield "wait", page
        yield "MIGRATION_PUT"
        if m.moves_pinned:
            m.put(page)
        return True

    def _exclusive(self, place: int, page: int) -> Faulting:
        m = self.m
        yield "EXCLUSIVE_FAULT"
        entry = self.table.get(place)
        if entry is None or entry.page != page:
            return True
        m.frames[page].refs += 1
        yield "lock", page
        yield "EXCLUSIVE_RESTORE"
        if m.frames[page].device is not None:
            yield from self._break(page)
            yield "EXCLUSIVE_RESTORE"
        entry = self.table.get(place)
        if entry is not None and entry.page == page and entry.exclusive:
            self.table[place] = Entry(page, m.mapcount(page) == 1)
        return (yield from self._unlocked(page))

    def _break(self, page: int) -> Steps:
        yield "PROTECTED_BREAK"
        yield "PROTECTED_BROKEN"
        self.m.frames[page].device = None

    def _swap_in(self, place: int, write: bool) -> Faulting:
        """do_swap_page()"""
        m = self.m
        yield "SWAP_FAULT"
        entry = self.table.get(place)
        if entry is None or entry.slot is None:
            return True
        slot = entry.slot
        page = m.cached(slot)
        if page is None:
            page = m.allocate(place)
            if page is None:
                return False
            frame = m.frames[page]
            frame.owner, frame.slot = self.number, slot
            frame.refs += 1
            yield "SWAP_READ"
            frame.value = m.slots.get(slot, 0)
            yield "unlock", page
            yield "SWAP_LOCK"
        else:
            m.frames[page].refs += 1
        yield "lock", page
        yield "SWAP_MAP"
        entry, frame = self.table.get(place), m.frames[page]
        if entry is not None and entry.slot is not None and entry.slot == frame.slot:
            alone = frame.kind == "anon" and frame.device is None and m.mapcount(page) + m.named(frame.slot) == 1
            allowed = write and alone
            self.table[place] = Entry(page, allowed, allowed)
            frame.refs += 1
            if allowed:
                m.free_swap(page)
        return (yield from self._unlocked(page))

    def _same(self, place: int, page: int) -> bool:
        entry = self.table.get(place)
        return entry is not None and entry.page == page and entry.present and not entry.write

    def _sole(self, page: int) -> bool:
        return (
            self.m.frames[page].kind == "anon"
            and self.m.mapcount(page) + self.m.named(self.m.frames[page].slot) == 1
            and (not self.m.by_count or self.m.frames[page].refs == 1 + self._leaves(page))
        )

    def _leaves(self, page: int) -> bool:
        """Whether the page leaves the swap cache before its references are counted."""
        frame = self.m.frames[page]
        return self.m.drops_swap and frame.slot is not None and not frame.writeback

    def _write_fault(self, place: int, page: int) -> Faulting:
        m = self.m
        yield "WP_PAGE"
        if not self._same(place, page):
            return True
        frame, sole = m.frames[page], self._sole(page)
        frame.refs += 1
        if frame.kind == "file" and self.shared:
            return (yield from self._mkwrite(place, page))
        if frame.device is not None or (frame.kind == "ksm" and m.design == "attachment"):
            return (yield from self._anon_after_lock(place, page))
        if frame.kind in ("file", "ksm") or (m.by_count and (not sole or frame.owner is not None)):
            return (yield from self._copy(place, page))
        if frame.owner is None:
            frame.owner = self.number
        else:
            return (yield from self._anon_after_lock(place, page))
        return (yield from self._decided(place, page, sole))

    def _anon_after_lock(self, place: int, page: int) -> Faulting:
        yield "lock", page
        while True:
            yield "WP_ANON_LOCKED"
            if not self._same(place, page):
                return (yield from self._unlocked(page))
            if self.m.frames[page].device is None:
                return (yield from self._decided(place, page, self._sole(page)))
            outcome = yield from self._meet(page)
            if outcome is not None:
                return outcome

    def _decided(self, place: int, page: int, sole: bool) -> Faulting:
        if sole:
            self.table[place] = Entry(page, True, True)
            self.m.free_swap(page)
            return (yield from self._unlocked(page))
        yield "unlock", page
        return (yield from self._copy(place, page))

    def _meet(self, page: int) -> Generator[Label, None, bool | None]:
        """Meet a protected page with its lock held; None: it was taken back, and the lock is still held."""
        m = self.m
        yield "PROTECTED_FAULT"
        if m.policy == "break":
            yield from self._break(page)
            return None
        yield "unlock", page
        if m.policy == "refuse":
            yield "PROTECTED_REFUSED"
            m.put(page)
            return False
        yield "PROTECTED_SLEEP"
        m.put(page)
        yield "PROTECTED_RESUME"
        return True

    def _unlocked(self, page: int) -> Faulting:
        yield "unlock", page
        yield "FAULT_PUT"
        self.m.put(page)
        return True

    def _mkwrite(self, place: int, page: int) -> Faulting:
        m, frame = self.m, self.m.frames[page]
        yield "lock", page
        while True:
            yield "MKWRITE_CHECK"
            if frame.device is None:
                break
            outcome = yield from self._meet(page)
            if outcome is not None:
                return outcome
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
        m.frames[copy].value = m.frames[page].value
        yield "WP_COPY_INSTALL"
        if self._same(place, page):
            m.flush(self.mm, place)
            self.table[place] = Entry(copy, True, True)
            if m.frames[page].owner is None:
                m.free_swap(page)
            m.put(page)
        else:
            m.put(copy)
        yield "FAULT_PUT"
        m.put(page)
        return True
