"""What a comparison of two runs covers: the window, the time that both have played, or both runs as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from app import windows
from app.differences import Basis
from app.figures import Figures
from app.formats import span, stretch
from app.shown import Shown, same_workload, visits_are_free

if TYPE_CHECKING:
    from app.store import Store

OF_WHOLE_RUNS = ("longest_walk", "wait_ns_mean", "wait_ns_p99", "wait_ns_max")
"""Figures that no stretch of a run has: a comparison of the common time takes them from the whole runs, and says so."""


class Compared(NamedTuple):
    """The figures of both runs over the same time, and a note on which time that is."""

    a: Figures
    b: Figures
    basis: Basis
    note: str


def compared(store: Store, found: Sequence[Shown], t0: int | None = None, t1: int | None = None) -> Compared:
    """Compare two runs over t0..t1 (ns, t1 excluded) if given; else over their common time if one of them was cut or
    has not ended, and as a whole otherwise. Raises UserError for an empty window."""
    a, b = found
    basis = Basis(
        comparable=same_workload(found),
        recorded=a.recorded and b.recorded,
        free=visits_are_free(a.scenario) and visits_are_free(b.scenario),
    )
    if a.row.newer_events or b.row.newer_events:
        return Compared(a.figures, b.figures, basis, "whole runs")
    if t0 is not None and t1 is not None:
        first, second = (windows.window_figures(store, run.row, t0, t1) for run in found)
        return Compared(first, second, basis, f"window, {stretch(t0, t1)}")
    short = [(letter, run) for letter, run in (("A", a), ("B", b)) if run.cut or run.live]
    if not short or not basis.comparable or a.row.time_ns == b.row.time_ns:
        return Compared(a.figures, b.figures, basis, f"whole runs{_ends(short)}")
    end = min(a.row.time_ns, b.row.time_ns)
    first, second = (windows.window_figures(store, run.row, 0, end + 1) | _whole(run.figures) for run in found)
    note = f"the first {span(end)}, which both runs cover{_ends(short)}; longest walk and waits: whole runs"
    return Compared(first, second, basis, note)


def _ends(short: Sequence[tuple[str, Shown]]) -> str:
    """Return where runs ended before their workload did."""
    if not short:
        return ""
    return ": " + ", ".join(f"{letter} {run.cut or 'is still running'}" for letter, run in short)


def _whole(figures: Figures) -> dict[str, float | None]:
    return {name: figures[name] for name in OF_WHOLE_RUNS if name in figures}
