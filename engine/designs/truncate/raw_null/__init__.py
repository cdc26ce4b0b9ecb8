"""raw_null: any mapping word but NULL is taken for the file's."""

from __future__ import annotations

from typing import Literal

from engine.designs.card import Card, Options


class RawNull(Options):
    """Take any page->mapping but NULL for the file's."""

    design: Literal["raw_null"] = "raw_null"


CARD = Card(
    name="raw_null",
    axis="truncate",
    package=__name__,
    title="page->mapping is NULL",
    stands="xfs_vm_set_page_dirty(), do_read_cache_page(): any word that is not NULL is taken to be the file's",
    options=RawNull,
)
