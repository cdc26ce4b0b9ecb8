"""Stable nodes: one per KSM page, found by contents; a node is dropped when page->mapping no longer names it.

The stable tree is searched in one step and the unstable tree in another: ksmd alone changes them. Chains of nodes with
the same contents (max_page_sharing) are not modelled.
"""

from __future__ import annotations

from typing import Any

from engine.events import Kind
from engine.mm.cache import drop_reference, mapping_seen, store_mapping, take_reference
from engine.mm.frames import ret
from engine.mm.steps import KSM_GOT, KSM_PIN
from engine.world.jit import inlined, jit
from engine.world.state import NONE, World
from engine.world.trace import record

KSM_PAGE_SET = int(Kind.ksm_page_set)
NODE_BASE = -0x77FF90000000
"""Start of the slab of stable nodes: 0xffff880070000000 as a signed word (direct map of 4.16)."""
NODE_BYTES = 64


@inlined
def node_word(w: World, node: int) -> int:
    """Return page->mapping of the KSM page of a node; of one that is not in the tree yet for NONE."""
    return (0 if node == NONE else NODE_BASE + node * NODE_BYTES) | w.rules.ksm_tag


@inlined
def set_node(w: World, task: int, page: int, node: int) -> None:
    """set_page_stable_node(), with the page locked."""
    before = w.pages.mapping[page]
    store_mapping(w, task, page, node_word(w, node))
    record(w, KSM_PAGE_SET, task, page, before, w.pages.mapping[page])


@jit
def node_of(w: World, page: int) -> Any:
    """Return the node that page->mapping names, or NONE."""
    seen = mapping_seen(w, page)
    for node in range(w.rules.n_pages):
        if w.ksm_nodes.page[node] == page and node_word(w, node) == seen:
            return node
    return NONE


@jit
def ksm_word(w: World, page: int) -> int:
    """Return what page->mapping of a KSM page must be: the word of its node; a page without one has only the tag."""
    return node_word(w, node_of(w, page))


@jit
def drop_node(w: World, node: int) -> None:
    """Forget a node whose page is no longer its own: remove_node_from_stable_tree()."""
    for item in range(w.rules.mms * w.rules.virtual_pages):
        if w.ksm_items.node[item] == node:
            w.ksm_items.node[item] = NONE
    w.ksm_nodes.page[node] = NONE
    w.ksm_nodes.contents[node] = 0
    w.ksm_nodes.items[node] = 0


@inlined
def _stale(w: World, task: int) -> None:
    """The node's page is not its own any more. Next: ret, without a page."""
    drop_node(w, w.ksmd.node[0])
    w.ksmd.found[0] = NONE
    ret(w, task)


@jit
def get_ksm_page(w: World, task: int) -> int:
    """Compare page->mapping with the node (ksmd.node). Next: pin_page; ret without a page if it is stale."""
    node = w.ksmd.node[0]
    if mapping_seen(w, w.ksm_nodes.page[node]) == node_word(w, node):
        w.tasks.step[task] = KSM_PIN
    else:
        _stale(w, task)
    return w.rules.atomic_ns


@jit
def pin_page(w: World, task: int) -> int:
    """Take a reference unless the page has none: get_page_unless_zero(). Next: got_page."""
    page = w.ksm_nodes.page[w.ksmd.node[0]]
    if w.pages.refcount[page] > 0:
        take_reference(w, task, page)
        w.tasks.step[task] = KSM_GOT
    else:
        _stale(w, task)
    return w.rules.atomic_ns


@jit
def got_page(w: World, task: int) -> int:
    """Compare page->mapping again, now that the page cannot be freed. Next: ret; ksmd.found is the page, or NONE."""
    node = w.ksmd.node[0]
    page = w.ksm_nodes.page[node]
    if mapping_seen(w, page) == node_word(w, node):
        w.ksmd.found[0] = page
        ret(w, task)
    else:
        drop_reference(w, task, page)
        _stale(w, task)
    return w.rules.atomic_ns
