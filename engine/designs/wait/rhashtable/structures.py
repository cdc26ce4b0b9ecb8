"""The hash table itself: chains, lookup, insertion and removal (include/linux/rhashtable.h, lib/rhashtable.c).

A change to a chain is one step, as it is made under the bucket's lock. A lookup is one step too: under RCU it sees the
chain as it was before a change or as it is after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.designs.wait.rhashtable.tables import SIZE_MAX
from engine.mm.wait_list import make_ready
from engine.world.jit import inlined, jit
from engine.world.state import ASLEEP, NONE, World

GOLDEN_RATIO_64 = np.uint64(0x61C8864680B583EB)
HASH_SHIFT = np.uint64(48)


@inlined
def bucket_of(w: World, page: int, table: int, size: int) -> Any:
    """Return the row of the bucket that a page belongs to in one of the two tables."""
    address: Any = w.pages.address[page]
    hash = np.int64((address * GOLDEN_RATIO_64) >> HASH_SHIFT)
    return table * w.resizing.most[0] + (hash & (size - 1))


@jit
def _in_chain(w: World, bucket: int, page: int) -> Any:
    element = w.buckets.head[bucket]
    while element != NONE and w.elements.page[element] != page:
        element = w.elements.next[element]
    return element


@jit
def find(w: World, page: int) -> Any:
    """Return the page's element or NONE: from the table in use, then from the new one during a resize."""
    r = w.resizing
    element = _in_chain(w, bucket_of(w, page, r.table[0], r.size[0]), page)
    if element == NONE and r.future[0]:
        element = _in_chain(w, bucket_of(w, page, 1 - r.table[0], r.future[0]), page)
    return element


@jit
def link(w: World, element: int) -> None:
    """Put an element at the head of its chain, in the new table during a resize."""
    r, page = w.resizing, w.elements.page[element]
    bucket = bucket_of(w, page, r.table[0], r.size[0])
    if r.future[0]:
        bucket = bucket_of(w, page, 1 - r.table[0], r.future[0])
    w.elements.next[element] = w.buckets.head[bucket]
    w.buckets.head[bucket] = element


@jit
def _cut(w: World, bucket: int, element: int) -> bool:
    """Take an element off a chain; return False if it is not there."""
    before, at = NONE, w.buckets.head[bucket]
    while at not in (NONE, element):
        before, at = at, w.elements.next[at]
    if at == NONE:
        return False
    after = w.elements.next[element]
    if before == NONE:
        w.buckets.head[bucket] = after
    else:
        w.elements.next[before] = after
    w.elements.next[element] = NONE
    return True


@jit
def unlink_element(w: World, element: int) -> None:
    """Take an element out of the table that it is in."""
    r, page = w.resizing, w.elements.page[element]
    if not _cut(w, bucket_of(w, page, r.table[0], r.size[0]), element):
        _cut(w, bucket_of(w, page, 1 - r.table[0], r.future[0]), element)


@jit
def move_chain(w: World, bucket: int) -> int:
    """Move a bucket's elements from the table in use to the new table; return their number."""
    r, moved = w.resizing, 0
    start = r.table[0] * r.most[0] + bucket
    while w.buckets.head[start] != NONE:
        element = w.buckets.head[start]
        w.buckets.head[start] = w.elements.next[element]
        to = bucket_of(w, w.elements.page[element], 1 - r.table[0], r.future[0])
        w.elements.next[element] = w.buckets.head[to]
        w.buckets.head[to] = element
        moved += 1
    return moved


@inlined
def size_wanted(w: World) -> Any:
    """Return the size that the table should have: doubled above 75 % of it, halved below 30 %."""
    r = w.resizing
    size = r.size[0]
    if 4 * r.elements[0] > 3 * size and size < r.most[0]:
        return 2 * size
    if r.shrinks[0] and 10 * r.elements[0] < 3 * size and size > r.least[0]:
        return size // 2
    return size


@inlined
def schedule_resize(w: World) -> None:
    """schedule_work(): wake the worker if the table has grown too full or too empty, and no resize is under way."""
    r = w.resizing
    if r.future[0] == 0 and r.wanted[0] == 0 and size_wanted(w) != r.size[0]:
        r.wanted[0] = 1
        worker = w.rules.first_actor
        if w.tasks.state[worker] == ASLEEP:
            make_ready(w, worker, w.rules.latency_ns)


@inlined
def to_pool(w: World, element: int) -> None:
    """Return an element to the pool."""
    w.elements.free_next[element] = w.resizing.free[0]
    w.resizing.free[0] = element


assert SIZE_MAX == 1 << 64 - 48, "HASH_SHIFT must leave the bits of the hash that choose a bucket"
