"""compare: the mapping word itself is compared with the file."""

from __future__ import annotations

from typing import Literal

from engine.designs.card import Card, Options


class Compare(Options):
    """Compare page->mapping itself with the file."""

    design: Literal["compare"] = "compare"


CARD = Card(
    name="compare",
    axis="truncate",
    package=__name__,
    title="page->mapping is not this file's",
    stands="pagecache_get_page(), write_cache_pages(), truncate_inode_page(): the raw word is compared",
    options=Compare,
)
