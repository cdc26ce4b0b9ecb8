"""Shared wait queues found by hash: page_waitqueue() of mm/filemap.c. Any number of bits; the kernel has 8."""

from __future__ import annotations

from typing import Any

from engine.world.jit import inlined
from engine.world.state import NONE, World


@inlined
def wait_list(w: World, task: int, page: int, bit: int) -> Any:
    """Return the queue that the page's address hashes to, for any bit."""
    return w.pages.queue[page]


@inlined
def flag_stale(w: World, page: int, list: int, met: int) -> bool:
    """Return whether the queue is empty or holds no waiter of this page. mm/filemap.c: wake_up_page_bit()."""
    return w.lists.head[list] == NONE or met == 0


@inlined
def queue_length(w: World, page: int) -> int:
    return w.lists.length[w.pages.queue[page]]


@inlined
def read_mapping(w: World, page: int) -> int:
    return w.pages.mapping[page]


@inlined
def kept_mapping(w: World, page: int) -> int:
    return w.pages.mapping[page]


@inlined
def write_mapping(w: World, task: int, page: int, word: int) -> None:
    w.pages.mapping[page] = word
