"""ksmd: look at one entry after another, and merge its page with one of the same contents.

    ksm_scan  cmp_and_merge_page  search_stable  leave_tree  ── a KSM page has these contents ──> merge, append
                                                     └─ none ─> checksum  search_unstable ── a page has ──> merge two
                                                                              └─ none: wait there for another

A page whose checksum has changed since the last scan is left alone. The unstable tree is forgotten after each scan.
"""

from __future__ import annotations

from typing import Any

from engine.events import Kind
from engine.mm.cache import drop_reference, mapping_seen, take_reference
from engine.mm.frames import call, call_on, ret
from engine.mm.ksm.tree import drop_node, node_of, node_word, set_node
from engine.mm.steps import (
    KSM_APPEND,
    KSM_APPEND_LOCKED,
    KSM_APPENDED,
    KSM_BREAK,
    KSM_CHECK,
    KSM_CHECKSUM,
    KSM_DECIDE,
    KSM_FOUND,
    KSM_GET,
    KSM_INSERT,
    KSM_LEAVE,
    KSM_LEFT,
    KSM_MERGE,
    KSM_NEXT,
    KSM_SCAN,
    KSM_SEARCH,
    KSM_TWO,
    KSM_TWO_FIRST,
    KSM_TWO_SECOND,
    KSM_UNSTABLE,
    LOCK_PAGE,
    UNLOCK_PAGE,
)
from engine.world.jit import jit
from engine.world.state import KSM_PAGE, NONE, PTE_PRESENT, World
from engine.world.trace import record

KSM_SCANNED = int(Kind.ksm_scanned)


@jit
def _end_scan(w: World, task: int) -> None:
    """Forget the unstable tree, and record how many KSM pages there are, and how many entries more than these."""
    entries = w.rules.mms * w.rules.virtual_pages
    for item in range(entries):
        w.ksm_items.unstable[item] = 0
    shared, sharing = 0, 0
    for node in range(w.rules.n_pages):
        if w.ksm_nodes.items[node]:
            shared += 1
            sharing += w.ksm_nodes.items[node] - 1
    record(w, KSM_SCANNED, task, NONE, shared, sharing)
    w.ksmd.cursor[0] = 0
    w.ksmd.item[0] = NONE


@jit
def ksm_scan(w: World, task: int) -> int:
    """Take the page of the next entry. Next: cmp_and_merge_page; leave_tree for an entry that maps none; ret after the
    last entry, or after as many pages as ksmd looks at before it sleeps.

    mm/ksm.c: scan_get_next_rmap_item().
    """
    if w.tasks.argument[task] < w.program.arg[w.tasks.at[task]]:
        for row in range(w.ksmd.cursor[0], w.rules.mms * w.rules.virtual_pages):
            w.ksmd.item[0] = row
            w.ksmd.cursor[0] = row + 1
            if w.ptes.bits[row] & PTE_PRESENT:
                w.tasks.argument[task] += 1
                w.tasks.page[task] = w.ptes.page[row]
                take_reference(w, task, w.ptes.page[row])
                w.tasks.step[task] = KSM_CHECK
                return max(1, w.rules.atomic_ns)
            w.ksm_items.unstable[row] = 0
            if w.ksm_items.node[row] != NONE:
                w.tasks.page[task] = NONE
                w.tasks.step[task] = KSM_LEAVE
                return max(1, w.rules.atomic_ns)
        _end_scan(w, task)
    w.tasks.argument[task] = 0
    w.tasks.page[task] = 0
    ret(w, task)
    return max(1, w.rules.atomic_ns)


@jit
def cmp_and_merge_page(w: World, task: int) -> int:
    """Next: scan_next if the entry is in the right place already; search_stable, or leave_tree if the page is a KSM
    page that fork() has mapped once more.
    """
    page = w.tasks.page[task]
    node = w.ksm_items.node[w.ksmd.item[0]]
    if w.rmap.kind[page] == KSM_PAGE and node_of(w, page) != NONE:
        if node == node_of(w, page):
            w.tasks.step[task] = KSM_NEXT
        else:
            take_reference(w, task, page)
            w.tasks.second[task] = page
            w.tasks.step[task] = KSM_LEAVE
    else:
        w.tasks.step[task] = KSM_SEARCH
    return w.rules.atomic_ns


@jit
def search_stable(w: World, task: int) -> int:
    """Look for a KSM page with these contents. Next: get_ksm_page, then stable_found; leave_tree.

    mm/ksm.c: stable_tree_search().
    """
    contents = w.contents.value[w.tasks.page[task]]
    w.tasks.step[task] = KSM_LEAVE
    for node in range(w.rules.n_pages):
        if w.ksm_nodes.page[node] != NONE and w.ksm_nodes.contents[node] == contents:
            w.ksmd.node[0] = node
            call(w, task, KSM_GET, KSM_FOUND)
            break
    return w.rules.compare_ns


@jit
def stable_found(w: World, task: int) -> int:
    """Next: leave_tree; search_stable again if the node was stale."""
    w.tasks.second[task] = w.ksmd.found[0]
    w.ksmd.node[0] = NONE
    w.ksmd.found[0] = NONE
    w.tasks.step[task] = KSM_SEARCH if w.tasks.second[task] == NONE else KSM_LEAVE
    return 0


@jit
def leave_tree(w: World, task: int) -> int:
    """Take the entry out of the tree that it is in. Next: get_ksm_page and tree_left; decide.

    mm/ksm.c: remove_rmap_item_from_tree(). The page lock, which it takes against migration, is left out.
    """
    item = w.ksmd.item[0]
    w.ksm_items.unstable[item] = 0
    w.tasks.step[task] = KSM_DECIDE
    if w.ksm_items.node[item] != NONE:
        w.ksmd.node[0] = w.ksm_items.node[item]
        call(w, task, KSM_GET, KSM_LEFT)
    return 0


@jit
def tree_left(w: World, task: int) -> int:
    """Next: decide."""
    item, found = w.ksmd.item[0], w.ksmd.found[0]
    if found != NONE:
        w.ksm_nodes.items[w.ksmd.node[0]] -= 1
        w.ksm_items.node[item] = NONE
        drop_reference(w, task, found)
    w.ksmd.node[0] = NONE
    w.ksmd.found[0] = NONE
    w.tasks.step[task] = KSM_DECIDE
    return w.rules.atomic_ns


@jit
def decide(w: World, task: int) -> int:
    """Next: try_to_merge_one_page, then append, if a KSM page was found; checksum; ksm_scan if nothing is mapped."""
    if w.tasks.page[task] == NONE:
        w.tasks.step[task] = KSM_SCAN
    elif w.tasks.second[task] == NONE:
        w.tasks.step[task] = KSM_CHECKSUM
    else:
        page, other = w.tasks.page[task], w.tasks.second[task]
        call_on(w, task, KSM_MERGE, KSM_APPEND, page, other, w.ksmd.item[0])
    return 0


@jit
def append(w: World, task: int) -> int:
    """Next: lock_page of the KSM page, then append_locked; append_end if the page was not merged."""
    if w.ksmd.merged[0]:
        call_on(w, task, LOCK_PAGE, KSM_APPEND_LOCKED, w.tasks.second[task], NONE, 0)
    else:
        w.tasks.step[task] = KSM_APPENDED
    return 0


@jit
def append_locked(w: World, task: int) -> int:
    """stable_tree_append(). Next: unlock_page of the KSM page, then append_end."""
    other = w.tasks.second[task]
    node = node_of(w, other)
    if node != NONE:
        w.ksm_items.node[w.ksmd.item[0]] = node
        w.ksm_nodes.items[node] += 1
    call_on(w, task, UNLOCK_PAGE, KSM_APPENDED, other, NONE, 0)
    return w.rules.atomic_ns


@jit
def append_end(w: World, task: int) -> int:
    """Drop the reference on the KSM page. Next: scan_next."""
    drop_reference(w, task, w.tasks.second[task])
    w.tasks.second[task] = NONE
    w.tasks.step[task] = KSM_NEXT
    return w.rules.atomic_ns


@jit
def checksum(w: World, task: int) -> int:
    """A page that changes is not merged. Next: search_unstable if the checksum is that of the last scan; scan_next."""
    item, contents = w.ksmd.item[0], w.contents.value[w.tasks.page[task]]
    w.tasks.step[task] = KSM_UNSTABLE if w.ksm_items.checksum[item] == contents + 1 else KSM_NEXT
    w.ksm_items.checksum[item] = contents + 1
    return w.rules.compare_ns


@jit
def _match(w: World, page: int) -> Any:
    """Return the first entry in the unstable tree whose page has the contents of this one, or NONE."""
    for item in range(w.rules.mms * w.rules.virtual_pages):
        waits = w.ksm_items.unstable[item] & w.ptes.bits[item] & PTE_PRESENT
        if waits and w.contents.value[w.ptes.page[item]] == w.contents.value[page]:
            return item
    return NONE


@jit
def search_unstable(w: World, task: int) -> int:
    """Look for a page with these contents, by which the entry waits if there is none. Next: merge_two; scan_next.

    mm/ksm.c: unstable_tree_search_insert().
    """
    page, other = w.tasks.page[task], _match(w, w.tasks.page[task])
    w.tasks.step[task] = KSM_NEXT
    if other == NONE:
        w.ksm_items.unstable[w.ksmd.item[0]] = 1
    elif w.ptes.page[other] != page:
        w.ksmd.other[0] = other
        w.tasks.second[task] = w.ptes.page[other]
        take_reference(w, task, w.ptes.page[other])
        w.tasks.step[task] = KSM_TWO
    return w.rules.compare_ns


@jit
def merge_two(w: World, task: int) -> int:
    """Make the page a KSM page. Next: try_to_merge_one_page, then merge_other. try_to_merge_two_pages()"""
    call_on(w, task, KSM_MERGE, KSM_TWO_FIRST, w.tasks.page[task], NONE, w.ksmd.item[0])
    return 0


@jit
def merge_other(w: World, task: int) -> int:
    """Merge the other page with it. Next: try_to_merge_one_page, then merge_done; append_end if it is no KSM page."""
    if w.ksmd.merged[0]:
        call_on(w, task, KSM_MERGE, KSM_TWO_SECOND, w.tasks.second[task], w.tasks.page[task], w.ksmd.other[0])
    else:
        w.tasks.step[task] = KSM_APPENDED
    return 0


@jit
def merge_done(w: World, task: int) -> int:
    """Next: lock_page, then insert_node; break_ksm, then append_end, if the other page was not merged."""
    page = w.tasks.page[task]
    if w.ksmd.merged[0]:
        call(w, task, LOCK_PAGE, KSM_INSERT)
    else:
        call_on(w, task, KSM_BREAK, KSM_APPENDED, page, NONE, w.ksmd.item[0])
    return 0


@jit
def _unused_node(w: World) -> Any:
    """Return the first node that is free or stale; there are as many nodes as pages."""
    for node in range(w.rules.n_pages):
        page = w.ksm_nodes.page[node]
        if page == NONE:
            return node
        if mapping_seen(w, page) != node_word(w, node):
            drop_node(w, node)
            return node
    return NONE


@jit
def insert_node(w: World, task: int) -> int:
    """Put the KSM page into the stable tree with both entries. Next: unlock_page, then append_end.

    mm/ksm.c: stable_tree_insert(), stable_tree_append().
    """
    page, item, other = w.tasks.page[task], w.ksmd.item[0], w.ksmd.other[0]
    node = _unused_node(w)
    w.ksm_nodes.page[node] = page
    w.ksm_nodes.contents[node] = w.contents.value[page]
    w.ksm_nodes.items[node] = 2
    w.ksm_items.node[item] = node
    w.ksm_items.node[other] = node
    w.ksm_items.unstable[other] = 0
    set_node(w, task, page, node)
    call(w, task, UNLOCK_PAGE, KSM_APPENDED)
    return w.rules.atomic_ns


@jit
def scan_next(w: World, task: int) -> int:
    """Drop the reference on the page. Next: ksm_scan."""
    drop_reference(w, task, w.tasks.page[task])
    w.ksmd.item[0] = NONE
    w.ksmd.other[0] = NONE
    w.ksmd.merged[0] = 0
    w.tasks.step[task] = KSM_SCAN
    return w.rules.atomic_ns
