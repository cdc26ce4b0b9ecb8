"""The timed scheduler: steps cost nanoseconds, tasks run on CPUs, the task with the earliest pending event runs next.

Pending events are one word each, time << 20 | task, in a 4-ary heap; at equal times the lower task number goes first.
The running task's event stays at the root while its steps run and is overwritten by its next one. Steps that cost
nothing run back to back.
"""

from __future__ import annotations

from engine.mm.filemap import lock_page, unlock_page
from engine.mm.program import hold, next_op, pick, think
from engine.mm.steps import HOLD, LOCK_PAGE, NEXT_OP, OFF_CPU, PICK, SPIN, THINK, UNLOCK_PAGE
from engine.world.dispatch import step
from engine.world.jit import inlined, jit
from engine.world.state import CAPACITY, EVENTS, NONE, NOW, PENDING, SLACK, SPINNING, WOKEN, World

TASK_BITS = 20
TASK_MASK = (1 << TASK_BITS) - 1
NEVER = (1 << 43) - 1
"""Latest time that a pending event can hold, in ns; no run lasts that long (scenario.TIME_MAX_NS)."""

# Why run_batch returned.
FULL, IDLE, TIME_UP, STUCK = range(4)
TURNS_MAX = 1 << 24
"""Turns of tasks after which run_batch returns even if the trace is not full: about a second."""
FREE_STEPS_MAX = 10_000_000
"""Steps that one task may take at one instant: with more, its program never lets time pass."""


@inlined
def _sift_down(w: World, size: int, key: int) -> None:
    """Put key at the root of a heap of `size` entries and sift it down."""
    heap = w.machine.heap
    n = size
    at = 0
    child = 1
    while child + 3 < n:  # four children: the smaller of each pair, then of both
        one, two = heap[child], heap[child + 1]
        left = child + (two < one)
        low = min(one, two)
        one, two = heap[child + 2], heap[child + 3]
        right = child + 2 + (two < one)
        other = min(one, two)
        least = right if other < low else left
        low = min(low, other)
        if key <= low:
            heap[at] = key
            return
        heap[at] = low
        at = least
        child = (at << 2) + 1
    if child < n:
        least, low = child, heap[child]
        other = child + 1
        while other < n:
            if heap[other] < low:
                least, low = other, heap[other]
            other += 1
        if low < key:
            heap[at] = low
            at = least
    heap[at] = key


@inlined
def _push(w: World, key: int) -> None:
    heap = w.machine.heap
    at = w.clock[PENDING]
    w.clock[PENDING] += 1
    while at > 0:
        parent = (at - 1) >> 2
        if key >= heap[parent]:
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = key


@inlined
def _drop_root(w: World) -> None:
    w.clock[PENDING] -= 1
    size = w.clock[PENDING]
    if size > 0:
        _sift_down(w, size, w.machine.heap[size])


@jit
def _spin(w: World, task: int) -> None:
    """Append the task to the spinners on the lock it wants."""
    row = w.tasks.spins_on[task]
    w.tasks.state[task] = SPINNING
    w.tasks.spin_next[task] = NONE
    last = w.lists.spin_tail[row]
    if last == NONE:
        w.lists.spin_head[row] = task
    else:
        w.tasks.spin_next[last] = task
    w.lists.spin_tail[row] = task


@jit
def _get_cpu(w: World, task: int) -> bool:
    """Take the task's CPU. If another task has it, queue the task for it and return False."""
    cpu = w.tasks.cpu[task]
    owner = w.machine.owner[cpu]
    if owner in (NONE, task):
        w.machine.owner[cpu] = task
        return True
    w.tasks.run_next[task] = NONE
    last = w.machine.run_tail[cpu]
    if last == NONE:
        w.machine.run_head[cpu] = task
    else:
        w.tasks.run_next[last] = task
    w.machine.run_tail[cpu] = task
    return False


@jit
def _leave_cpu(w: World, task: int) -> None:
    """Give the task's CPU to the next task queued for it, which runs a context switch later."""
    cpu = w.tasks.cpu[task]
    after = w.machine.run_head[cpu]
    w.machine.owner[cpu] = after
    if after != NONE:
        w.machine.run_head[cpu] = w.tasks.run_next[after]
        if w.machine.run_head[cpu] == NONE:
            w.machine.run_tail[cpu] = NONE
        at = w.clock[WOKEN]
        w.machine.woken[at] = after
        w.machine.woken_delay[at] = w.rules.switch_ns
        w.clock[WOKEN] += 1


@jit
def start(w: World) -> None:
    """Make every task pending at time 0; actors sleep until there is work."""
    for task in range(w.rules.first_actor):
        _push(w, task)


@inlined
def _step(w: World, task: int) -> int:
    """Like step(), with the steps that most runs take most often inlined into the loop."""
    at = w.tasks.step[task]
    if at == THINK:
        return think(w, task)
    if at == PICK:
        return pick(w, task)
    if at == LOCK_PAGE:
        return lock_page(w, task)
    if at == HOLD:
        return hold(w, task)
    if at == UNLOCK_PAGE:
        return unlock_page(w, task)
    if at == NEXT_OP:
        return next_op(w, task)
    return step(w, task)


@jit
def run_batch(w: World, room: int, until: int) -> int:
    """Play until the trace holds `room` events (or has at most SLACK places left), or time passes `until`, in ns.

    Returns the reason: FULL (also after TURNS_MAX turns, whatever the trace holds), IDLE (no event is pending),
    TIME_UP, STUCK (a task never lets time pass).
    """
    room = min(room, CAPACITY - SLACK)
    turns = 0
    while w.clock[EVENTS] < room and turns < TURNS_MAX:
        turns += 1
        if w.clock[PENDING] == 0:
            return IDLE
        top = w.machine.heap[0]
        now = top >> TASK_BITS
        if now > until:
            return TIME_UP
        task = top & TASK_MASK
        w.clock[NOW] = now
        if w.rules.cpus > 0 and not _get_cpu(w, task):
            _drop_root(w)
            continue
        cost = 0
        free_steps = -1
        while cost == 0:
            cost = _step(w, task)
            free_steps += 1
            if free_steps > FREE_STEPS_MAX:
                return STUCK
            if w.clock[EVENTS] >= CAPACITY - SLACK:
                if cost == 0:
                    return FULL  # its event is still at the root: the next batch continues it at this instant
                break
        if cost > 0:
            off_cpu = cost >= OFF_CPU
            if off_cpu:
                cost -= OFF_CPU
            if off_cpu and w.rules.cpus > 0:
                _leave_cpu(w, task)
            _sift_down(w, w.clock[PENDING], (min(now + cost, NEVER) << TASK_BITS) | task)
        else:
            if cost == SPIN:
                _spin(w, task)
            elif w.rules.cpus > 0:
                _leave_cpu(w, task)
            _drop_root(w)
        woken = w.clock[WOKEN]
        if woken > 0:
            i = 0
            while i < woken:
                at = min(now + w.machine.woken_delay[i], NEVER)
                _push(w, (at << TASK_BITS) | w.machine.woken[i])
                i += 1
            w.clock[WOKEN] = 0
    return FULL
