"""The flag of each page, kept beside page->flags so that recorded flag words keep their meaning."""

from __future__ import annotations

from typing import NamedTuple

from engine.schema import U8, flag


class SideTable(NamedTuple):
    """One row per page."""

    held: U8 = flag()
