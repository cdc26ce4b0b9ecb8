"""Heat map, lanes and one chosen queue of a window, column by column."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.nodes import CellsPart
from app.windows.columns import Columns, Steps, areas, extremes, filled, painted
from app.windows.states import lengths_before, pages_before, severities_after
from app.windows.tree import Piece, Run
from engine.cast import Cast
from engine.errors import Damaged
from engine.events import ENTRY, Kind
from engine.nodes import Cells, heat_fold, heat_rows
from engine.page_state import SHOWN_STATES, SHOWN_WAITS, severity_at
from engine.raster import bin_instants, column_of, overlaps

Words = NDArray[np.int64]
Gap = tuple[int, int, str]
UNKNOWN = 255
_length = ENTRY.reader("length")
_DEV_INO = re.compile(r" (\d+:\d+) ([0-9a-f]+)")
QUEUES_AT_ONCE = 1024
"""Queues painted at a time: each needs a word a column."""


def packed(values: NDArray[Any]) -> dict[str, str]:
    """Return an array of rows and columns as Plotly takes it: little-endian, base64."""
    dtype = "u1" if values.dtype == np.uint8 else "u2"
    data = base64.b64encode(np.ascontiguousarray(values, f"<{dtype}").tobytes()).decode()
    return {"dtype": dtype, "bdata": data, "shape": f"{values.shape[0]}, {values.shape[1]}"}


class Walk:
    """Goes over a window's pieces and lets heat map, lanes and queue take from each what they need."""

    def __init__(self, run: Run, columns: Columns, takers: Sequence[Heat | Lanes | Queue]) -> None:
        self.run, self.columns, self.takers = run, columns, takers
        self.level = -1
        self.gaps: list[Gap] = []

    def gather(self, *, exact: bool = False) -> None:
        """Take all of the run that the window holds. exact: nothing of a bin that sticks out of the window."""
        t0, t1 = self.columns.t0, self.columns.t1
        pieces = self.run.whole_pieces(t0, t1) if exact else self.run.pieces(t0, t1, self.columns.width, cells=True)
        if not pieces:
            return
        first = pieces[0].first_chunk
        for taker in self.takers:
            taker.begin(self.run, first)
        at = 0
        while at < len(pieces):
            stop = at
            while stop < len(pieces) and pieces[stop].level == pieces[at].level:
                stop += 1
            self._take(pieces[at:stop])
            at = stop

    def _take(self, pieces: Sequence[Piece]) -> None:
        level = pieces[0].level
        if level < 0:
            whole = any(isinstance(taker, Lanes) for taker in self.takers)
            self.run.ahead(pieces[0].number, pieces[-1].number, whole=whole)
            for piece in pieces:
                self._take_events(piece)
            return
        found = self.run.cells(level, pieces[0].number, pieces[-1].number)
        for piece in pieces:
            part = found[piece.number]
            below = piece.children(self.run.index)
            if isinstance(part, Damaged):
                if level == 0:
                    self._take_events(below[0], instead=str(part))
                else:
                    self._take(below)
            elif not part.complete and not all(taker.knows(part) for taker in self.takers):
                self._take(below)
            else:
                self.level = max(self.level, level)
                for taker in self.takers:
                    taker.take_part(part, self.columns)

    def _take_events(self, piece: Piece, instead: str = "") -> None:
        """Take a chunk's events; if they are damaged its leaf, and if that is too, nothing: it is unknown then."""
        if instead:
            self.gaps.append((piece.t0, piece.t1, instead))
        try:
            for taker in self.takers:
                taker.take_events(self.run, piece, self.columns)
            return
        except Damaged as error:
            if not instead:
                self.gaps.append((piece.t0, piece.t1, str(error)))
        part = None if instead else self.run.cells(0, piece.number, piece.number)[piece.number]
        for taker in self.takers:
            if isinstance(part, CellsPart):
                taker.take_part(part, self.columns)
            else:
                taker.lose()


class Heat:
    """The longest queue of each row in each column."""

    def __init__(self, cast: Cast, columns: Columns) -> None:
        self.cast, self.fold = cast, heat_fold(cast.queues)
        self.z = np.zeros((heat_rows(cast.queues), columns.px), np.int64)
        self._lengths: Words | None = None

    def begin(self, run: Run, chunk: int) -> None:
        """Nothing is carried over: nodes tell all, and events ask for what held before them."""

    def knows(self, part: CellsPart) -> bool:
        return True

    def lose(self) -> None:
        self._lengths = None

    def take_part(self, part: CellsPart, columns: Columns) -> None:
        self._lengths = None
        met = overlaps(*bin_instants(part.t0, part.t1, part.bins), columns.edges)
        if len(met.columns):
            highest = np.maximum.reduceat(part.heat[:, met.bins], met.starts, axis=1)
            self.z[:, met.columns] = np.maximum(self.z[:, met.columns], highest)

    def take_events(self, run: Run, piece: Piece, columns: Columns) -> None:
        lengths = self._lengths if self._lengths is not None else lengths_before(run, self.cast, piece.number)
        self._lengths = None
        what = run.what(piece.number)
        at = np.flatnonzero(
            (what.kind == Kind.waiter_queued) | (what.kind == Kind.waiter_woken) | (what.kind == Kind.waiter_left)
        )
        queues, times, after = what.a[at], what.time[at], _length(what.a[at], what.b[at])
        touched, row = np.unique(queues, return_inverse=True)
        here = slice(*columns.met(piece.t0, piece.t1))
        still = np.zeros(len(self.z), np.int64)
        quiet = np.flatnonzero(lengths)
        quiet = quiet[~np.isin(quiet, touched)]
        np.maximum.at(still, quiet // self.fold, lengths[quiet])
        self.z[:, here] = np.maximum(self.z[:, here], still[:, None])
        for first in range(0, len(touched), QUEUES_AT_ONCE):
            some = slice(first, first + QUEUES_AT_ONCE)
            mine = (row >= first) & (row < first + QUEUES_AT_ONCE)
            carry = lengths[touched[some]]
            where, high, _ = painted(columns, piece.t0, piece.t1, row[mine] - first, times[mine], after[mine], carry)
            if where.stop > where.start:
                rows = touched[some] // self.fold
                starts = np.flatnonzero(np.diff(rows, prepend=-1))
                highest = np.maximum.reduceat(high, starts, axis=0)
                self.z[rows[starts], where] = np.maximum(self.z[rows[starts], where], highest)
        lengths[queues] = after  # the last of a queue's lengths stays
        self._lengths = lengths

    def answer(self) -> dict[str, Any]:
        """Return the heat map as JSON has it."""
        most = int(self.z.max(initial=0))
        dtype = np.uint8 if most <= 0xFF else np.uint16
        z = np.minimum(self.z, 0xFFFF).astype(dtype)
        return {"rows": len(z), "fold": self.fold, "z": packed(z), "max": most}


class Lanes:
    """The most severe moment of some pages in each column, as its severity; answered as a state and a wait."""

    def __init__(self, cast: Cast, columns: Columns, pages: Sequence[int]) -> None:
        self.cast = cast
        self.asked = list(pages)
        self.rows = np.unique(np.array(self.asked, np.int64))
        self.z = np.full((len(self.rows), columns.px), -1, np.int64)
        self._place = np.full(int(self.rows.max(initial=-1)) + 2, -1, np.int64)
        self._place[self.rows] = np.arange(len(self.rows))
        """The place of each page in rows, -1 for all others; the last is for those behind."""
        self._carry = np.full(len(self.rows), -1, np.int64)

    def begin(self, run: Run, chunk: int) -> None:
        try:
            self._carry = self._before(run, chunk)
        except Damaged:
            self.lose()

    def _before(self, run: Run, chunk: int) -> Words:
        return pages_before(run, self.cast, chunk, self.rows).severities().astype(np.int64)

    def knows(self, part: CellsPart) -> bool:
        return bool(np.isin(self.rows, part.lanes.keys).all())

    def lose(self) -> None:
        self._carry[:] = -1

    def take_part(self, part: CellsPart, columns: Columns) -> None:
        high, self._carry = dense(part.lanes, part.bins, self.rows, self._carry)
        _raise_to(self.z, high, part, columns)

    def take_events(self, run: Run, piece: Piece, columns: Columns) -> None:
        batch, severities = run.batch(piece.number), severities_after(run, self.cast, piece.number)
        if (self._carry < 0).any():
            self._carry = self._before(run, piece.number)
        at = self._place[np.minimum(batch.page, len(self._place) - 1)]
        which = np.flatnonzero(at >= 0)
        worst = severities[which].astype(np.int64)
        where, high, self._carry = painted(
            columns, piece.t0, piece.t1, at[which], batch.time[which], worst, self._carry
        )
        self.z[:, where] = np.maximum(self.z[:, where], high)
        cut = np.flatnonzero(batch.kind[which] == Kind.page_truncated)
        moment = [severity_at(int(Kind.page_truncated), severity) for severity in worst[cut].tolist()]
        column = column_of(columns.edges, batch.time[which[cut]])
        inside = (column >= 0) & (column < columns.px)
        np.maximum.at(self.z, (at[which[cut[inside]]], column[inside]), np.array(moment, np.int64)[inside])

    def answer(self) -> dict[str, Any]:
        """Return the lanes as JSON has them, in the order that was asked for."""
        order = np.searchsorted(self.rows, np.array(self.asked, np.int64))
        z, known = np.maximum(self.z[order], 0), self.z[order] >= 0
        states, waits = (np.where(known, shown[z], UNKNOWN).astype(np.uint8) for shown in (SHOWN_STATES, SHOWN_WAITS))
        labels = [label(self.cast, page) for page in self.asked]
        return {"pages": self.asked, "labels": labels, "z": packed(states), "waits": packed(waits)}


class Queue:
    """The length of one queue. Its mean is known where the window is read from the events themselves."""

    def __init__(self, cast: Cast, columns: Columns, queue: int) -> None:
        self.cast, self.columns, self.queue = cast, columns, queue
        self.low = np.full(columns.px, np.iinfo(np.int64).max, np.int64)
        self.high = np.full(columns.px, -1, np.int64)
        self.area = np.zeros(columns.px, np.int64)
        self.exact = np.zeros(columns.px, np.int64)
        self.covered = np.zeros(columns.px, np.int64)
        self._reached = -1
        self._key = np.array([queue], np.int64)
        self._carry = np.full(1, -1, np.int64)

    def begin(self, run: Run, chunk: int) -> None:
        try:
            self._carry = lengths_before(run, self.cast, chunk)[self._key]
        except Damaged:
            self.lose()

    def knows(self, part: CellsPart) -> bool:
        return bool(np.isin(self._key, part.queues.keys).all())

    def lose(self) -> None:
        self._carry[:] = -1

    def take_part(self, part: CellsPart, columns: Columns) -> None:
        high, after = dense(part.queues, part.bins, self._key, self._carry)
        low, _ = dense(part.queues._replace(high=part.queues.low), part.bins, self._key, self._carry)
        self._carry = after
        self._reached = part.t1
        self.covered += columns.covered(part.t0, part.t1)
        met = overlaps(*bin_instants(part.t0, part.t1, part.bins), columns.edges)
        if len(met.columns):
            here = met.columns
            least = np.minimum.reduceat(np.where(low < 0, self.low[0], low)[0][met.bins], met.starts)
            self.low[here] = np.minimum(self.low[here], least)
            self.high[here] = np.maximum(self.high[here], np.maximum.reduceat(high[0][met.bins], met.starts))

    def take_events(self, run: Run, piece: Piece, columns: Columns) -> None:
        what = run.what(piece.number)
        if self._carry[0] < 0:
            self._carry = lengths_before(run, self.cast, piece.number)[self._key]
        waits = (what.kind == Kind.waiter_queued) | (what.kind == Kind.waiter_woken) | (what.kind == Kind.waiter_left)
        at = np.flatnonzero(waits & (what.a == self.queue))
        steps = Steps(piece.t0, piece.t1, int(self._carry[0]), what.time[at], _length(what.a[at], what.b[at]))
        where, low, high = extremes(columns, steps)
        self.low[where] = np.minimum(self.low[where], low)
        self.high[where] = np.maximum(self.high[where], high)
        self.area += areas(columns, steps)
        self._reached = piece.t1
        self.exact += columns.covered(piece.t0, piece.t1)
        self.covered += columns.covered(piece.t0, piece.t1)
        if len(at):
            self._carry = steps.values[-1:].copy()

    def answer(self, columns: Columns) -> dict[str, Any]:
        """Return the queue as JSON has it, in `columns`, which may be finer than those it was gathered in."""
        first = column_of(self.columns.edges, columns.edges[:-1])
        last = column_of(self.columns.edges, columns.edges[1:] - 1)
        high = np.maximum(self.high[first], self.high[last])
        low = np.minimum(self.low[first], self.low[last])
        later = columns.edges[:-1] > self._reached  # a fine column behind the run's end, within a coarse one before it
        exact = (self.exact > 0) & (self.exact == self.covered)
        mean = np.divide(self.area, self.exact, out=np.zeros(len(self.area)), where=exact).round(4)[first]
        unseen, vague = np.flatnonzero((high < 0) | later).tolist(), np.flatnonzero(~exact[first] | later).tolist()
        answer: dict[str, Any] = {"id": self.queue}
        for name, values, without in (("min", low, unseen), ("max", high, unseen), ("mean", mean, vague)):
            numbers: list[Any] = values.tolist()
            for i in without:
                numbers[i] = None
            answer[name] = numbers
        return answer


def dense(cells: Cells, bins: int, rows: Words, carry: Words) -> tuple[Words, Words]:
    """Return the highest value of each row in each bin, shape (rows, bins), and what each row has at the end.

    carry: what each row had before, -1 if that is not known.
    """
    at = np.searchsorted(cells.keys, rows)
    at[at == len(cells.keys)] = 0
    here = np.flatnonzero(cells.keys[at] == rows) if len(cells.keys) else at[:0]
    high = np.full((len(rows), bins), -1, np.int64)
    last = np.full((len(rows), bins), -1, np.int64)
    if len(here):
        counts = cells.counts.astype(np.int64)
        starts, sizes = (np.cumsum(counts) - counts)[at[here]], counts[at[here]]
        row = np.repeat(here, sizes)
        cell = np.arange(len(row)) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
        bin = cells.bins[cell]
        high[row, bin], last[row, bin] = cells.high[cell], cells.last[cell]
    began = filled(last, carry)
    after = np.where(last[:, -1] >= 0, last[:, -1], began[:, -1])
    return np.where(high >= 0, high, began), after


def _raise_to(z: Words, high: Words, part: CellsPart, columns: Columns) -> None:
    """Raise the columns of z that a part's bins meet to what was highest in them."""
    met = overlaps(*bin_instants(part.t0, part.t1, part.bins), columns.edges)
    if len(met.columns):
        highest = np.maximum.reduceat(high[:, met.bins], met.starts, axis=1)
        z[:, met.columns] = np.maximum(z[:, met.columns], highest)


def label(cast: Cast, page: int) -> str:
    """Return how a page is called: its frame, and the file it starts in (recordings: device and inode)."""
    file = cast.file_of(page)
    name = f" {cast.files[file].name}" if 0 <= file < len(cast.files) else ""
    if cast.recorded and (found := _DEV_INO.fullmatch(name)):
        name = f" dev {found[1]} inode 0x{found[2]}"
    return f"0x{cast.pfn(page):x}{name}"
