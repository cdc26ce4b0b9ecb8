"""The reference hash of W1's log, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.world.jit import jit

_PRIME = np.uint64(0x100000001B3)
_START = np.uint64(0xCBF29CE484222325)
_32 = np.uint64(32)


@jit
def fold_hash(time: Any, kind: Any, task: Any, page: Any, queue: Any) -> Any:
    """Return the 64-bit hash over the columns of n records."""
    h = _START
    for i in range(len(time)):
        h = (h ^ time[i]) * _PRIME
        h = (h ^ ((np.uint64(page[i]) << _32) | np.uint64(task[i]))) * _PRIME
        h = (h ^ ((np.uint64(kind[i]) << _32) | np.uint64(queue[i]))) * _PRIME
    return h
