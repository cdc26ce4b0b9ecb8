"""A CPU's write meets a protected page: it takes the page back, waits, or fails (Rules.policy).

Where writes fail, a program that was modified (tasks.modified) asks the device's library for the page first: it takes
the page back.

The question is asked with the page locked, wherever a path is about to make an entry writable or to change the page.
A path that takes the page back keeps the lock meanwhile, and asks again.
"""

from __future__ import annotations

from engine.designs.protect.options import BREAK, REFUSE, WAIT
from engine.events import Kind
from engine.mm.cache import drop_reference
from engine.mm.frames import call, ret
from engine.mm.page_table import PROTECTED, refuse, vm_shared
from engine.mm.protect import end_protection
from engine.mm.steps import (
    BLOCKED,
    FIND_SLOT,
    FOUND_UNLOCK,
    MKWRITE_CHECK,
    PROTECTED_BREAK,
    PROTECTED_BROKEN,
    PROTECTED_REFUSED,
    PROTECTED_RESUME,
    PROTECTED_SLEEP,
    PROTECTED_WRITE,
    PROTECTED_WRITE_AGAIN,
    PROTECTED_WRITE_SLEEP,
    UNLOCK_PAGE,
    WP_ANON_LOCKED,
    WRITE_COPY,
)
from engine.world.jit import inlined, jit
from engine.world.state import ASLEEP, FILE_PAGE, NONE, NOW, World
from engine.world.trace import record
from engine.world.verbs import protect_holds

FAULT_BLOCKED, FAULT_RESUMED, FAULT_REFUSED = int(Kind.fault_blocked), int(Kind.fault_resumed), int(Kind.fault_refused)


@inlined
def meet(w: World, task: int, page: int) -> None:
    record(w, FAULT_BLOCKED, task, page, w.protection.owner[page], 0)
    w.sleepers.since[task] = w.clock[NOW]


@inlined
def _go_on(w: World, task: int, page: int) -> None:
    record(w, FAULT_RESUMED, task, page, w.clock[NOW] - w.sleepers.since[task], 0)


@jit
def protected_fault(w: World, task: int) -> int:
    """Write fault, page locked, with a reference. Next: break_begin, then the check again; unlock_page, then refused or
    sleep_for_page.
    """
    meet(w, task, w.tasks.page[task])
    if w.rules.policy == REFUSE and not w.tasks.modified[task]:
        call(w, task, UNLOCK_PAGE, PROTECTED_REFUSED)
    elif w.rules.policy == WAIT:
        call(w, task, UNLOCK_PAGE, PROTECTED_SLEEP)
    elif vm_shared(w, task) and w.rmap.kind[w.tasks.page[task]] == FILE_PAGE:
        call(w, task, PROTECTED_BREAK, MKWRITE_CHECK)
    else:
        call(w, task, PROTECTED_BREAK, WP_ANON_LOCKED)
    return w.rules.owner_ns


@jit
def break_begin(w: World, task: int) -> int:
    """Ask the device for the page: it stops using it and flushes its caches. Next: break_end. Devices with copies are
    asked one after another, each through its notifier.
    """
    w.tasks.step[task] = PROTECTED_BROKEN
    asked = 0
    if w.rules.keeps_copies:
        for device in range(w.rules.n_devices):
            asked += w.copies.held[device * w.rules.n_pages + w.tasks.page[task]]
    return max(1, asked) * w.rules.break_ns + w.rules.unprotect_ns


@jit
def break_end(w: World, task: int) -> int:
    """End the protection, the page still locked. Next: ret."""
    page = w.tasks.page[task]
    if protect_holds(w, page):
        end_protection(w, task, page, 1)
    _go_on(w, task, page)
    ret(w, task)
    return 0


@jit
def refused(w: World, task: int) -> int:
    """The write fails. Next: ret, from the fault and from the operation."""
    page = w.tasks.page[task]
    drop_reference(w, task, page)
    return refuse(w, task, page, PROTECTED)


@inlined
def _asleep(w: World, task: int, page: int) -> int:
    """Sleep unless the protection has ended; looking and sleeping are one step, under the lock of a wait queue."""
    if protect_holds(w, page):
        w.sleepers.page[task] = page
        w.tasks.state[task] = ASLEEP
        return BLOCKED
    return 0


@jit
def sleep_for_page(w: World, task: int) -> int:
    """Drop the fault's reference and sleep until the protection ends. Next: resume."""
    page = w.tasks.page[task]
    drop_reference(w, task, page)
    w.tasks.step[task] = PROTECTED_RESUME
    return _asleep(w, task, page)


@jit
def resume(w: World, task: int) -> int:
    """The protection has ended. Next: ret, and the access is made again."""
    page = w.tasks.page[task]
    w.sleepers.page[task] = NONE
    _go_on(w, task, page)
    ret(w, task)
    return max(1, w.rules.atomic_ns)


@jit
def write_check(w: World, task: int) -> int:
    """write(2) with the page locked. Next: write_copy; break_begin and this step; unlock_page and write_sleep, or
    found_unlock if it fails (EFAULT).
    """
    page = w.tasks.page[task]
    if not w.rules.all_paths or not protect_holds(w, page):
        w.tasks.step[task] = WRITE_COPY
        return 0
    meet(w, task, page)
    if w.rules.policy == BREAK or (w.rules.policy == REFUSE and w.tasks.modified[task]):
        call(w, task, PROTECTED_BREAK, PROTECTED_WRITE)
    elif w.rules.policy == REFUSE:
        record(w, FAULT_REFUSED, task, page, PROTECTED, 0)
        w.tasks.step[task] = FOUND_UNLOCK
    else:
        call(w, task, UNLOCK_PAGE, PROTECTED_WRITE_SLEEP)
    return w.rules.owner_ns


@jit
def write_sleep(w: World, task: int) -> int:
    """Drop the lookup's reference and sleep until the protection ends. Next: write_again."""
    page = w.tasks.page[task]
    w.tasks.holds[task] -= 1
    drop_reference(w, task, page)
    w.tasks.step[task] = PROTECTED_WRITE_AGAIN
    return _asleep(w, task, page)


@jit
def write_again(w: World, task: int) -> int:
    """The protection has ended: look the page up again. Next: find_slot."""
    w.sleepers.page[task] = NONE
    _go_on(w, task, w.tasks.page[task])
    w.tasks.step[task] = FIND_SLOT
    return max(1, w.rules.atomic_ns)
