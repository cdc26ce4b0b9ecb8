"""What the events of a chunk count for the further series of a run with page tables (engine.nodes.more_names)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.chunks import What
from engine.events import TRANSFER, Batch, Kind

Words = NDArray[np.int64]

COUNTED: dict[str, tuple[Kind, str]] = {
    "faults": (Kind.fault_taken, ""),
    "flushes": (Kind.tlb_flushed, ""),
    "cpus_interrupted": (Kind.tlb_flushed, "b"),
    "pages_copied": (Kind.page_copied, ""),
    "atomics": (Kind.device_atomic, ""),
    "atomic_ns": (Kind.device_atomic, "b"),
}
"""Counter -> the kind whose events it counts, and the word that holds the amount; "" for 1."""
_bytes, _local, _device = (TRANSFER.reader(name) for name in ("bytes", "local", "device"))
_MOVES = (int(Kind.device_read), int(Kind.device_atomic))


class Counted(NamedTuple):
    """When something happened, and how much of it."""

    times: Words
    amounts: Words

    def sums(self, edges: Words) -> Words:
        """Return the amounts between the edges, shape (edges - 1,)."""
        total = np.concatenate((np.zeros(1, np.int64), np.cumsum(self.amounts)))
        found: Words = np.diff(total[np.searchsorted(self.times, edges, "left")])
        return found


def counted(what: What | Batch, names: tuple[str, ...]) -> list[Counted]:
    """Return what the events count for each of these counters."""
    return [_reader(name)(what) for name in names]


def _reader(name: str) -> Callable[[Any], Counted]:
    if name in COUNTED:
        return lambda what: _of_kind(what, *COUNTED[name])
    found = re.fullmatch(r"(link|local)_bytes_(\d+)", name)
    assert found is not None, f"no rule for the counter {name}"
    return lambda what: _of_device(what, int(found[2]), found[1] == "local")


def _of_kind(what: What | Batch, kind: Kind, word: str) -> Counted:
    at = np.flatnonzero(what.kind == int(kind))
    amounts = what.b[at] if word == "b" else np.ones(len(at), np.int64)
    return Counted(what.time[at], amounts)


def _of_device(what: What | Batch, device: int, local: bool) -> Counted:
    at = np.flatnonzero(np.isin(what.kind, _MOVES))
    a, b = what.a[at], what.b[at]
    its = (_device(a, b) == device) & (_local(a, b) == local)
    return Counted(what.time[at[its]], _bytes(a[its], b[its]))
