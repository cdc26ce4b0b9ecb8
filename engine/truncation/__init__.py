"""TRUNCATIONS: one card a design of the truncate axis: how a path that locked a page learns that it was truncated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """What a reader needs to know of a way to ask."""

    number: int
    """What the ladder over designs switches on."""
    module: str
    title: str
    stands: str


TRUNCATIONS: dict[str, Check] = {
    "helper": Check(
        number=0,
        module="engine.truncation.helper",
        title="ask a helper for the mapping and compare",
        stands="the proposal's answer: page_mapping() looks behind what is swapped in",
    ),
    "raw_null": Check(
        number=1,
        module="engine.truncation.raw_null",
        title="page->mapping is NULL",
        stands="xfs_vm_set_page_dirty(), do_read_cache_page(): a word that is not NULL is taken for the file's",
    ),
    "compare": Check(
        number=2,
        module="engine.truncation.compare",
        title="page->mapping is not this file's",
        stands="pagecache_get_page(), write_cache_pages(), truncate_inode_page(): the word itself is compared",
    ),
}
