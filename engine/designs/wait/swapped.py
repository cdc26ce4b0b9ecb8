"""Options and rules of the designs that swap a structure into page->mapping: the encodings of the tag."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.designs.card import Options

TAGS = {"E1": 0x1, "E2": 0x1, "E3": 0x4}
"""Tag of a word while a structure is swapped in. E1: the anonymous and KSM tags move to page_mapping.flags, and every
reader calls a helper. E2: the same bit, which readers take for the anonymous tag. E3: a bit that no reader knows."""
E1, E2, E3 = 1, 2, 3


class Swapped(Options):
    """Options of a design that swaps a structure into page->mapping while the page has waiters."""

    encoding: Annotated[
        Literal["E1", "E2", "E3"],
        Field(description="tag in bit 0 and every reader calls a helper; bit 0 unknown to readers; bit 2"),
    ] = "E1"
    free: Annotated[
        Literal["early", "grace"],
        Field(description="a structure is freed at once, or after a grace period, when no task can still reach it"),
    ] = "grace"
    writers: Annotated[
        Literal["helper", "plain"],
        Field(description="writers change the mapping kept behind a swapped-in structure, or overwrite page->mapping"),
    ] = "helper"


def swapped_rules(options: Any) -> dict[str, int]:
    """Return the rules that these options select."""
    return {
        "encoding": int(options.encoding[1:]),
        "tag": TAGS[options.encoding],
        "strip": TAGS[options.encoding] | 3,
        "free_early": int(options.free == "early"),
        "plain_writers": int(options.writers == "plain"),
    }
