"""none: pages are not protected for devices."""

from __future__ import annotations

from typing import Literal

from engine.designs.card import Card, Options


class NoProtection(Options):
    """Pages are not protected for devices."""

    design: Literal["none"] = "none"


CARD = Card(
    name="none",
    axis="protect",
    package=__name__,
    title="no write protection",
    stands="a device uses PCIe atomics, or works on pages that the CPU may change meanwhile",
    options=NoProtection,
)
