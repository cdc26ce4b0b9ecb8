"""KERNELS: how kernel versions differ in waits on page bits (kernel profiles)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Behaviour of wait and wake in one range of versions."""

    versions: str
    publish: bool = False
    """A waiter sets PG_waiters and tries the bit under the queue lock; a waker marks entries WOKEN (2a9127fcf229)."""
    handoff_after: int = 0
    """Stolen attempts before the lock is handed over (5ef64cc8987a, page_lock_unfairness)."""
    bookmark: bool = False
    """A walk pauses after 65 entries."""
    writeback_pins: bool = False
    """end_page_writeback() holds a reference (073861ed77b6)."""
    writeback_loops: bool = False
    """wait_on_page_writeback() waits until it sees the bit clear (c2407cf7d22d)."""
    writeback_xor: bool = False
    """__folio_end_writeback() clears the bit and reads PG_waiters in one instruction."""
    migration_pins: bool = False
    """A fault that waits for migration to end holds a reference on the page (until 9a1ea439b16b, 5.0)."""
    count_decides: bool = False
    """A write fault copies an anonymous page unless its reference count is 1 (09854ba94c6a); before, unless it is
    mapped once. From 5.19 on PageAnonExclusive() decides, which is modelled as the count."""
    frees_swap: bool = False
    """A write fault takes a page out of the swap cache before it looks at the reference count (53a05ad9f21d, 5.18)."""


KERNELS: dict[str, Profile] = {
    "4.13": Profile("4.13: one table of 256 queues, PG_waiters, first in first out", migration_pins=True),
    "4.16": Profile("4.14 to 5.8: a walk pauses after 65 entries", bookmark=True, migration_pins=True),
    "5.9-rc": Profile("5.9-rc: lock always handed over to the first waiter", publish=True, bookmark=True),
    "5.9": Profile(
        "5.9: lock handed over after 5 stolen attempts",
        publish=True,
        handoff_after=5,
        bookmark=True,
        count_decides=True,
    ),
    "5.10": Profile(
        "5.10: end of writeback holds a reference",
        publish=True,
        handoff_after=5,
        bookmark=True,
        writeback_pins=True,
        count_decides=True,
    ),
    "6.1": Profile(
        "5.11 to 6.6: the wait for writeback loops",
        publish=True,
        handoff_after=5,
        bookmark=True,
        writeback_pins=True,
        writeback_loops=True,
        count_decides=True,
        frees_swap=True,
    ),
    "6.7+": Profile(
        "6.7 on: no bookmark, one XOR to unlock or to end writeback",
        publish=True,
        handoff_after=5,
        writeback_pins=True,
        writeback_loops=True,
        writeback_xor=True,
        count_decides=True,
        frees_swap=True,
    ),
}
