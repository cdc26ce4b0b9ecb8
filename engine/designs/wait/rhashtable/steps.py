"""The worker that resizes the table (lib/rhashtable.c: rht_deferred_worker(), rhashtable_rehash_table())."""

from __future__ import annotations

from engine.designs.wait.rhashtable.structures import move_chain, size_wanted
from engine.events import Kind
from engine.mm.steps import BLOCKED, own_steps
from engine.world.jit import jit
from engine.world.state import ASLEEP, NONE, World
from engine.world.trace import record

REHASH_WAIT, REHASH_MOVE, REHASH_PUBLISH = own_steps("wait", "rhashtable")
TABLE_RESIZED = int(Kind.table_resized)


@jit
def rehash_wait(w: World, task: int) -> int:
    """Sleep until a resize is wanted; then allocate the new table. Next: rehash_move, when woken or at once."""
    r = w.resizing
    r.wanted[0] = 0
    size = size_wanted(w)
    if size == r.size[0]:
        w.tasks.state[task] = ASLEEP
        return BLOCKED
    r.future[0] = size
    r.moved[0] = 0
    w.tasks.step[task] = REHASH_MOVE
    return max(1, w.rules.atomic_ns)


@jit
def rehash_move(w: World, task: int) -> int:
    """Move the next chain, under the locks of both buckets. Next: rehash_move; after the last, rehash_publish."""
    r = w.resizing
    moved = move_chain(w, r.moved[0])
    r.moved[0] += 1
    if r.moved[0] == r.size[0]:
        w.tasks.step[task] = REHASH_PUBLISH
    return max(1, w.rules.queue_lock_ns + moved * w.rules.entry_ns)


@jit
def rehash_publish(w: World, task: int) -> int:
    """Make the new table the one in use; the old one is freed after a grace period. Next: rehash_wait."""
    r = w.resizing
    before = r.size[0]
    r.table[0] = 1 - r.table[0]
    r.size[0] = r.future[0]
    r.future[0] = 0
    r.moved[0] = 0
    record(w, TABLE_RESIZED, task, NONE, before, r.size[0])
    w.tasks.step[task] = REHASH_WAIT
    return max(1, w.rules.atomic_ns)
