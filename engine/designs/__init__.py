"""AXES: the axes on which a scenario chooses a design. One folder per design, one line here, or an entry point.

A package on the user's machine adds a design through an entry point of the group "folioscope.designs", whose value is
the package: a folder laid out like those beside this file (docs/adding-a-design.md).
"""

from __future__ import annotations

from engine.designs.card import Card
from engine.designs.loading import load

BUILT_IN = {
    "wait": ("hashed", "page_wait", "page_waiter", "rhashtable"),
    "truncate": ("helper", "raw_null", "compare"),
    "protect": ("none", "attachment", "page_flag", "exclusive_pte"),
}
"""Axis -> its designs; the position in the tuple is the design's number."""

AXES: dict[str, dict[str, Card]] = load(BUILT_IN)
"""Axis -> design -> card."""

DESIGNS: dict[str, Card] = AXES["wait"]
"""The designs of the wait axis, by which runs are listed and compared."""


STRUCTURES_MAX = 1 << 20
"""Max. number of structures of one kind with an address."""


def structure_at(pointer: int) -> str | None:
    """Return the name of a design's structure at an address, such as "page_wait 2"; None if there is none."""
    for card in (card for cards in AXES.values() for card in cards.values()):
        for kind in card.pointers:
            row, within = divmod(pointer - kind.base, kind.bytes)
            if 0 <= row < STRUCTURES_MAX and not within:
                return f"{kind.name} {row}"
    return None


def number(axis: str, design: str) -> int:
    """Return the number of a design in a World's rules."""
    return list(AXES[axis]).index(design)
