"""AXES: what a scenario chooses a design on. One folder per design, one line here; others come by entry point.

A package on the user's machine adds a design through an entry point of the group "folioscope.designs", whose value is
the package: a folder of the same shape as those beside this file (docs/adding-a-design.md).
"""

from __future__ import annotations

from engine.designs.card import Card
from engine.designs.loading import load

BUILT_IN = {
    "wait": ("hashed", "page_wait", "page_waiter", "rhashtable"),
    "truncate": ("helper", "raw_null", "compare"),
}
"""Axis -> its designs; the place in the row is the design's number."""

AXES: dict[str, dict[str, Card]] = load(BUILT_IN)
"""Axis -> design -> card."""

DESIGNS: dict[str, Card] = AXES["wait"]
"""The designs of the wait axis, which is the one that runs are listed and compared by."""


STRUCTURES_MAX = 1 << 20
"""Structures of one kind that have addresses of their own."""


def structure_at(pointer: int) -> str | None:
    """Return the name of the structure that a design keeps at an address, such as "page_wait 2"; None if none does."""
    for card in DESIGNS.values():
        for kind in card.pointers:
            row, within = divmod(pointer - kind.base, kind.bytes)
            if 0 <= row < STRUCTURES_MAX and not within:
                return f"{kind.name} {row}"
    return None


def number(axis: str, design: str) -> int:
    """Return the number by which a World's rules know a design."""
    return list(AXES[axis]).index(design)
