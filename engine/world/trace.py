"""record() and its variants append events; broken() and witness() record what a step has observed."""

from __future__ import annotations

import numpy as np

from engine.events import Kind
from engine.world.jit import INTERPRETED, inlined, jit
from engine.world.packers import (
    pack_entry,
    pack_flush,
    pack_pte,
    pack_range,
    pack_transfer,
    pack_unprotected,
    pack_walk,
)
from engine.world.state import BROKEN, CAPACITY, EVENTS, NONE, NOW, OVERFLOW, SEEN, World

INVARIANT_BROKEN, WALK_ENDED = int(Kind.invariant_broken), int(Kind.walk_ended)
TLB_FLUSHED, NOTIFIER_RANGE = int(Kind.tlb_flushed), int(Kind.notifier_range)
PAGE_UNPROTECTED = int(Kind.page_unprotected)


@inlined
def record(w: World, kind: int, task: int, page: int, a: int, b: int) -> None:
    """Append one event at the time now, on the task's CPU. The scheduler guarantees room for it (state.SLACK)."""
    if INTERPRETED:
        assert task == NONE or 0 <= task < w.rules.n_tasks, "an event names a task that is not there"
        assert page == NONE or 0 <= page < w.rules.n_pages, "an event names a page that is not there"
    at = w.clock[EVENTS]
    if at >= CAPACITY:  # do not write beyond the arrays; cut_batch() rejects the batch
        w.clock[OVERFLOW] = kind
        return
    trace = w.trace
    trace.time[at] = w.clock[NOW]
    trace.kind[at] = kind
    trace.cpu[at] = w.tasks.cpu[task]
    trace.task[at] = task
    trace.page[at] = page
    trace.a[at] = a
    trace.b[at] = b
    w.clock[EVENTS] += 1


@inlined
def record_entry(
    w: World, kind: int, task: int, page: int, queue: int, length: int, bit: int, flags: int, unflagged: int
) -> None:
    """Append an event of a wait entry: the words of engine.events.ENTRY."""
    a, b = pack_entry(queue, length, bit, flags, unflagged)
    record(w, kind, task, page, a, b)


@inlined
def record_walk(
    w: World,
    task: int,
    page: int,
    queue: int,
    stop: int,
    cleared: int,
    other_bit: int,
    walked: int,
    matched: int,
    woken: int,
) -> None:
    """Append the event of a walk that ended: the words of engine.events.WALK."""
    a, b = pack_walk(queue, stop, cleared, other_bit, walked, matched, woken)
    record(w, WALK_ENDED, task, page, a, b)


@inlined
def record_pte(w: World, kind: int, task: int, page: int, row: int, bits: int, last: int) -> None:
    """Append an event of a page table entry: the words of engine.events.PTE or FAULT; last: the field in word b."""
    mm = row // w.rules.virtual_pages
    a, b = pack_pte(mm, row - mm * w.rules.virtual_pages, bits, last)
    record(w, kind, task, page, a, b)


@inlined
def record_flush(w: World, task: int, page: int, mm: int, cpus: int) -> None:
    """Append an event of a TLB flush: the words of engine.events.FLUSH."""
    a, b = pack_flush(mm, cpus)
    record(w, TLB_FLUSHED, task, page, a, b)


@inlined
def record_range(w: World, task: int, page: int, mm: int, notifier: int, pages: int) -> None:
    """Append an event of an MMU notifier range, begun and ended in this step: the words of engine.events.RANGE."""
    a, b = pack_range(mm, notifier, pages)
    record(w, NOTIFIER_RANGE, task, page, a, b)


@inlined
def record_unprotected(w: World, task: int, page: int, broken: int, held_ns: int) -> None:
    """Append the event of a protection that ended: the words of engine.events, Kind.page_unprotected."""
    a, b = pack_unprotected(w.pages.mapping[page], broken, held_ns)
    record(w, PAGE_UNPROTECTED, task, page, a, b)


@inlined
def record_transfer(w: World, kind: int, task: int, page: int, bytes: int, local: int, took_ns: int) -> None:
    """Append an event of a device's read or atomic: the words of engine.events.TRANSFER."""
    a, b = pack_transfer(w.tasks.device[task], bytes, local, took_ns)
    record(w, kind, task, page, a, b)


@jit
def broken(w: World, task: int, page: int, invariant: int) -> None:
    """Record that this step of the task breaks an invariant (its number in engine.invariants)."""
    if not w.clock[BROKEN] >> invariant & 1:
        w.clock[BROKEN] |= int(np.int64(1) << np.int64(invariant))
        record(w, INVARIANT_BROKEN, task, page, invariant, 0)


@inlined
def witness(w: World, number: int) -> None:
    """Record that this step showed a witness of a litmus test (its number in engine.invariants.WITNESSES)."""
    w.clock[SEEN] |= int(np.int64(1) << np.int64(number))
