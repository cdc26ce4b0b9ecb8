"""VERBS: what every design of the truncate axis must answer."""

from __future__ import annotations

VERBS: tuple[tuple[str, tuple[str, ...], bool, int | None, str], ...] = (
    (
        "mapping_holds",
        ("raw", "seen", "wanted"),
        True,
        None,
        "page locked: is it this file's still; raw is the word page->mapping, seen what the helper makes of it",
    ),
)
