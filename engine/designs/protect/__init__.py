"""The protect axis: how a page is write-protected for a device in all address spaces. VERBS: its designs' functions."""

from __future__ import annotations

from engine.designs.verb import Verb

VERBS: tuple[Verb, ...] = (
    Verb("protect_holds", ("page",), True, 0, "is the page protected"),
    Verb("protect_set", ("task", "page"), False, 0, "page locked and its entries changed: mark it protected"),
    Verb("protect_clear", ("task", "page"), False, 0, "page locked: mark it not protected"),
    Verb(
        "protect_mapping",
        ("page", "seen"),
        True,
        0,
        "rule attaches: the mapping behind what the design keeps in page->mapping",
    ),
)
"""All default to 0: none has no verbs, and engine.mm asks them only in workloads that protect pages."""
