"""Shared wait queues found by hash: page_waitqueue() of mm/filemap.c. Any number of bits; the kernel has 8."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.designs.ops import FOUND
from engine.jit import inlined
from engine.mm.steps import WAKE_BEGIN
from engine.state import NONE, World

GOLDEN_RATIO_64 = np.uint64(0x61C8864680B583EB)  # include/linux/hash.h
_BITS = np.uint64(64)


@inlined
def lock_path(w: World, task: int) -> int:
    return NONE


@inlined
def unlock_path(w: World) -> int:
    return NONE


@inlined
def recorded_wake(w: World, page: int, bit: int) -> int:
    return WAKE_BEGIN


@inlined
def wait_attach(w: World, task: int) -> bool:
    """The queues are always there."""
    return True


@inlined
def wake_look(w: World, task: int, page: int) -> int:
    return FOUND


@inlined
def wait_list(w: World, task: int, page: int, bit: int) -> Any:
    """Hash the address of the struct page; the bit plays no part. include/linux/hash.h: hash_64()."""
    address: Any = w.pages.address[page]
    return np.int64((address * GOLDEN_RATIO_64) >> (_BITS - np.uint64(w.rules.bits)))


@inlined
def wait_holds(w: World, task: int, page: int, list: int) -> bool:
    return True


@inlined
def wait_linked(w: World, list: int, by: int) -> None:
    """Nothing to do: the list's own length is the queue's."""


@inlined
def wait_detach(w: World, task: int, list: int) -> None:
    """Nothing to do."""


@inlined
def flag_stale(w: World, page: int, list: int, met: int) -> bool:
    """The queue is empty, or holds nobody of this page. mm/filemap.c: wake_up_page_bit()."""
    return w.lists.head[list] == NONE or met == 0


@inlined
def queue_shown(w: World, page: int, list: int) -> int:
    return list


@inlined
def queue_length(w: World, page: int) -> int:
    return w.lists.length[wait_list(w, 0, page, 0)]


@inlined
def line_length(w: World, page: int, list: int) -> int:
    return w.lists.length[list]


@inlined
def read_mapping(w: World, page: int) -> int:
    return w.pages.mapping[page]


@inlined
def kept_mapping(w: World, page: int) -> int:
    return w.pages.mapping[page]


@inlined
def write_mapping(w: World, task: int, page: int, word: int) -> None:
    w.pages.mapping[page] = word
