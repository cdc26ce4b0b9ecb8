"""ksmd for the second implementation of page tables: objects and generators, from mm/ksm.c and not from the engine."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from tests.page_tables import Entry, Label, Machine, Steps
from tests.page_tasks import Task

Place = tuple[int, int]
"""An address space, and a virtual page of it."""
Trying = Generator[Label, None, bool]


@dataclass(eq=False)
class Node:
    """A stable node."""

    page: int
    value: int
    items: set[Place]


@dataclass
class Trees:
    """What ksmd remembers from one scan to the next."""

    nodes: list[Node] = field(default_factory=list)
    checksums: dict[Place, int] = field(default_factory=dict)
    waiting: list[Place] = field(default_factory=list)
    at: int = 0
    scans: list[tuple[int, int]] = field(default_factory=list)
    merged: int = 0


class Ksmd(Task):
    """The task that scans."""

    def __init__(self, m: Machine, number: int, program: list[str]) -> None:
        self.trees = Trees()
        super().__init__(m, number, 0, program)

    def _entry(self, place: Place) -> Entry | None:
        return self.m.spaces[place[0]].get(place[1])

    def do_ksm_scan(self, pages: int) -> Steps:
        trees, looked = self.trees, 0
        while True:
            yield "KSM_SCAN"
            places = [(mm, virtual) for mm in range(len(self.m.spaces)) for virtual in range(self.virtual)]
            place = entry = None
            while looked < pages and trees.at < len(places) and entry is None:
                place = places[trees.at]
                trees.at += 1
                entry = self._entry(place)
                if entry is not None and not entry.present:
                    entry = None
                if entry is None:
                    self._forget(place)
                    if self._node_of(place):
                        break
            if entry is not None and place is not None:
                looked += 1
                self.m.frames[entry.page].refs += 1
                yield from self._compare_and_merge(place, entry.page)
                yield "KSM_NEXT"
                self.m.put(entry.page)
            elif place is not None and self._node_of(place):
                yield from self._leave(place)
            else:
                if looked < pages:
                    trees.waiting.clear()
                    trees.at = 0
                    used = [node for node in trees.nodes if node.items]
                    trees.scans.append((len(used), sum(len(node.items) - 1 for node in used)))
                return

    def _forget(self, place: Place) -> None:
        if place in self.trees.waiting:
            self.trees.waiting.remove(place)

    def _node_of(self, place: Place) -> Node | None:
        return next((node for node in self.trees.nodes if place in node.items), None)

    def _get(self, node: Node) -> Trying:
        """get_ksm_page(); a node whose page has another mapping is dropped."""
        frames = self.m.frames
        yield "KSM_GET"
        if frames[node.page].node is node:
            yield "KSM_PIN"
            if frames[node.page].refs:
                frames[node.page].refs += 1
                yield "KSM_GOT"
                if frames[node.page].node is node:
                    return True
                self.m.put(node.page)
        self.trees.nodes.remove(node)
        return False

    def _leave(self, place: Place) -> Steps:
        yield "KSM_LEAVE"
        self._forget(place)
        node = self._node_of(place)
        if node is not None and (yield from self._get(node)):
            yield "KSM_LEFT"
            node.items.discard(place)
            self.m.put(node.page)
        elif node is not None:
            yield "KSM_LEFT"
        yield "KSM_DECIDE"

    def _compare_and_merge(self, place: Place, page: int) -> Steps:
        m, trees = self.m, self.trees
        yield "KSM_CHECK"
        frame, found = m.frames[page], None
        if isinstance(frame.node, Node):
            node = self._node_of(place)
            if frame.node is node:
                return
            m.frames[page].refs += 1
            found = page
        while found is None:
            yield "KSM_SEARCH"
            node = next((node for node in trees.nodes if node.value == m.frames[page].value), None)
            if node is None:
                break
            if (yield from self._get(node)):
                found = node.page
            yield "KSM_FOUND"
        yield from self._leave(place)
        if found is not None:
            merged = yield from self._merge(place, page, found)
            yield "KSM_APPEND"
            if merged:
                yield "lock", found
                yield "KSM_APPEND_LOCKED"
                into = m.frames[found].node
                if isinstance(into, Node):
                    into.items.add(place)
                yield "unlock", found
            yield "KSM_APPENDED"
            m.put(found)
            return
        yield "KSM_CHECKSUM"
        before, trees.checksums[place] = trees.checksums.get(place, -1), m.frames[page].value
        if before != m.frames[page].value:
            return
        yield "KSM_UNSTABLE"
        for other in sorted(trees.waiting):
            entry = self._entry(other)
            if entry is not None and entry.present and m.frames[entry.page].value == m.frames[page].value:
                if entry.page != page:
                    m.frames[entry.page].refs += 1
                    yield from self._merge_two(place, page, other, entry.page)
                return
        trees.waiting.append(place)

    def _merge_two(self, place: Place, page: int, other: Place, second: int) -> Steps:
        m = self.m
        yield "KSM_TWO"
        became = yield from self._merge(place, page, None)
        yield "KSM_TWO_FIRST"
        if became:
            merged = yield from self._merge(other, second, page)
            yield "KSM_TWO_SECOND"
            if merged:
                yield "lock", page
                yield "KSM_INSERT"
                node = Node(page, m.frames[page].value, {place, other})
                self.trees.nodes.append(node)
                self._forget(other)
                m.frames[page].node = node
                yield "unlock", page
            else:
                yield from self._break(place, page)
        yield "KSM_APPENDED"
        m.put(second)

    def _break(self, place: Place, page: int) -> Steps:  # type: ignore[override]
        m = self.m
        yield "KSM_BREAK"
        entry = self._entry(place)
        if m.frames[page].kind != "ksm" or entry is None or entry.page != page or (entry.write or entry.moving):
            return
        copy = m.allocate(place[1])
        if copy is None:
            return
        m.frames[copy].value = m.frames[page].value
        m.frames[page].refs += 1
        yield "KSM_BROKEN"
        entry = self._entry(place)
        if entry is not None and entry.page == page and not entry.write:
            m.flush(*place)
            m.spaces[place[0]][place[1]] = Entry(copy, True, True)
            if m.frames[page].owner is None:
                m.free_swap(page)
            m.put(page)
        else:
            m.put(copy)
        m.put(page)

    def _merge(self, place: Place, page: int, into: int | None) -> Trying:
        """try_to_merge_one_page()"""
        m, frame = self.m, self.m.frames[page]
        yield "KSM_MERGE"
        if page == into:
            return True
        told = m.design == "attachment" or m.paths == "all"
        if (told and frame.device is not None) or isinstance(frame.node, Node) or frame.owner is not None:
            return False
        frame.owner = self.number
        merged = yield from self._merge_locked(place, page, into)
        yield "unlock", page
        yield "KSM_MERGED"
        return merged

    def _merge_locked(self, place: Place, page: int, into: int | None) -> Trying:
        m, frame = self.m, self.m.frames[page]
        yield "KSM_WRITE_PROTECT"
        entry = self._entry(place)
        if entry is None or entry.page != page or not entry.present:
            return False
        if entry.write or entry.dirty:
            m.flush(*place)
            if frame.refs != m.mapcount(page) + 1 + (frame.slot is not None):
                return False
            frame.dirty |= entry.dirty
            entry.write = entry.dirty = False
        yield "KSM_COMPARE"
        if frame.device is not None:
            m.log.append("merged_under_device")
        if into is None:
            frame.kind, frame.node = "ksm", True
            return True
        if frame.value != m.frames[into].value:
            return False
        yield "KSM_REPLACE"
        entry = self._entry(place)
        if entry is None or entry.page != page or (entry.write or entry.dirty or entry.exclusive or entry.moving):
            return False
        m.flush(*place)
        m.spaces[place[0]][place[1]] = Entry(into)
        m.frames[into].refs += 1
        if not m.mapcount(page):
            m.free_swap(page)
        m.put(page)
        self.trees.merged += 1
        return True
