"""How an event changes its page, and what is shown of the page afterwards. No other module decides either.

Two things are shown of a page, a band each: its state, and whether tasks wait for it or its mapping is swapped. Neither
hides the other. Both together are a severity, a small number by which the most severe of several moments is found.

`page_after`, `severity_of` and `severity_at` are plain functions of numbers. The worker compiles them unchanged
(engine.summaries.tally) and stores the severity after each event with it; the plain fold, page histories and chunks
without states call them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from engine.events import ENTRY, EVENTS, PG_DIRTY, PG_LOCKED, PG_WAITERS, PG_WRITEBACK, PTE, WALK, WQ_DONE, Kind


class PageState(IntEnum):
    """The displayed state of a page. The numbers are stored: a new state takes the next one, and none is reused."""

    free = 0  # in no file: mapping is NULL, and not locked
    clean = 1
    dirty = 2
    locked = 3
    waited_on = 4  # tasks are queued for it; in runs of before 0.2.0, which had one band
    swapped = 5  # page->mapping holds a tagged pointer to the design's structure; in runs of before 0.2.0
    writeback = 6
    truncated = 7  # the moment of truncation; in runs of before 0.2.0 until freed or inserted again
    protected = 8  # write-protected for a device
    merged = 9  # a KSM page
    duplicated = 10  # write-protected, and devices have copies of it
    exclusive = 11  # write-protected, and its entries are device-exclusive
    gone = 12  # removed from its file by truncation, not yet freed or inserted again
    unseen = 13  # the recording has not named it yet: nobody knows its state


class PageWait(IntEnum):
    """What the second band shows of a page."""

    none = 0
    waited_on = 1  # tasks are queued for it
    swapped = 2  # page->mapping holds a tagged pointer to the design's structure
    unknown = 255  # stored before 0.2.0 in a state that hid it


class Sight(NamedTuple):
    """What is shown of a page."""

    state: PageState
    wait: PageWait


STATES = (
    PageState.unseen,
    PageState.free,
    PageState.clean,
    PageState.dirty,
    PageState.gone,
    PageState.merged,
    PageState.locked,
    PageState.protected,
    PageState.duplicated,
    PageState.exclusive,
    PageState.writeback,
    PageState.truncated,
)
"""Least severe first: of several states of a page, the last is displayed. Insert a new state by severity."""
WAITS = (PageWait.none, PageWait.waited_on, PageWait.swapped)
HIDING = {
    PageState.waited_on: PageWait.waited_on,
    PageState.swapped: PageWait.swapped,
    PageState.writeback: PageWait.unknown,
    PageState.truncated: PageWait.unknown,
}
"""States of before 0.2.0 that hid others, least severe first, and what they tell of the second band."""
SEVERITY = (
    *(Sight(state, wait) for wait in WAITS for state in STATES),
    *(Sight(state, wait) for state, wait in HIDING.items()),
)
"""Severity -> what is shown, least severe first: of several moments of a page, the last is displayed; waits first."""
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
    PageState.gone: "#8d949c",
    PageState.unseen: "#f2f4f6",
}

_BAND_AT = 6
"""A stored number holds the state in its low bits and, from here on, one more than the wait; 0 before 0.2.0."""
NUMBERS = np.array(
    [
        state | (0 if at >= len(STATES) * len(WAITS) else wait + 1 << _BAND_AT)
        for at, (state, wait) in enumerate(SEVERITY)
    ],
    np.uint8,
)
"""Severity (index in SEVERITY) -> stored number."""
SEVERITIES = np.full(256, STATES.index(PageState.free), np.uint8)
"""Stored number -> severity; that of a free page for a number that this version does not know."""
SEVERITIES[list(STATES)] = np.arange(len(STATES))
SEVERITIES[NUMBERS] = np.arange(len(SEVERITY))
SHOWN_STATES = np.array([sight.state for sight in SEVERITY], np.uint8)
SHOWN_WAITS = np.array([sight.wait for sight in SEVERITY], np.uint8)
"""Severity -> the state and the wait that are shown."""
UNSEEN = STATES.index(PageState.unseen)
"""Severity of a page that a recording has not named yet."""
_N_STATES, _TRUNCATED, _BANDED = len(STATES), STATES.index(PageState.truncated), len(STATES) * len(WAITS)
_CLEAN, _DIRTY, _LOCKED, _WRITEBACK, _GONE, _PROTECTED, _MERGED, _COPIED, _EXCLUSIVE = (
    1 << STATES.index(state)
    for state in (
        PageState.clean,
        PageState.dirty,
        PageState.locked,
        PageState.writeback,
        PageState.gone,
        PageState.protected,
        PageState.merged,
        PageState.duplicated,
        PageState.exclusive,
    )
)
_FREE = STATES.index(PageState.free)
_WAITED_ON, _SWAPPED = 1 << _N_STATES, 1 << _N_STATES + 1


def _highest(applies: int) -> int:
    """Return the severity of a page to which these states and waits apply."""
    wait = (applies >> _N_STATES).bit_length()
    return wait * _N_STATES + max((applies % _WAITED_ON).bit_length() - 1, _FREE)


_HIGHEST = np.array([_highest(applies) for applies in range(1 << _N_STATES + 2)], np.uint8)
"""Bits of states and waits -> severity. A table, because branches on the states of pages are mostly mispredicted."""

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
    """Return the severity (index in SEVERITY) of a page; takes numbers, or columns of them."""
    applies = (
        (mapping != 0) * _CLEAN
        | (flags >> PG_DIRTY & 1) * _DIRTY
        | (flags >> PG_LOCKED & 1) * _LOCKED
        | (waiters > 0) * _WAITED_ON
        | (flags >> PG_WRITEBACK & 1) * _WRITEBACK
        | (marks & MARK_SWAPPED != 0) * _SWAPPED
        | (marks & MARK_TRUNCATED != 0) * _GONE
        | (marks & MARK_PROTECTED != 0) * _PROTECTED
        | (marks & MARK_MERGED != 0) * _MERGED
        | (marks & (MARK_PROTECTED | MARK_DUPLICATED) == MARK_PROTECTED | MARK_DUPLICATED) * _COPIED
        | (marks & (MARK_PROTECTED | MARK_EXCLUSIVE) == MARK_PROTECTED | MARK_EXCLUSIVE) * _EXCLUSIVE
    )
    return _HIGHEST[applies]


def severity_at(kind: int, severity: int) -> int:
    """Return the severity at the instant of an event, given the one after it: truncation is shown as a moment."""
    if kind == K_TRUNCATED and severity < _BANDED:
        return severity - severity % _N_STATES + _TRUNCATED
    return severity
