"""INVARIANTS and WITNESSES: what must never happen in a world, and outcomes that a litmus test checks for reachability.

A step that finds an invariant broken reports it (engine.world.trace.broken); those with `at_end` are checked in states
where no task can move. A witness is an outcome that is not an error: a stolen lock, a waiter that lost its place.
"""

from __future__ import annotations

from typing import NamedTuple


class Invariant(NamedTuple):
    """says: the message displayed when it is broken. at_end: only a state in which no task can move shows it."""

    name: str
    says: str
    at_end: bool = False


INVARIANTS: tuple[Invariant, ...] = (
    Invariant("lost_wakeup", "a task sleeps on a bit that is clear, and no task will wake it", at_end=True),
    Invariant("deadlock", "tasks wait for each other", at_end=True),
    Invariant("use_after_free", "a structure was used after it was freed"),
    Invariant("mapping_lost", "page->mapping is not what the page cache says it must be", at_end=True),
    Invariant("truncated_written", "a page was written after it was truncated"),
    Invariant("two_owners", "two tasks own one page lock"),
    Invariant("counts", "reference counts do not balance"),
    Invariant("leak", "a structure or a reference was leaked", at_end=True),
    Invariant("queue_length", "a queue's length is not the number of tasks linked on it"),
    Invariant("page_survives", "a truncation has returned and its page is still in the file"),
    Invariant("bug_on", "a BUG_ON() would fire"),
    Invariant("wild_dereference", "a tagged word was followed as if it were a pointer"),
    Invariant("wrong_identity", "a lookup returned a locked page that is not the one asked for"),
    Invariant("mapping_resurrected", "the mapping of a truncated page was restored"),
    Invariant("stranded_pte", "a page table entry maps a truncated page"),
    Invariant("shared_wait", "two pages share one wait structure"),
    Invariant("protected_written", "a protected page was written by a CPU"),
    Invariant("starvation", "a task can starve"),
    Invariant("shared_copy_written", "a page that two address spaces share copy-on-write was written"),
    Invariant("unstable_write", "a page under writeback was written, though its device needs stable pages"),
    Invariant("lost_under_device", "a page left its file while a device had it protected"),
    Invariant("two_devices", "two devices have one page protected"),
    Invariant("merged_differing", "KSM merged two pages whose contents differ"),
    Invariant("merged_written", "a page that KSM shares was written"),
    Invariant("merged_under_device", "KSM merged a page that a device had protected"),
    Invariant("moved_written", "a page was written after it was migrated"),
    Invariant("freed_in_tlb", "a page was freed while a CPU could still reach it through its TLB"),
    Invariant("write_lost", "a page was written after it was written out, and nothing remembers that it is dirty"),
)
"""Number (row) -> invariant. A number is never reused for another meaning: events contain it."""

(
    LOST_WAKEUP,
    DEADLOCK,
    USE_AFTER_FREE,
    MAPPING_LOST,
    TRUNCATED_WRITTEN,
    TWO_OWNERS,
    COUNTS,
    LEAK,
    QUEUE_LENGTH,
    PAGE_SURVIVES,
    BUG_ON,
    WILD_DEREFERENCE,
    WRONG_IDENTITY,
    MAPPING_RESURRECTED,
    STRANDED_PTE,
    SHARED_WAIT,
    PROTECTED_WRITTEN,
    STARVATION,
    SHARED_COPY_WRITTEN,
    UNSTABLE_WRITE,
    LOST_UNDER_DEVICE,
    TWO_DEVICES,
    MERGED_DIFFERING,
    MERGED_WRITTEN,
    MERGED_UNDER_DEVICE,
    MOVED_WRITTEN,
    FREED_IN_TLB,
    WRITE_LOST,
) = range(len(INVARIANTS))

WITNESSES: tuple[tuple[str, str], ...] = (
    ("lock_stolen", "the lock was stolen from a queued waiter"),
    ("stolen_often", "the lock was stolen from one waiter more than five times"),
    ("requeued_at_tail", "a woken waiter lost the race and requeued at the tail"),
    ("returned_bit_set", "a wait returned although the bit was set again"),
    ("walk_met_strangers", "a wake-up visited waiters of another page"),
    ("stale_waiters_flag", "PG_waiters stayed set with nobody waiting for the page"),
    ("lock_handed_over", "the lock was handed to a waiter without being released"),
    ("lookup_retried", "a lookup found its page truncated and started over"),
    ("wait_holding_lock", "truncation waits for writeback with the page locked while others wait for the lock"),
)
"""Number (row) -> name and description."""

(
    LOCK_STOLEN,
    STOLEN_OFTEN,
    REQUEUED_AT_TAIL,
    RETURNED_BIT_SET,
    WALK_MET_STRANGERS,
    STALE_WAITERS_FLAG,
    LOCK_HANDED_OVER,
    LOOKUP_SEEN_RETRIED,
    WAIT_HOLDING_LOCK,
) = range(len(WITNESSES))
