"""Free pages and anonymous ones (mm/page_alloc.c, mm/rmap.c)."""

from __future__ import annotations

from typing import Any

from engine.world.jit import jit
from engine.world.state import ANON_PAGE, FREE_PAGE, NO_TYPE, NONE, World


@jit
def alloc_anon_page(w: World, virtual: int) -> Any:
    """Return the lowest free page as an anonymous page for this virtual page, with one reference; NONE if none is free.

    mm/page_alloc.c: alloc_pages_vma(); mm/rmap.c: page_add_new_anon_rmap() sets page->mapping.
    """
    for page in range(w.clock[FREE_PAGE], w.rules.n_pages):
        if w.rmap.kind[page] == NO_TYPE:
            w.clock[FREE_PAGE] = page + 1
            w.rmap.kind[page] = ANON_PAGE
            w.rmap.virtual[page] = virtual
            w.pages.index[page] = virtual
            w.pages.mapping[page] = w.rules.anon_word
            w.pages.refcount[page] = 1
            return page
    return NONE
