"""Series: gauges and counters of a window, column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.chunks import What
from app.nodes import SeriesPart
from app.windows.columns import Columns, Steps, areas, extremes
from app.windows.tree import Piece, Run
from engine.errors import Damaged
from engine.events import Batch, Kind
from engine.nodes import COUNTERS, GAUGES
from engine.raster import bin_instants, counted, overlaps, shared

Words = NDArray[np.int64]
UNSEEN = np.iinfo(np.int64).max
Gap = tuple[int, int, str]
QUEUED, WOKEN, LEFT, WALK_ENDED = (
    int(k) for k in (Kind.waiter_queued, Kind.waiter_woken, Kind.waiter_left, Kind.walk_ended)
)
SWAPPED, RESTORED = int(Kind.mapping_swapped), int(Kind.mapping_restored)


class Series:
    """What has been gathered so far of a window."""

    def __init__(self, columns: Columns) -> None:
        px = columns.px
        self.columns = columns
        self.low = np.full((len(GAUGES), px), UNSEEN, np.int64)
        self.high = np.full((len(GAUGES), px), -1, np.int64)
        self.area = np.zeros((len(GAUGES), px), np.int64)
        self.sums = np.zeros((len(COUNTERS), px), np.int64)
        self.covered = np.zeros(px, np.int64)
        self.level = -1
        self.gaps: list[Gap] = []

    def gather(self, run: Run) -> None:
        """Add all of the run that the window holds."""
        pieces = run.pieces(self.columns.t0, self.columns.t1, self.columns.width, cells=False)
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
        instants = [bin_instants(part.t0, part.t1, part.bins) for part in parts]
        first, last = (np.concatenate(side) for side in zip(*instants, strict=True))
        met = overlaps(first, last, self.columns.edges)
        if not len(met.columns):
            return
        low, high, area, sums = (
            np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("low", "high", "area", "sums")
        )
        here = met.columns
        self.low[:, here] = np.minimum(self.low[:, here], np.minimum.reduceat(low[:, met.bins], met.starts, axis=1))
        self.high[:, here] = np.maximum(self.high[:, here], np.maximum.reduceat(high[:, met.bins], met.starts, axis=1))
        cuts = np.append(first, parts[-1].t1)
        self.area += shared(self.columns.edges, cuts, area).astype(np.int64)
        self.sums += counted(self.columns.edges, cuts, sums).astype(np.int64)
        self.covered += self.columns.covered(parts[0].t0, parts[-1].t1)

    # --- from events ------------------------------------------------------------------------------------------------

    def _add_events(self, run: Run, pieces: Sequence[Piece], instead: str = "") -> None:
        """Add consecutive chunks exactly. A damaged one is told by its summary, if it is there, and named as a gap."""
        leaves = run.series(0, pieces[0].number, pieces[-1].number)
        for piece in pieces:
            leaf = leaves[piece.number]
            before = leaf.before if isinstance(leaf, SeriesPart) else _before(run, piece.number)
            try:
                what = run.what(piece.number)
            except Damaged as error:
                self.gaps.append((piece.t0, piece.t1, str(error)))
                if isinstance(leaf, SeriesPart):
                    self._add_parts([leaf])
                    self.level = max(self.level, 0)
                continue
            if instead:
                self.gaps.append((piece.t0, piece.t1, instead))
            self._count(what)
            for which, steps in _gauges(what, piece, before, leaf):
                self._add_steps(which, steps)
            self.covered += self.columns.covered(piece.t0, piece.t1)

    def _add_steps(self, which: int, steps: Steps) -> None:
        here, low, high = extremes(self.columns, steps)
        np.minimum(self.low[which, here], low, out=self.low[which, here])
        np.maximum(self.high[which, here], high, out=self.high[which, here])
        self.area[which] += areas(self.columns, steps)

    def _count(self, what: What | Batch) -> None:
        edges = self.columns.edges
        self.sums[COUNTERS.index("events")] += np.diff(np.searchsorted(what.time, edges, "left"))
        for name, kind in (("swaps_in", SWAPPED), ("swaps_out", RESTORED), ("wakes", WALK_ENDED)):
            at = np.searchsorted(what.time[what.kind == kind], edges, "left")
            self.sums[COUNTERS.index(name)] += np.diff(at)
        ended = np.flatnonzero(what.kind == WALK_ENDED)
        if not len(ended):
            return
        a, b = what.a[ended], what.b[ended]
        walked, matched, woken = b & 0x1FFFFF, b >> 21 & 0x1FFFFF, b >> 42 & 0x1FFFFF
        at = np.searchsorted(what.time[ended], edges, "left")
        strangers = walked - matched - (a >> 40 & 0xFFFFF)
        for name, value in (("walked", walked), ("matched", matched), ("woken", woken), ("strangers", strangers)):
            total = np.concatenate(([0], np.cumsum(value)))
            self.sums[COUNTERS.index(name)] += np.diff(total[at])

    # --- as an answer -----------------------------------------------------------------------------------------------

    def answer(self) -> dict[str, Any]:
        """Return the series as JSON has them: None where the run has not come, or is damaged."""
        seen = self.high[0] >= 0
        unseen = np.flatnonzero(~seen)
        lasting = self.covered > 0
        # a column that holds but an instant of the run has no mean of its own: the highest value stands for it
        answer: dict[str, Any] = {}
        for which, name in enumerate(GAUGES):
            if name != "queues_in_use":
                mean = np.where(lasting, _divided(self.area[which], self.covered, lasting), self.high[which])
                low, high = self.low[which], self.high[which]
                unknown = np.flatnonzero(high < 0)
                answer[name] = {"min": _told(low, unknown), "max": _told(high, unknown), "mean": _told(mean, unknown)}
        in_use = self.area[GAUGES.index("queues_in_use")]
        mean = _divided(self.area[GAUGES.index("waiters")], in_use, in_use > 0)
        answer["queue_mean"] = {"mean": _told(mean, np.flatnonzero(~seen | (in_use <= 0)))}
        for which, name in enumerate(COUNTERS):
            answer[name] = {"sum": _told(self.sums[which], unseen)}
        return answer


def _divided(area: Words, by: Words, where: NDArray[np.bool_]) -> NDArray[np.float64]:
    quotient: NDArray[np.float64] = np.divide(area, by, out=np.zeros(len(area)), where=where)
    return quotient.round(4)


def _told(values: NDArray[Any], unseen: NDArray[np.intp]) -> list[Any]:
    told: list[Any] = values.tolist()
    for at in unseen.tolist():
        told[at] = None
    return told


def _before(run: Run, number: int) -> Words | None:
    """Return the gauges before a chunk from the leaf of the chunk before, None if that does not tell either."""
    if number == 0:
        return np.zeros(len(GAUGES), np.int64)
    leaf = run.series(0, number - 1, number - 1)[number - 1]
    return leaf.after if isinstance(leaf, SeriesPart) else None


def _gauges(
    what: What | Batch, piece: Piece, before: Words | None, leaf: SeriesPart | Damaged
) -> Iterator[tuple[int, Steps]]:
    """Yield each gauge that is known over a chunk."""
    if before is None:
        return
    waits = np.flatnonzero((what.kind == QUEUED) | (what.kind == WOKEN) | (what.kind == LEFT))
    change = np.where(what.kind[waits] == QUEUED, 1, -1)
    yield GAUGES.index("waiters"), _summed(what, piece, int(before[0]), waits, change)
    length = what.b[waits] & 0xFFFFFFFF
    turns = np.flatnonzero(length == (change > 0))  # to length 1 by queueing, to 0 by leaving
    yield GAUGES.index("queues_in_use"), _summed(what, piece, int(before[2]), waits[turns], change[turns])
    swaps = np.flatnonzero((what.kind == SWAPPED) | (what.kind == RESTORED))
    change = np.where(what.kind[swaps] == SWAPPED, 1, -1)
    yield GAUGES.index("pages_swapped"), _summed(what, piece, int(before[3]), swaps, change)
    if isinstance(leaf, SeriesPart):
        times = what.time[leaf.steps_at]
        yield GAUGES.index("queue_longest"), Steps(piece.t0, piece.t1, int(before[1]), times, leaf.steps_to)


def _summed(what: What | Batch, piece: Piece, before: int, at: NDArray[np.intp], change: Words) -> Steps:
    return Steps(piece.t0, piece.t1, before, what.time[at], before + np.cumsum(change))
