"""fold(): compute the state after a prefix of the log. The log is complete, so this is the engine's own state.

Plain Python over plain dicts: for inspectors, tests and exports of small parts. The worker's summaries
(engine.summaries.summary) fold at full speed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.events import ENTRY, NONE, Batch, Kind
from engine.page_state import MARK_SWAPPED, SEVERITY, Sight, page_after, severity_of


@dataclass
class Page:
    """One page, folded."""

    flags: int = 0
    mapping: int = 0
    saved_mapping: int | None = None
    """The mapping word saved in a page_wait while one is swapped in."""
    refcount: int | None = None
    """None until an event contains it."""
    waiters: int = 0
    marks: int = 0
    """Bits: MARK_SWAPPED, MARK_TRUNCATED of engine.page_state."""

    @property
    def severity(self) -> int:
        """The index in SEVERITY of what is shown of the page."""
        return int(severity_of(self.mapping, self.flags, self.waiters, self.marks))

    @property
    def sight(self) -> Sight:
        """What is shown of the page: its state, and whether tasks wait for it or its mapping is swapped."""
        return SEVERITY[self.severity]

    def add(self, kind: int, a: int, b: int) -> None:
        """Fold one event of this page."""
        self.mapping, self.flags, self.waiters, self.marks = page_after(
            kind, a, b, self.mapping, self.flags, self.waiters, self.marks
        )
        if not self.marks & MARK_SWAPPED:
            self.saved_mapping = None
        elif kind == Kind.mapping_swapped:
            self.saved_mapping = a
        elif kind == Kind.saved_mapping_cleared:
            self.saved_mapping = b
        if kind in (Kind.page_pinned, Kind.page_put):
            self.refcount = a


@dataclass
class Waiter:
    """One wait queue entry: the waiting task, the page and the page bit."""

    task: int
    page: int
    bit: int


@dataclass
class Folded:
    """Pages, tasks and queues after an event, by row; rows that no event has named are absent."""

    pages: dict[int, Page] = field(default_factory=dict)
    queues: dict[int, list[Waiter]] = field(default_factory=dict)
    """Queue number -> its waiters in order. Empty queues are absent."""
    waiting: dict[int, int] = field(default_factory=dict)
    """Task -> the queue it waits in."""
    finished: set[int] = field(default_factory=set)
    pages_at_start: Page = field(default_factory=Page)
    """The state of a page before any event names it."""

    def page(self, row: int) -> Page:
        """Return the page; create it in its state at the start if no event has named it yet."""
        if row not in self.pages:
            self.pages[row] = Page(**vars(self.pages_at_start))
        return self.pages[row]

    def _leave(self, task: int, queue: int) -> None:
        waiters = self.queues[queue]
        waiters[:] = [waiter for waiter in waiters if waiter.task != task]
        if not waiters:
            del self.queues[queue]
        del self.waiting[task]

    def add(self, kind: int, task: int, row: int, a: int, b: int) -> None:
        """Fold one event. Raises KeyError if the log is invalid (a waiter leaves a queue it never joined)."""
        if kind == Kind.task_finished:
            self.finished.add(task)
        if row == NONE:
            return
        self.page(row).add(kind, a, b)
        if kind == Kind.waiter_queued:
            self.queues.setdefault(a, []).append(Waiter(task, row, ENTRY.unpack(a, b).bit))
            self.waiting[task] = a
        elif kind in (Kind.waiter_woken, Kind.waiter_left):
            self._leave(task, a)


def fold(batch: Batch, state: Folded, stop: int | None = None) -> Folded:
    """Fold the batch's events (the first `stop` of them) into the state, and return it."""
    rows = zip(
        *(column[:stop].tolist() for column in (batch.kind, batch.task, batch.page, batch.a, batch.b)), strict=True
    )
    for row in rows:
        state.add(*row)
    return state
