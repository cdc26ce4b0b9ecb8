"""How an event changes its page, and which state the page is in afterwards. No other module decides either.

`page_after` and `severity_of` are plain functions of numbers. The worker compiles them unchanged
(engine.summaries.tally) and stores the state after each event with it; the plain fold, page histories and chunks
without states call them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

from engine.events import ENTRY, EVENTS, PG_DIRTY, PG_LOCKED, PG_WAITERS, PG_WRITEBACK, PTE, WALK, WQ_DONE, Kind


class PageState(IntEnum):
    """The displayed state of a page. The numbers are stored: a new state takes the next one, and none is reused."""

    free = 0  # in no file: mapping is NULL, and not locked
    clean = 1
    dirty = 2
    locked = 3
    waited_on = 4  # tasks are queued for it
    swapped = 5  # page->mapping holds a tagged pointer to the design's structure
    writeback = 6
    truncated = 7  # removed from its file by truncation, not yet freed or inserted again
    protected = 8  # write-protected for a device
    merged = 9  # a KSM page
    duplicated = 10  # write-protected, and devices have copies of it
    exclusive = 11  # write-protected, and its entries are device-exclusive


SEVERITY = (
    PageState.free,
    PageState.clean,
    PageState.dirty,
    PageState.merged,
    PageState.locked,
    PageState.protected,
    PageState.duplicated,
    PageState.exclusive,
    PageState.waited_on,
    PageState.swapped,
    PageState.writeback,
    PageState.truncated,
)
"""Least severe first: of several states of a page or a cell, the last is displayed. Insert a new state by severity."""
PAGE_STATE_COLOURS = {
    PageState.free: "#d9dde2",
    PageState.clean: "#9fb8cc",
    PageState.dirty: "#c8a15a",
    PageState.locked: "#0072b2",
    PageState.waited_on: "#e69f00",
    PageState.swapped: "#d55e00",
    PageState.writeback: "#f0e442",
    PageState.truncated: "#8b2f8f",
    PageState.protected: "#009e73",
    PageState.merged: "#56b4e9",
    PageState.duplicated: "#7fcdbb",
    PageState.exclusive: "#cc79a7",
}

NUMBERS = np.array(SEVERITY, np.uint8)
"""Severity (index in SEVERITY) -> stored number."""
SEVERITIES = np.zeros(256, np.uint8)
"""Stored number -> severity; 0 for a number that this version does not know."""
SEVERITIES[NUMBERS] = np.arange(len(SEVERITY))
_, _CLEAN, _DIRTY, _LOCKED, _WAITED_ON, _SWAPPED, _WRITEBACK, _TRUNCATED, _PROTECTED, _MERGED, _COPIED, _EXCLUSIVE = (
    1 << SEVERITY.index(state) for state in PageState
)
_HIGHEST = np.array([max(applies.bit_length() - 1, 0) for applies in range(1 << len(SEVERITY))], np.uint8)
"""Bits of severities -> the highest. A table, because branches on the states of pages are mostly mispredicted."""

MARK_SWAPPED, MARK_TRUNCATED, MARK_PROTECTED, MARK_MERGED, MARK_DUPLICATED, MARK_EXCLUSIVE = 1, 2, 4, 8, 16, 32
"""Bits of a page's marks: state that neither its mapping word nor its flags contain."""

FLAGS_AFTER = np.zeros(256, np.bool_)
"""By kind: whether word a holds page->flags after the event."""
for _kind, _event in EVENTS.items():
    _field = _event.words.stored.get("flags")
    FLAGS_AFTER[_kind] = _field is not None and _field.whole and _field.word == "a"

(
    K_QUEUED,
    K_WOKEN,
    K_LEFT,
    K_WALK_ENDED,
    K_SWAPPED,
    K_RESTORED,
    K_INSERTED,
    K_REMOVED,
    K_TRUNCATED,
    K_FREED,
    K_SEEN,
    K_ALLOCATED,
    K_COPIED,
    K_PROTECTED,
    K_UNPROTECTED,
    K_COPY_MADE,
    K_PTE_SET,
    K_KSM_SET,
    K_MIGRATED,
) = (
    int(kind)
    for kind in (
        Kind.waiter_queued,
        Kind.waiter_woken,
        Kind.waiter_left,
        Kind.walk_ended,
        Kind.mapping_swapped,
        Kind.mapping_restored,
        Kind.page_inserted,
        Kind.page_removed,
        Kind.page_truncated,
        Kind.page_freed,
        Kind.page_seen,
        Kind.page_allocated,
        Kind.page_copied,
        Kind.page_protected,
        Kind.page_unprotected,
        Kind.copy_made,
        Kind.pte_set,
        Kind.ksm_page_set,
        Kind.page_migrated,
    )
)
_UNFLAGGED, _CLEARED = ENTRY["unflagged"].mask, WALK["cleared"].mask
_HANDED_OVER, _BIT_AT, _BIT_MASK = ENTRY["flags"].at(WQ_DONE), ENTRY["bit"].shift, (1 << ENTRY["bit"].size) - 1
_LAST_FLAG = 62
_ENTRY_EXCLUSIVE = PTE["bits"].at(8)
"""Bit of word a of pte_set that says that the entry is device-exclusive."""


def page_after(
    kind: int, a: int, b: int, mapping: int, flags: int, waiters: int, marks: int
) -> tuple[int, int, int, int]:
    """Return a page's mapping word, flags, number of waiters and marks after an event, given those before it."""
    if FLAGS_AFTER[kind]:
        flags = a
    elif kind == K_QUEUED:
        waiters += 1
        if b & _UNFLAGGED == 0:
            flags |= 1 << PG_WAITERS
    elif kind == K_WOKEN:
        waiters -= 1
        bit = b >> _BIT_AT & _BIT_MASK
        if b & _HANDED_OVER and bit <= _LAST_FLAG:  # a recording may lack the bit
            flags |= 1 << bit
    elif kind == K_LEFT:
        waiters -= 1
    elif kind == K_WALK_ENDED:
        if a & _CLEARED:
            flags &= ~(1 << PG_WAITERS)
    elif kind == K_SWAPPED:
        mapping, marks = b, marks | MARK_SWAPPED
    elif kind == K_RESTORED:
        mapping, marks = b, marks & ~MARK_SWAPPED
    elif kind == K_PROTECTED:
        mapping, marks = a, marks | MARK_PROTECTED
    elif kind == K_UNPROTECTED:
        mapping, marks = a, marks & ~(MARK_PROTECTED | MARK_DUPLICATED | MARK_EXCLUSIVE)
    elif kind in (K_INSERTED, K_REMOVED, K_TRUNCATED, K_FREED, K_SEEN, K_ALLOCATED, K_COPIED, K_MIGRATED):
        word = b
        if kind in (K_INSERTED, K_SEEN, K_ALLOCATED, K_COPIED, K_MIGRATED):
            word = a
        elif kind == K_FREED:
            word = 0
        if word != mapping:  # a plain store overwrites a swapped-in word: no longer swapped
            mapping, marks = word, marks & ~MARK_SWAPPED
        if kind == K_TRUNCATED:
            marks |= MARK_TRUNCATED
        elif kind != K_REMOVED:
            marks &= ~MARK_TRUNCATED
        if kind == K_SEEN:
            flags = b
        elif kind == K_FREED:
            flags, marks = 0, marks & ~MARK_MERGED
    elif kind == K_KSM_SET:
        mapping, marks = b, marks | MARK_MERGED
    elif kind == K_COPY_MADE:
        marks |= MARK_DUPLICATED
    elif kind == K_PTE_SET and a & _ENTRY_EXCLUSIVE:
        marks |= MARK_EXCLUSIVE
    return mapping, flags, waiters, marks


def severity_of(mapping: Any, flags: Any, waiters: Any, marks: Any) -> Any:
    """Return the severity (index in SEVERITY) of a page's most severe state; takes numbers, or columns of them."""
    applies = (
        (mapping != 0) * _CLEAN
        | (flags >> PG_DIRTY & 1) * _DIRTY
        | (flags >> PG_LOCKED & 1) * _LOCKED
        | (waiters > 0) * _WAITED_ON
        | (flags >> PG_WRITEBACK & 1) * _WRITEBACK
        | (marks & MARK_SWAPPED != 0) * _SWAPPED
        | (marks & MARK_TRUNCATED != 0) * _TRUNCATED
        | (marks & MARK_PROTECTED != 0) * _PROTECTED
        | (marks & MARK_MERGED != 0) * _MERGED
        | (marks & (MARK_PROTECTED | MARK_DUPLICATED) == MARK_PROTECTED | MARK_DUPLICATED) * _COPIED
        | (marks & (MARK_PROTECTED | MARK_EXCLUSIVE) == MARK_PROTECTED | MARK_EXCLUSIVE) * _EXCLUSIVE
    )
    return _HIGHEST[applies]
