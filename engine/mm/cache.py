"""Page cache: look up, insert, delete, and the references they take (mm/filemap.c, mm/swap.c)."""

from __future__ import annotations

from engine.events import Kind
from engine.invariants import BUG_ON, COUNTS, FREED_IN_TLB, WILD_DEREFERENCE, WRONG_IDENTITY
from engine.mm.contents import count_write
from engine.mm.frames import ret
from engine.mm.mapping import PAGE_MAPPING_KSM, POINTER_BITS
from engine.world.jit import inlined, jit
from engine.world.state import ANON_PAGE, FREE_PAGE, KSM_PAGE, NO_TYPE, NONE, World
from engine.world.trace import broken, record
from engine.world.verbs import mapping_holds, protect_mapping, read_mapping, write_mapping

PAGE_PINNED, PAGE_PUT, PAGE_FREED = int(Kind.page_pinned), int(Kind.page_put), int(Kind.page_freed)
PAGE_INSERTED, PAGE_REMOVED = int(Kind.page_inserted), int(Kind.page_removed)
LOOKUP_RETRIED = int(Kind.lookup_retried)
NULL = 0


@inlined
def take_reference(w: World, task: int, page: int) -> None:
    w.pages.refcount[page] += 1
    record(w, PAGE_PINNED, task, page, w.pages.refcount[page], 0)


@jit
def _check_tlbs(w: World, task: int, page: int) -> None:
    """Check that no TLB still maps a page that is freed."""
    for row in range(w.rules.mms * w.rules.virtual_pages):
        if w.swap_entries.stale[row] == page:
            broken(w, task, page, FREED_IN_TLB)


@jit
def _free_page(w: World, task: int, page: int) -> None:
    """Free a page without references (mm/page_alloc.c: free_pages_prepare() clears all flags)."""
    if w.pages.refcount[page] < 0:
        broken(w, task, page, COUNTS)
        return
    record(w, PAGE_FREED, task, page, w.pages.mapping[page], w.pages.flags[page])
    if w.pages.mapping[page] & (POINTER_BITS & ~PAGE_MAPPING_KSM):
        broken(w, task, page, BUG_ON)  # bad_page(): a non-NULL mapping, without a tag that freeing clears
    w.pages.mapping[page] = NULL
    w.pages.flags[page] = 0
    w.pages.owner[page] = NONE
    if w.rules.mapped:
        if w.rules.swaps:
            _check_tlbs(w, task, page)
        if w.rules.contents:
            w.contents.value[page] = 0
        count_write(w, page)
        if w.rmap.kind[page] in (ANON_PAGE, KSM_PAGE):
            w.pages.index[page] = 0
            w.rmap.virtual[page] = 0
        w.rmap.kind[page] = NO_TYPE
        w.clock[FREE_PAGE] = min(w.clock[FREE_PAGE], page)


@inlined
def drop_reference(w: World, task: int, page: int) -> None:
    """Drop a reference; the last one frees the page."""
    w.pages.refcount[page] -= 1
    record(w, PAGE_PUT, task, page, w.pages.refcount[page], 0)
    if w.pages.refcount[page] <= 0:
        _free_page(w, task, page)


@inlined
def mapping_seen(w: World, page: int) -> int:
    """Return the page's mapping as the helper sees it, behind what the wait and protect designs keep in the word."""
    seen: int = read_mapping(w, page)
    if w.rules.attaches:
        seen = protect_mapping(w, page, seen)
    return seen


@inlined
def follow_mapping(w: World, task: int, page: int, null: bool) -> None:
    """Call page_mapping() and dereference the result; null: NULL is allowed too, and not dereferenced.

    For a page in the swap cache it answers with the swap area's mapping, without a look at page->mapping.
    """
    if w.rules.swaps and w.swap_pages.slot[page] != NONE:
        return
    seen = mapping_seen(w, page)
    if seen & POINTER_BITS or not (null or seen):
        broken(w, task, page, WILD_DEREFERENCE)


@inlined
def store_mapping(w: World, task: int, page: int, word: int) -> None:
    """Store page->mapping with the page locked; plain_writers: overwrite a structure that is swapped in."""
    if w.rules.plain_writers:
        w.pages.mapping[page] = word
    else:
        write_mapping(w, task, page, word)


@inlined
def give_up(w: World, task: int) -> None:
    """Skip the operations on a page that was not found. Next: put_page, with nothing to put."""
    at = w.program.arg[w.tasks.at[task]]
    w.tasks.at[task] = at
    w.tasks.step[task] = w.program.step[at]


@inlined
def still_ours(w: World, task: int, page: int) -> bool:
    """Return whether the locked page is still in its file, judging by page->mapping as the truncate design does.

    WRONG_IDENTITY if the result is true but the file's slot is empty.
    """
    wanted, seen = w.files.address[w.pages.home[page]], mapping_seen(w, page)
    if not mapping_holds(w, w.pages.mapping[page], seen, wanted):
        record(w, LOOKUP_RETRIED, task, page, seen, wanted)
        return False
    if w.pages.file[page] == NONE:
        broken(w, task, page, WRONG_IDENTITY)
    return True


@jit
def find_get_entry(w: World, task: int) -> int:
    """Take a reference on the page if its slot still holds it. Next: ret; put_page if the page is
    gone and not pinned.

    The slot is tested, not page->mapping: a page out of the cache has an empty slot.
    """
    page = w.tasks.page[task]
    if w.pages.file[page] == NONE:
        wanted = w.files.address[w.pages.home[page]]
        record(w, LOOKUP_RETRIED, task, page, read_mapping(w, page), wanted)
        if w.program.arg[w.tasks.at[task]]:
            give_up(w, task)
            return w.rules.atomic_ns
    else:
        take_reference(w, task, page)
        w.tasks.holds[task] += 1
    ret(w, task)
    return w.rules.atomic_ns


@jit
def put_page(w: World, task: int) -> int:
    """Drop the reference of the preceding lookup, if it found the page. Next: ret.

    The scenario's tasks together hold one more reference on each page (from lookups before the run), so no page is
    freed while a task waits for it.
    """
    if w.tasks.holds[task]:
        w.tasks.holds[task] -= 1
        drop_reference(w, task, w.tasks.page[task])
    ret(w, task)
    return w.rules.atomic_ns


@jit
def add_to_page_cache(w: World, task: int) -> int:
    """Take the cache's reference, set mapping and fill the slot, with the page locked. Next: ret.

    mm/filemap.c: __add_to_page_cache_locked(); one step, as the slot is filled under the file's tree lock.
    """
    page = w.tasks.page[task]
    if w.pages.file[page] == NONE:
        insert_page(w, task, page, w.pages.home[page], w.pages.index[page])
    ret(w, task)
    return w.rules.atomic_ns


@inlined
def insert_page(w: World, task: int, page: int, file: int, index: int) -> None:
    """Put the page into the file's slot and set its mapping."""
    w.pages.refcount[page] += 1
    record(w, PAGE_PINNED, task, page, w.pages.refcount[page], 0)
    w.pages.file[page] = file
    w.pages.index[page] = index
    w.pages.truncated_by[page] = NONE
    w.files.pages[file] += 1
    w.files.size[file] = max(w.files.size[file], index + 1)
    store_mapping(w, task, page, w.files.address[file])
    record(w, PAGE_INSERTED, task, page, w.pages.mapping[page], index)


@inlined
def remove_page(w: World, task: int, page: int, kind: int) -> None:
    """Empty the page's slot and clear its mapping (index stays); `kind` says why. Drops the cache's reference.

    mm/filemap.c: page_cache_tree_delete(), under page lock and tree lock.
    """
    follow_mapping(w, task, page, False)
    before = w.pages.mapping[page]
    w.files.pages[w.pages.file[page]] -= 1
    w.pages.file[page] = NONE
    store_mapping(w, task, page, NULL)
    record(w, kind, task, page, before, w.pages.mapping[page])
    drop_reference(w, task, page)


@jit
def delete_from_page_cache(w: World, task: int) -> int:
    """Remove the locked page from its file. Next: ret."""
    page = w.tasks.page[task]
    if w.pages.file[page] != NONE:
        remove_page(w, task, page, PAGE_REMOVED)
    ret(w, task)
    return w.rules.atomic_ns
