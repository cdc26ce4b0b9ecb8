"""The tables of rhashtable, and their initial values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from engine.schema import I64, U8, U32, count, flag, number, row

SIZE_MAX = 1 << 16
"""Max. number of buckets: 16 bits of the hash choose one."""


class Elements(NamedTuple):
    """A pool of elements, one per page that is waited on. Element e owns wait list e."""

    page: U32 = row("pages")  # the key
    next: U32 = row("elements")  # in its bucket
    linked: U8 = flag()  # it is in the table
    readers: U32 = count("tasks")  # tasks between the lookup and the queue lock (RCU)
    free_next: U32 = row("elements", start=0)


class Buckets(NamedTuple):
    """Heads of the chains: the first half of the rows is one table, the second half the other."""

    head: U32 = row("elements")


class Resizing(NamedTuple):
    """The one row of struct rhashtable."""

    table: U8 = flag()  # the half in use
    size: I64 = number(0, SIZE_MAX)
    least: I64 = number(0, SIZE_MAX)
    most: I64 = number(0, SIZE_MAX)
    future: I64 = number(0, SIZE_MAX)  # size of the new table during a resize, else 0
    moved: I64 = number(0, SIZE_MAX)  # buckets moved so far
    elements: I64 = count("elements")  # nelems
    wanted: U8 = flag()  # the worker has been scheduled
    shrinks: U8 = flag()
    free: U32 = row("elements")  # first free element


def buckets_max(size: int, elements: int) -> int:
    """Return the largest size that a table with this many elements grows to."""
    most = size
    while most < SIZE_MAX and 4 * elements > 3 * most:
        most *= 2
    return most


def set_up(w: Any, options: Any) -> None:
    """Chain the pool of free elements and set the sizes."""
    elements = w.elements.page.array.size
    w.elements.free_next.array[:] = np.append(np.arange(1, elements, dtype=np.uint32), np.uint32(0xFFFFFFFF))
    w.resizing.free[0] = 0
    w.resizing.size[0] = w.resizing.least[0] = options.size
    w.resizing.most[0] = buckets_max(options.size, elements)
    w.resizing.shrinks[0] = int(options.shrink)
