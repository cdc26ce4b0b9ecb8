"""Batches of events, cut out of a World's trace."""

from __future__ import annotations

from engine.events import Batch
from engine.world.state import EVENTS, OVERFLOW, SEQ, SLACK, UNLINKED, World


def cut_batch(w: World) -> Batch:
    """Return a copy of the events in the world's trace as a Batch, and empty the trace."""
    assert not w.clock[UNLINKED], f"step {w.clock[UNLINKED] - 1} was not linked"
    assert not w.clock[OVERFLOW], f"a step recorded more than {SLACK} events, the last of kind {w.clock[OVERFLOW]}"
    n, first = w.clock[EVENTS], w.clock[SEQ]
    columns = (column.array[:n].copy() for column in w.trace[:-1])
    batch = Batch(first, *columns)
    w.clock[SEQ] = first + n
    w.clock[EVENTS] = 0
    return batch
