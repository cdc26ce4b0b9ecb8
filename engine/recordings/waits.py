"""Find waits that ended woken with no wake-up in the recording: a sign of lost lines."""

from __future__ import annotations

import numpy as np

from engine.events import WQ_WOKEN
from engine.recordings.moves import Op, Recording, tell_waits_without_wake


def rows_without_wake(recording: Recording) -> list[int]:
    """Return the rows of moves at which a task left a wait as woken, with no walk for its page and bit since it queued.

    One pass without a model of the queues; engine.runs.replay, which has one, finds the same rows or more.
    """
    moves = recording.moves
    if not (moves["op"] == Op.walk).any():
        return []  # recorded without a probe on wake-ups: unknown
    wanted = np.flatnonzero(np.isin(moves["op"], [Op.queued, Op.left, Op.walk, Op.walk_on]))
    columns = (moves[name][wanted].tolist() for name in ("op", "task", "page", "bit", "wflags"))
    since: dict[int, tuple[int, int, int]] = {}
    walked: dict[tuple[int, int], int] = {}
    found = []
    for row, op, task, page, bit, wflags in zip(wanted.tolist(), *columns, strict=True):
        if op == Op.queued:
            since[task] = (row, page, bit)
        elif op == Op.left:
            begun = since.pop(task, None)
            if begun is not None and wflags & WQ_WOKEN and walked.get(begun[1:], -1) < begun[0]:
                found.append(row)
        else:
            walked[page, bit] = row
    return found


def with_lost_wakes(recording: Recording) -> Recording:
    """Return the recording with waits that lack a wake-up in its report."""
    rows = rows_without_wake(recording)
    return tell_waits_without_wake(recording, rows) if rows else recording
