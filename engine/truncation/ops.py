"""VERBS: what every design of the truncate axis must answer."""

from __future__ import annotations

VERBS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "mapping_holds",
        ("raw", "seen", "wanted"),
        "page locked: is it this file's still; raw is the word page->mapping, seen what the helper makes of it",
    ),
)
