"""Columns of time: whole edges, and what a value that changes now and then looks like in each column.

A column shows every value that was there at any of its instants, the one it began with included.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.raster import bin_edges, column_of, stable_order

Words = NDArray[np.int64]


class Columns(NamedTuple):
    """px columns of whole ns over t0..t1 (t1 excluded); column i holds the instants edges[i] .. edges[i + 1] - 1."""

    t0: int
    t1: int
    edges: Words

    @property
    def px(self) -> int:
        return len(self.edges) - 1

    @property
    def width(self) -> float:
        return (self.t1 - self.t0) / self.px

    def met(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first column that meets the instants start..stop, and one more than the last."""
        first, last = column_of(self.edges, np.array([start, stop]))
        return max(int(first), 0), min(int(last), self.px - 1) + 1

    def covered(self, start: int, stop: int) -> Words:
        """Return how many ns of each column lie within start..stop."""
        cut: Words = np.clip(self.edges, start, max(start, stop))
        return cut[1:] - cut[:-1]


def columns_of(t0: int, t1: int, px: int) -> Columns:
    """Return columns of at least 1 ns: fewer than px where the window is shorter than that."""
    return Columns(t0, t1, bin_edges(t0, t1, min(px, t1 - t0)))


class Steps(NamedTuple):
    """A value over the instants start..stop: `before` at first, then values[i] from times[i] on."""

    start: int
    stop: int
    before: int
    times: Words
    values: NDArray[Any]


def extremes(columns: Columns, steps: Steps) -> tuple[slice, Words, Words]:
    """Return which columns the steps meet, and the least and highest value that each of these shows."""
    first, end = columns.met(steps.start, steps.stop)
    if end <= first:
        none = np.zeros(0, np.int64)
        return slice(0, 0), none, none
    n = end - first
    at = np.searchsorted(steps.times, columns.edges[first : end + 1], "left")
    known = np.empty(len(steps.values) + 1, np.int64)
    known[0] = steps.before
    known[1:] = steps.values
    # Before the values of each column stands the one that it began with.
    shown = np.insert(known[at[0] + 1 : at[-1] + 1], at[:-1] - at[0], known[at[:-1]])
    starts = at[:-1] - at[0] + np.arange(n)
    return slice(first, end), np.minimum.reduceat(shown, starts), np.maximum.reduceat(shown, starts)


def areas(columns: Columns, steps: Steps) -> Words:
    """Return the integral of the steps over each column, in ns."""
    times = np.concatenate(([steps.start], steps.times))
    values = np.concatenate(([steps.before], steps.values)).astype(np.int64)
    total = np.zeros(len(times), np.int64)
    np.cumsum(values[:-1] * np.diff(times), out=total[1:])
    where = np.clip(columns.edges, steps.start, max(steps.start, steps.stop))
    at = np.searchsorted(times, where, "right") - 1
    return np.diff(total[at] + values[at] * (where - times[at]))


def painted(
    columns: Columns, start: int, stop: int, rows: Words, times: Words, values: Words, carry: Words
) -> tuple[slice, Words, Words]:
    """Return, for many values at once, which columns start..stop meet and the highest value in each, (rows, columns).

    rows names the value that changes at each time; carry has one value a row, what it had at `start`, and the third
    result what it has at the end. Changes are in order of time.
    """
    first, end = columns.met(start, stop)
    n = max(end - first, 0)
    order = stable_order(rows)
    rows, times, values = rows[order], times[order], values[order]
    column = column_of(columns.edges, times) - first
    after = carry.copy()
    lasts = np.flatnonzero(np.diff(rows, append=-1))
    after[rows[lasts]] = values[lasts]
    early = column < 0
    if early.any():  # changes before the window: only the last of each row counts
        carry = carry.copy()
        begun = np.flatnonzero(early)
        ends = begun[np.flatnonzero(np.diff(rows[begun], append=-1))]
        carry[rows[ends]] = values[ends]
    inside = (column >= 0) & (column < n)
    rows, column, values = rows[inside], column[inside], values[inside]
    cell = rows * n + column
    firsts = np.flatnonzero(np.diff(cell, prepend=-1))
    ends = np.append(firsts[1:], len(cell)) - 1 if len(firsts) else firsts
    last = np.full((len(carry), n), -1, np.int64)
    last.ravel()[cell[firsts]] = values[ends]
    at_start = filled(last, carry)
    if len(firsts):
        flat = at_start.reshape(-1)
        flat[cell[firsts]] = np.maximum(flat[cell[firsts]], np.maximum.reduceat(values, firsts))
    return slice(first, max(end, first)), at_start, after


def filled(last: Words, carry: Words) -> Words:
    """Return what each row had when each column began: the last value before, carry at first; last is -1 for none.

    Shapes (rows, columns) and (rows,).
    """
    rows, n = last.shape
    newest = np.where(last >= 0, np.arange(1, n + 1), 0)
    np.maximum.accumulate(newest, axis=1, out=newest)
    known = np.concatenate((carry[:, None], last), axis=1)
    began = np.concatenate((np.zeros((rows, 1), newest.dtype), newest[:, :-1]), axis=1)[:, :n]
    result: Words = np.take_along_axis(known, began, axis=1)
    return result
