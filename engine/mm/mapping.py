"""page->mapping as a tagged word (include/linux/page-flags.h, and the proposal's own tag)."""

from __future__ import annotations

from typing import Any

from engine.jit import inlined
from engine.state import World

PAGE_MAPPING_ANON = 0x1
PAGE_MAPPING_MOVABLE = 0x2
PAGE_MAPPING_KSM = 0x3
TAGS = {"E1": 0x1, "E2": 0x1, "E3": 0x4}
"""Tag of a word while a structure is swapped in. E1: the anonymous and KSM tags move to page_mapping.flags, and every
reader asks a helper. E2: the same bit, while readers take it for the anonymous tag. E3: a bit that no reader knows."""
E1, E2, E3 = 1, 2, 3
POINTER_BITS = 0x7
"""Clear in every pointer to an object of a slab: what is followed with one of them set is no such pointer."""

PAGE_WAIT_BYTES = 136
"""sizeof(struct page_wait) with three wait bits on x86-64; objects of one slab stand that far apart."""
PAGE_WAIT_BASE = -0x77FFC0000000
"""Where the slab of page_wait structures begins: 0xffff880040000000 as a signed word (direct map of 4.16)."""


STACK_BASE, STACK_BYTES = -0x36FFFFFFC300, 0x4000
"""A waiter on the first task's stack: 0xffffc90000003d00 as a signed word; and from one stack to the next (4.16)."""


def word_shown(word: int, files: list[int]) -> str:
    """Return a mapping word for a reader: NULL, file 0, page_wait 2 | 1, else its hexadecimal digits."""
    if word == 0:
        return "NULL"
    pointer, tag = word & ~7, word & 7
    suffix = f" | {tag}" if tag else ""
    if pointer in files:
        return f"file {files.index(pointer)}{suffix}"
    if PAGE_WAIT_BASE <= pointer < PAGE_WAIT_BASE + (PAGE_WAIT_BYTES << 20):
        return f"page_wait {(pointer - PAGE_WAIT_BASE) // PAGE_WAIT_BYTES}{suffix}"
    if STACK_BASE <= pointer < STACK_BASE + (STACK_BYTES << 20):
        return f"page_waiter of task {(pointer - STACK_BASE) // STACK_BYTES}{suffix}"
    return f"{word & (1 << 64) - 1:#018x}"


@inlined
def tagged(w: World, word: int) -> bool:
    """True if the word points to a structure that is swapped in."""
    return word & w.rules.tag != 0


@inlined
def page_wait_word(w: World, row: int) -> int:
    """Return the word that stands in page->mapping while page_wait `row` is swapped in."""
    return (PAGE_WAIT_BASE + PAGE_WAIT_BYTES * row) | w.rules.tag


@inlined
def page_wait_row(word: int) -> Any:
    """Return the row of the page_wait that a tagged word points to."""
    return (word - PAGE_WAIT_BASE) // PAGE_WAIT_BYTES


@inlined
def waiter_word(w: World, task: int) -> int:
    """Return the word that stands in page->mapping while the task's page_waiter is swapped in."""
    return (STACK_BASE + STACK_BYTES * task) | w.rules.tag


@inlined
def waiter_row(word: int) -> Any:
    """Return the task whose page_waiter a tagged word points to."""
    return (word - STACK_BASE) // STACK_BYTES
