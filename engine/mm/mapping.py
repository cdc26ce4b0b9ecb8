"""page->mapping as a tagged word (include/linux/page-flags.h, and the proposal's own tag)."""

from __future__ import annotations

from engine.cast import ANON_WORD
from engine.designs import structure_at
from engine.world.jit import inlined
from engine.world.state import World

PAGE_MAPPING_ANON = 0x1
PAGE_MAPPING_MOVABLE = 0x2
PAGE_MAPPING_KSM = 0x3
POINTER_BITS = 0x7
"""Bits that are clear in every pointer to a slab object; dereferencing a word with one of them set is a bug."""


def word_shown(word: int, files: list[int]) -> str:
    """Render a mapping word: NULL, file 0, page_wait 2 | 1, else its hexadecimal digits."""
    if word == 0:
        return "NULL"
    pointer, tag = word & ~7, word & 7
    suffix = f" | {tag}" if tag else ""
    if pointer in files:
        return f"file {files.index(pointer)}{suffix}"
    if structure := structure_at(pointer):
        return structure + suffix
    if word | 1 == ANON_WORD:
        return "anon_vma" + suffix
    return f"{word & (1 << 64) - 1:#018x}"


@inlined
def tagged(w: World, word: int) -> bool:
    """Return whether the word points to a structure that is swapped in."""
    return word & w.rules.tag != 0
