"""helper: a helper returns the mapping, and it is compared with the file."""

from __future__ import annotations

from typing import Literal

from engine.designs.card import Card, Options


class Helper(Options):
    """Compare the mapping that a helper returns with the file."""

    design: Literal["helper"] = "helper"


CARD = Card(
    name="helper",
    axis="truncate",
    package=__name__,
    title="ask a helper for the mapping and compare",
    stands="the proposal's answer: page_mapping() returns the mapping saved behind the swapped word",
    options=Helper,
)
