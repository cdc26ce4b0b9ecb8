"""break_ksm(): an entry that maps a KSM page gets a page of its own, as a write fault would give it.

Which entry is in tasks.argument; tasks.page is the KSM page, tasks.second the copy.
"""

from __future__ import annotations

from engine.events import Kind
from engine.mm.anon import alloc_anon_page
from engine.mm.cache import drop_reference, take_reference
from engine.mm.contents import copy_contents
from engine.mm.frames import call_on, ret
from engine.mm.page_table import own_row, same_entry
from engine.mm.steps import KSM_BREAK, KSM_BROKEN, KSM_UNMERGED
from engine.mm.wp_page import install_copy
from engine.world.jit import jit
from engine.world.state import KSM_PAGE, NONE, World
from engine.world.trace import record

PAGE_COPIED = int(Kind.page_copied)


@jit
def unmerge(w: World, task: int) -> int:
    """What madvise(MADV_UNMERGEABLE) does to one entry; here it stays mergeable. Next: break_ksm, then unmerge_end."""
    row = own_row(w, task, w.tasks.page[task])
    call_on(w, task, KSM_BREAK, KSM_UNMERGED, w.ptes.page[row], NONE, row)
    return w.rules.atomic_ns


@jit
def unmerge_end(w: World, task: int) -> int:
    """Next: ret."""
    ret(w, task)
    return 0


@jit
def break_ksm(w: World, task: int) -> int:
    """Copy the KSM page that the entry maps. Next: break_install; ret if it maps another page, or no page is free."""
    page, row = w.tasks.page[task], w.tasks.argument[task]
    if page == NONE or w.rmap.kind[page] != KSM_PAGE or not same_entry(w, row, page):
        ret(w, task)
        return w.rules.atomic_ns
    copy = alloc_anon_page(w, row - row // w.rules.virtual_pages * w.rules.virtual_pages)
    if copy == NONE:
        ret(w, task)
        return max(1, w.rules.fault_ns)
    record(w, PAGE_COPIED, task, copy, w.rules.anon_word, page)
    copy_contents(w, page, copy)
    take_reference(w, task, page)
    w.tasks.second[task] = copy
    w.tasks.step[task] = KSM_BROKEN
    return w.rules.fault_ns + w.rules.copy_ns


@jit
def break_install(w: World, task: int) -> int:
    """Let the entry map the copy. Next: ret."""
    page = w.tasks.page[task]
    cost = install_copy(w, task, w.tasks.argument[task], page, w.tasks.second[task])
    drop_reference(w, task, page)
    w.tasks.second[task] = NONE
    ret(w, task)
    return cost
