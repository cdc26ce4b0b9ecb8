"""Which pages a device has exclusively."""

from __future__ import annotations

from typing import NamedTuple

from engine.schema import U8, flag


class Exclusive(NamedTuple):
    """One row per page. The kernel finds this out from the entries; kept here so that one look is one step."""

    held: U8 = flag()
