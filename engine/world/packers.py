"""Compiled packers and readers of event words: steps pack with them, summaries read with them.

Interpreted runs check that every value fits its field; compiled runs use the same functions without the check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.events import ENTRY, FLUSH, PTE, RANGE, TRANSFER, UNPROTECTED, WALK
from engine.words import Words
from engine.world.jit import INTERPRETED, inlined


def packer(words: Words) -> Callable[..., tuple[int, int]]:
    """Return the function that packs a layout's stored fields into words a and b."""
    return words.pack if INTERPRETED else inlined(words.packing)


def reader(words: Words, name: str) -> Callable[[Any, Any], Any]:
    """Return the function that reads a field from words a and b."""
    return inlined(words.reader(name))


pack_entry, pack_walk, pack_pte = packer(ENTRY), packer(WALK), packer(PTE)
pack_flush, pack_range = packer(FLUSH), packer(RANGE)
pack_unprotected, pack_transfer = packer(UNPROTECTED), packer(TRANSFER)
