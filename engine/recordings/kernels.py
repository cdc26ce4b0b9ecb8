"""PROFILES: detect which kernel wrote the lines, and translate its bit numbers.

Bits of page->flags and wait entry flags moved between kernels; a recording does not name its kernel, but its lines show
it. Sources: include/linux/page-flags.h and include/linux/wait.h of 5.10, 6.1 and 6.12.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.events import (
    PG_ACTIVE,
    PG_DIRTY,
    PG_ERROR,
    PG_LOCKED,
    PG_LRU,
    PG_PRIVATE_2,
    PG_REFERENCED,
    PG_UPTODATE,
    PG_WAITERS,
    PG_WRITEBACK,
    WQ_BOOKMARK,
    WQ_CUSTOM,
    WQ_DONE,
    WQ_EXCLUSIVE,
    WQ_WOKEN,
)
from engine.recordings.moves import Op

UNKNOWN_BIT = 255
"""In the column bit: the kernel waited for a bit that engine.events does not name."""
_NO_FLAGS = frozenset({Op.insert, Op.remove})
"""Moves whose column flags holds no page->flags."""


class Profile(NamedTuple):
    """Maps the kernel's page bit numbers and wait entry flags to those of engine.events."""

    page_bits: dict[int, int]
    entry_flags: dict[int, int]


_5_10 = Profile(
    {
        0: PG_LOCKED,
        1: PG_REFERENCED,
        2: PG_UPTODATE,
        3: PG_DIRTY,
        4: PG_LRU,
        5: PG_ACTIVE,
        7: PG_WAITERS,
        8: PG_ERROR,
        14: PG_PRIVATE_2,
        15: PG_WRITEBACK,
    },
    {1: WQ_EXCLUSIVE, 2: WQ_WOKEN, 4: WQ_BOOKMARK, 8: WQ_CUSTOM, 16: WQ_DONE},
)
_6_12 = Profile(
    {
        0: PG_LOCKED,
        1: PG_WRITEBACK,
        2: PG_REFERENCED,
        3: PG_UPTODATE,
        4: PG_DIRTY,
        5: PG_LRU,
        7: PG_WAITERS,
        8: PG_ACTIVE,
        15: PG_PRIVATE_2,
    },
    {1: WQ_EXCLUSIVE, 2: WQ_WOKEN, 4: WQ_CUSTOM, 8: WQ_DONE},
)
PROFILES = {"5.10": _5_10, "6.1": _5_10, "6.7+": _6_12}
"""6.7 to 6.11 number bits from 8 up differently than 6.12; of those, only PG_active and PG_private_2 are used here."""


class Signs:
    """Evidence about the kernel in the lines seen so far."""

    def __init__(self) -> None:
        self.lock_probe = False  # qlock: needed where the unlock of the queue is inlined, as in 5.10
        self.bookmark = False  # walk_begin with bm: walks pause after 65 entries, up to 6.6
        self.no_bookmark = False  # walk_begin without bm
        self.writeback_15 = self.writeback_1 = 0  # end of writeback: which bit was set on entry

    def writeback_ends(self, flags: int) -> None:
        """Note raw page->flags at the entry of end_page_writeback, where PG_writeback is always set."""
        self.writeback_15 += flags >> 15 & 1
        self.writeback_1 += flags >> 1 & 1

    def kernel(self) -> str:
        """Return the name of the profile, or "" if it is unknown."""
        if self.lock_probe:
            return "5.10"
        if self.bookmark or self.no_bookmark:
            return "6.1" if self.bookmark else "6.7+"
        if self.writeback_15 != self.writeback_1:
            return "6.1" if self.writeback_15 > self.writeback_1 else "6.7+"
        return ""


def translate(moves: NDArray[np.void], kernel: str) -> None:
    """Rewrite flags, bit and wflags of raw moves, shape (n,), to the numbering of engine.events, in place.

    Flags that engine.events does not name (zone, node, workingset) are dropped. An unknown kernel is treated as 6.1:
    the bits that most lines show, PG_locked and PG_waiters, are the same in all profiles.
    """
    profile = PROFILES.get(kernel, _5_10)
    bits = np.full(256, UNKNOWN_BIT, np.uint8)
    entries = np.zeros(256, np.uint8)
    for there, here in profile.page_bits.items():
        bits[there] = here
    for there, here in profile.entry_flags.items():
        entries[np.arange(256) & there != 0] |= here
    plain = np.ones(256, np.bool_)
    plain[list(_NO_FLAGS)] = False
    for start in range(0, len(moves), 1 << 20):  # in pieces: a whole column of a large recording would be 160 MB
        part = moves[start : start + (1 << 20)]
        part["bit"] = bits[part["bit"]]
        part["wflags"] = entries[part["wflags"]]
        raw = part["flags"]
        named = np.zeros(len(part), np.int64)
        for there, here in profile.page_bits.items():
            named |= (raw >> there & 1) << here
        part["flags"] = np.where(plain[part["op"]] & (raw != -1), named, raw)
