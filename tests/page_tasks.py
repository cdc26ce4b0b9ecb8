"""Tasks of the second implementation that also protect pages for a device, and migrate them."""

from __future__ import annotations

from tests.page_faults import Faults
from tests.page_tables import Entry, Steps


class Task(Faults):
    """One task of a random program."""

    def do_protect(self) -> Steps:
        m, place = self.m, self.page
        if m.design == "exclusive_pte":
            yield from self._access("PROTECT", lambda entry: entry is not None and entry.write, self._found)
            if self.held is None:
                return
        else:
            while True:
                yield "PROTECT"
                entry = self.table.get(place)
                if (
                    entry is None
                    or entry.write
                    or entry.moving
                    or entry.slot is not None
                    or not self._shared_copy(entry.page)
                ):
                    break
                if not (yield from self._fault(place, entry)):
                    self.m.refused += 1
                    return
            if entry is not None and (entry.moving or entry.slot is not None):
                entry = None
            if entry is None and not self.shared:
                return
            self._found(entry or Entry(place))
        page = self.held
        assert page is not None
        frame = m.frames[page]
        yield "lock", page
        while True:
            yield "PROTECT_CHECK"
            lost = frame.device is not None or frame.kind == "ksm" or self._entry_lost(place, page)
            if lost or (m.design != "exclusive_pte" and frame.refs != self._known(page)):
                yield from self._let_go(page)
                return
            if not frame.writeback:
                break
            yield "wait", page
        while True:
            yield "PROTECT_WALK"
            entries = [e for s in m.spaces for e in s.values() if e.page == page]
            wanted = (lambda e: e.exclusive) if m.design == "exclusive_pte" else (lambda e: not (e.write or e.dirty))
            left = next((e for e in entries if not wanted(e)), None)
            if left is None:
                break
            if m.design == "exclusive_pte" and not left.write:
                yield from self._let_go(page)
                return
            frame.dirty |= left.dirty
            left.write = left.dirty = False
            left.exclusive = m.design == "exclusive_pte"
            m.flush(next(mm for mm, s in enumerate(m.spaces) if any(e is left for e in s.values())), place)
        yield "PROTECT_SET"
        if m.design != "exclusive_pte" and self._entry_lost(place, page):
            yield from self._let_go(page)
            return
        if m.design != "exclusive_pte" and frame.refs != self._known(page):
            yield from self._let_go(page)
            return
        frame.device = self.number
        yield "unlock", page
        yield "PROTECT_END"

    def _known(self, page: int) -> int:
        """References that the page may have: the device's, and those of entries, file and swap cache."""
        frame = self.m.frames[page]
        return 1 + self.m.mapcount(page) + 2 * (frame.kind == "file") + (frame.slot is not None)

    def _found(self, entry: Entry) -> None:
        self.held = entry.page
        self.m.frames[entry.page].refs += 1
        self.m.frames[entry.page].pins += 1

    def _let_go(self, page: int) -> Steps:
        yield "unlock", page
        yield "UNPROTECT_PUT"
        self.held = None
        self.m.frames[page].pins -= 1
        self.m.put(page)

    def do_device_write(self) -> Steps:
        yield "DEVICE_WRITE"
        if self.held is not None and self.m.frames[self.held].device == self.number:
            frame = self.m.frames[self.held]
            if frame.kind == "anon" and self.m.mapcount(self.held) > 1:
                self.m.log.append("shared_copy_written")
            if frame.kind == "ksm":
                self.m.log.append("merged_written")
            self._fill(frame)
            frame.dirty |= frame.slot is not None

    def do_unprotect(self) -> Steps:
        yield "UNPROTECT"
        if (page := self.held) is None:
            return
        yield "lock", page
        yield "UNPROTECT_CLEAR"
        if self.m.frames[page].device == self.number:
            self.m.frames[page].device = None
        yield from self._let_go(page)

    def _entry_lost(self, place: int, page: int) -> bool:
        entry = self.table.get(place)
        if self.shared:
            return False
        if entry is None or entry.page != page or entry.moving or entry.exclusive:
            return True
        return not entry.write and (self.m.design == "exclusive_pte" or self._shared_copy(page))

    def do_migrate(self) -> Steps:
        m, place = self.m, self.page
        yield "MIGRATE_ANON"
        entry = self.table.get(place)
        if entry is None or not entry.present or m.frames[entry.page].kind != "anon":
            return
        page, new = entry.page, m.allocate(place)
        if new is None:
            return
        frame, fresh = m.frames[page], m.frames[new]
        frame.refs += 1
        yield "MIGRATE_ANON_LOCK"
        yield "lock", page
        yield "MIGRATE_ANON_LOCKED"
        fresh.owner = self.number
        moved = False
        if frame.kind == "anon":
            while True:
                yield "MIGRATE_ANON_UNMAP"
                mm = next((mm for mm, s in enumerate(m.spaces) if self._plain(s.get(place), page)), None)
                if mm is None:
                    break
                left = m.spaces[mm][place]
                frame.dirty |= left.dirty
                left.moving, left.was_writable = True, left.write
                left.write = left.dirty = False
                m.flush(mm, place)
                m.put(page)
            yield "MIGRATE_ANON_MOVE"
            moved = not m.mapcount(page) and frame.refs == 1 + (frame.slot is not None)
            if moved:
                fresh.value, fresh.dirty = frame.value, frame.dirty
            if moved and frame.slot is not None:
                fresh.slot, frame.slot = frame.slot, None
                fresh.refs += 1
                m.put(page)
        while True:
            yield "MIGRATE_ANON_RESTORE"
            waiting = (s for s in m.spaces if place in s and s[place].page == page and s[place].moving)
            space = next(waiting, None)
            if space is None:
                break
            space[place] = Entry(new if moved else page, space[place].was_writable)
            m.frames[new if moved else page].refs += 1
        yield "MIGRATE_ANON_UNLOCK"
        yield "unlock", new
        yield "MIGRATE_ANON_OLD"
        yield "unlock", page
        yield "MIGRATE_ANON_PUT"
        m.put(page)
        m.put(new)
        yield "MIGRATED"

    @staticmethod
    def _plain(entry: Entry | None, page: int) -> bool:
        return entry is not None and entry.page == page and entry.present

    def do_reclaim(self, pages: int) -> Steps:
        """shrink_page_list()"""
        m = self.m
        for place in range(self.page, self.page + pages):
            yield "RECLAIM"
            entry = self.table.get(place) if place < self.virtual else None
            if place >= self.virtual:
                break
            frame = m.frames[entry.page] if entry is not None and entry.present else None
            if entry is not None and frame is not None and frame.kind == "anon" and frame.owner is None:
                frame.owner = self.number
                frame.refs += 1
                yield from self._reclaim_page(place, entry.page)
        else:
            yield "RECLAIM"
        while True:
            yield "RECLAIM_FLUSH"
            if not self._flush_batch(dirty=False):
                break
        while True:
            yield "RECLAIM_DONE"
            page = next((page for page, frame in enumerate(m.frames) if frame.freed_by == self.number), None)
            if page is None:
                return
            m.frames[page].freed_by = None
            m.put(page)

    def _flush_batch(self, *, dirty: bool) -> bool:
        left = self.m.stale.items()
        mm = min((at[0] for at, (_, was, by) in left if by == self.number and (was or not dirty)), default=None)
        if mm is not None:
            self.m.flush(mm)
        return mm is not None

    def _reclaim_page(self, place: int, page: int) -> Steps:
        m, frame = self.m, self.m.frames[page]
        yield "RECLAIM_SWAP"
        if frame.slot is None:
            used = {frame.slot for frame in m.frames} | {e.slot for s in m.spaces for e in s.values()}
            slot = next((n for n in range(self.virtual * len(m.spaces)) if n not in used), None)
            if slot is None:
                yield from self._keep(page)
                return
            frame.slot = slot
            frame.refs += 1
            frame.dirty = True
        while True:
            yield "RECLAIM_UNMAP"
            mm = next((mm for mm, s in enumerate(m.spaces) if self._plain(s.get(place), page)), None)
            if mm is None:
                break
            gone = m.spaces[mm][place]
            if m.running[mm] - (mm == self.mm):
                m.stale[mm, place] = page, gone.dirty, self.number
            else:
                m.flush(mm, place)
            frame.dirty |= gone.dirty
            m.spaces[mm][place] = Entry(-1, slot=frame.slot)
            m.put(page)
        while True:
            yield "RECLAIM_WRITE"
            if m.mapcount(page) or frame.writeback:
                yield from self._keep(page)
                return
            if not (frame.dirty and self._flush_batch(dirty=True)):
                break
        if frame.dirty:
            if frame.refs != 2:
                yield from self._keep(page)
                return
            frame.dirty, frame.writeback = False, True
            yield "unlock", page
            yield "RECLAIM_IO"
            assert frame.slot is not None
            m.slots[frame.slot] = frame.value
            yield "RECLAIM_WRITTEN"
            yield from self.do_writeback_end(page)
            yield "RECLAIM_AGAIN"
            if frame.owner is not None:
                yield "RECLAIM_PUT"
                m.put(page)
                return
            frame.owner = self.number
        yield "RECLAIM_FREE"
        if m.mapcount(page) or frame.refs != 2 or m.frames[page].slot is None or m.busy(page):
            yield from self._keep(page)
            return
        m.uncache(page)
        frame.freed_by = self.number
        yield "unlock", page
        yield "RECLAIM_FREED"

    def _keep(self, page: int) -> Steps:
        yield "RECLAIM_KEEP"
        yield "unlock", page
        yield "RECLAIM_PUT"
        self.m.put(page)
