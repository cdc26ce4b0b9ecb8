"""Series: gauges and counters of a window, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.chunks import What
from app.nodes import SeriesPart
from app.windows.columns import Columns, Steps, areas, extremes
from app.windows.states import swapped_changes
from app.windows.tables import Counted
from app.windows.tables import counted as counted_of
from app.windows.tree import Piece, Run
from engine.errors import Damaged
from engine.events import ENTRY, WALK, Batch, Kind
from engine.nodes import COUNTERS, GAUGES, Names
from engine.raster import counted, overlaps, shared

Words = NDArray[np.int64]
UNSEEN = np.iinfo(np.int64).max
Gap = tuple[int, int, str]
QUEUED, WOKEN, LEFT, WALK_ENDED = (
    int(k) for k in (Kind.waiter_queued, Kind.waiter_woken, Kind.waiter_left, Kind.walk_ended)
)
HAPPENED = ("events", "swaps_in", "swaps_out", "wakes")
WALKED = ("walked", "matched", "woken", "strangers")
SWAPPED, RESTORED = int(Kind.mapping_swapped), int(Kind.mapping_restored)
_length, _walks_of = ENTRY.reader("length"), [WALK.reader(name) for name in WALKED]


class Exact(NamedTuple):
    """A chunk's series, event by event."""

    t0: int
    t1: int
    gauges: tuple[Steps | None, ...]
    """None where one is not known."""
    times: tuple[Words, ...]
    """When the things of HAPPENED happened."""
    walks: Words
    """What each of the wakes counts for WALKED, shape (4, wakes)."""
    more: tuple[Counted, ...]
    """What happened for the further counters of a run with page tables."""


class Series:
    """What has been gathered so far of a window."""

    def __init__(self, columns: Columns, more: Names) -> None:
        """more: gauges and counters of the run besides those of every run."""
        px = columns.px
        self.columns = columns
        self.gauges, self.counters = GAUGES + more.gauges, COUNTERS + more.counters
        self.low = np.full((len(self.gauges), px), UNSEEN, np.int64)
        self.high = np.full((len(self.gauges), px), -1, np.int64)
        self.area = np.zeros((len(self.gauges), px), np.int64)
        self.sums = np.zeros((len(self.counters), px), np.int64)
        self.covered = np.zeros(px, np.int64)
        self.uncounted = np.zeros((len(self.counters), px), np.bool_)
        """Columns that met a summary which was stored without the counter."""
        self.level = -1
        self.gaps: list[Gap] = []

    def gather(self, run: Run, *, exact: bool = False) -> None:
        """Add all of the run that the window holds. exact: nothing of a bin that sticks out of the window."""
        t0, t1 = self.columns.t0, self.columns.t1
        pieces = run.whole_pieces(t0, t1) if exact else run.pieces(t0, t1, self.columns.width, cells=False)
        for level, group in groupby(pieces, lambda piece: piece.level):
            if level < 0:
                self._add_events(run, list(group))
            else:
                self._add_nodes(run, list(group))

    # --- from summaries ---------------------------------------------------------------------------------------------

    def _add_nodes(self, run: Run, pieces: Sequence[Piece]) -> None:
        """Add consecutive nodes of one level; what is damaged is told by what lies below, or is a gap."""
        found = run.series(pieces[0].level, pieces[0].number, pieces[-1].number)
        for good, group in groupby(pieces, lambda piece: isinstance(found[piece.number], SeriesPart)):
            some = list(group)
            if good:
                self._add_parts([found[piece.number] for piece in some])  # type: ignore[misc]
                self.level = max(self.level, some[0].level)
                continue
            for piece in some:
                below = piece.children(run.index)
                if piece.level > 0:
                    self._add_nodes(run, below)
                else:
                    self._add_events(run, below, instead=str(found[piece.number]))

    def _add_parts(self, parts: Sequence[SeriesPart]) -> None:
        columns = self.columns
        bins = [part.extremes(columns.width) for part in parts]
        first, last, low, high = (np.concatenate(side, axis=-1) for side in zip(*bins, strict=True))
        met = overlaps(first, last, columns.edges)
        if not len(met.columns):
            return
        here = slice(int(met.columns[0]), int(met.columns[-1]) + 1)  # parts leave no gap: all columns between are met
        for mine, values, more in ((self.low, low, np.minimum), (self.high, high, np.maximum)):
            more(mine[:, here], more.reduceat(values.take(met.bins, 1), met.starts, axis=1), out=mine[:, here])
        for part in parts:
            start, stop = columns.met(part.t0, part.t1)
            edges = columns.edges[start : stop + 1]
            self.area[:, start:stop] += shared(edges, part.cuts, part.areas).astype(np.int64)
            self.sums[:, start:stop] += counted(edges, part.cuts, part.counts).astype(np.int64)
            for name in part.lacks.intersection(COUNTERS):
                self.uncounted[COUNTERS.index(name), start:stop] = True
        self.covered += columns.covered(parts[0].t0, parts[-1].t1)

    # --- from events ------------------------------------------------------------------------------------------------

    def _add_events(self, run: Run, pieces: Sequence[Piece], instead: str = "") -> None:
        """Add consecutive chunks exactly. A damaged one is told by its summary, if it is there, and named as a gap."""
        first, last = pieces[0].number, pieces[-1].number
        leaves = run.series(0, first, last)
        run.ahead(first, last, whole=False)
        whole: list[Exact] = []
        for piece in pieces:
            leaf = leaves[piece.number]
            try:
                exact = _exact(run, piece, leaf, self.gauges, self.counters)
            except Damaged as error:
                self.gaps.append((piece.t0, piece.t1, str(error)))
                self._add_exact(whole)
                whole = []
                if isinstance(leaf, SeriesPart):
                    self._add_parts([leaf])
                    self.level = max(self.level, 0)
                continue
            if instead:
                self.gaps.append((piece.t0, piece.t1, instead))
            whole.append(exact)
        self._add_exact(whole)

    def _add_exact(self, chunks: Sequence[Exact]) -> None:
        """Add consecutive chunks as if they were one."""
        if not chunks:
            return
        for which in range(len(self.gauges)):
            for known, group in groupby((chunk.gauges[which] for chunk in chunks), lambda steps: steps is not None):
                if known:
                    self._add_steps(which, _joined(list(group)))  # type: ignore[arg-type]
        edges = self.columns.edges
        for which, name in enumerate(HAPPENED):
            at = np.searchsorted(np.concatenate([chunk.times[which] for chunk in chunks]), edges, "left")
            self.sums[COUNTERS.index(name)] += np.diff(at)
        walks = np.concatenate([chunk.walks for chunk in chunks], axis=1)
        total = np.zeros((len(WALKED), walks.shape[1] + 1), np.int64)
        np.cumsum(walks, axis=1, out=total[:, 1:])
        self.sums[[COUNTERS.index(name) for name in WALKED]] += np.diff(total[:, at])  # at: of the wakes
        for which in range(len(COUNTERS), len(self.counters)):
            parts = [chunk.more[which - len(COUNTERS)] for chunk in chunks]
            self.sums[which] += Counted(*map(np.concatenate, zip(*parts, strict=True))).sums(edges)
        self.covered += self.columns.covered(chunks[0].t0, chunks[-1].t1)

    def _add_steps(self, which: int, steps: Steps) -> None:
        here, low, high = extremes(self.columns, steps)
        np.minimum(self.low[which, here], low, out=self.low[which, here])
        np.maximum(self.high[which, here], high, out=self.high[which, here])
        self.area[which] += areas(self.columns, steps)

    # --- as an answer -----------------------------------------------------------------------------------------------

    def answer(self) -> dict[str, Any]:
        """Return the series as JSON has them: None where the run has not come, or is damaged."""
        seen = self.high[0] >= 0
        lasting = self.covered > 0
        # a column that holds but an instant of the run has no mean of its own: the highest value stands for it
        answer: dict[str, Any] = {}
        for which, name in enumerate(self.gauges):
            if name != "queues_in_use":
                mean = np.where(lasting, _divided(self.area[which], self.covered, lasting), self.high[which])
                low, high = self.low[which], self.high[which]
                unknown = np.flatnonzero(high < 0)
                answer[name] = {
                    "min": _with_gaps(low, unknown),
                    "max": _with_gaps(high, unknown),
                    "mean": _with_gaps(mean, unknown),
                }
        in_use = self.area[GAUGES.index("queues_in_use")]
        mean = _divided(self.area[GAUGES.index("waiters")], in_use, in_use > 0)
        answer["queue_mean"] = {"mean": _with_gaps(mean, np.flatnonzero(~seen | (in_use <= 0)))}
        for which, name in enumerate(self.counters):
            answer[name] = {"sum": _with_gaps(self.sums[which], np.flatnonzero(~seen | self.uncounted[which]))}
        return answer


def _divided(area: Words, by: Words, where: NDArray[np.bool_]) -> NDArray[np.float64]:
    quotient: NDArray[np.float64] = np.divide(area, by, out=np.zeros(len(area)), where=where)
    return quotient.round(4)


def _with_gaps(values: NDArray[Any], unseen: NDArray[np.intp]) -> list[Any]:
    numbers: list[Any] = values.tolist()
    for at in unseen.tolist():
        numbers[at] = None
    return numbers


def _before(run: Run, number: int, gauges: int) -> Words | None:
    """Return the gauges before a chunk from the leaf of the chunk before, None if that does not tell either."""
    if number == 0:
        return np.zeros(gauges, np.int64)
    leaf = run.series(0, number - 1, number - 1)[number - 1]
    return leaf.after if isinstance(leaf, SeriesPart) else None


def _exact(
    run: Run, piece: Piece, leaf: SeriesPart | Damaged, gauges: tuple[str, ...], counters: tuple[str, ...]
) -> Exact:
    """Return a chunk's series as its events tell them. Raises Damaged."""
    found: Exact | None = run.kept("exact", piece.number)
    if found is None:
        what = run.what(piece.number)
        before = leaf.before if isinstance(leaf, SeriesPart) else _before(run, piece.number, len(gauges))
        times = tuple(what.time[what.kind == kind] for kind in (SWAPPED, RESTORED, WALK_ENDED))
        steps = _gauges(run, what, piece, before, leaf, gauges)
        more = tuple(counted_of(what, counters[len(COUNTERS) :]))
        found = Exact(piece.t0, piece.t1, steps, (what.time, *times), _walks(what), more)
        if isinstance(leaf, SeriesPart):
            run.keep("exact", piece.number, found, 24 * len(what.time))
    return found


def _walks(what: What | Batch) -> Words:
    ended = np.flatnonzero(what.kind == WALK_ENDED)
    a, b = what.a[ended], what.b[ended]
    return np.stack([read(a, b) for read in _walks_of])


def _gauges(
    run: Run,
    what: What | Batch,
    piece: Piece,
    before: Words | None,
    leaf: SeriesPart | Damaged,
    gauges: tuple[str, ...],
) -> tuple[Steps | None, ...]:
    """Return each gauge over a chunk; None where it is not known."""
    if before is None:
        return (None,) * len(gauges)
    begun = dict(zip(gauges, before.tolist(), strict=True))
    waits = np.flatnonzero((what.kind == QUEUED) | (what.kind == WOKEN) | (what.kind == LEFT))
    change = np.where(what.kind[waits] == QUEUED, 1, -1)
    length = _length(what.a[waits], what.b[waits])
    turns = np.flatnonzero(length == (change > 0))  # to length 1 by queueing, to 0 by leaving
    found: dict[str, Steps | None] = dict.fromkeys(gauges) | {
        "waiters": _summed(what, piece, begun["waiters"], waits, change),
        "queue_longest": None,
        "queues_in_use": _summed(what, piece, begun["queues_in_use"], waits[turns], change[turns]),
        "pages_swapped": _swapped(run, what, piece, begun["pages_swapped"], leaf),
    }
    if isinstance(leaf, SeriesPart):
        for name, (at, to) in leaf.changes.items():
            if name in found:
                found[name] = Steps(piece.t0, piece.t1, begun[name], what.time[at], to)
    return tuple(found[name] for name in gauges)


def _swapped(run: Run, what: What | Batch, piece: Piece, before: int, leaf: SeriesPart | Damaged) -> Steps | None:
    """Return pages_swapped as the kinds of the events tell it. Where a plain store may have ended a swap unseen, it is
    worked out page by page."""
    swaps = np.flatnonzero((what.kind == SWAPPED) | (what.kind == RESTORED))
    change = np.where(what.kind[swaps] == SWAPPED, 1, -1)
    if isinstance(leaf, SeriesPart):
        after = int(leaf.after[GAUGES.index("pages_swapped")])
        if not leaf.dated or before + change.sum() == after:
            return _summed(what, piece, before, swaps, change)
    try:
        at, more = swapped_changes(run, run.cast(), piece.number)
    except Damaged:
        return None
    return Steps(piece.t0, piece.t1, before, what.time[at], before + more)


def _summed(what: What | Batch, piece: Piece, before: int, at: NDArray[np.intp], change: Words) -> Steps:
    return Steps(piece.t0, piece.t1, before, what.time[at], before + np.cumsum(change))


def _joined(parts: Sequence[Steps]) -> Steps:
    """Return the steps of consecutive stretches as one."""
    times, values = np.concatenate([part.times for part in parts]), np.concatenate([part.values for part in parts])
    return Steps(parts[0].start, parts[-1].stop, parts[0].before, times, values)
