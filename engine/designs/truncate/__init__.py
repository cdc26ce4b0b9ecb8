"""The truncate axis: how a path that has locked a page learns that it was truncated. VERBS: its designs' functions."""

from __future__ import annotations

from engine.designs.verb import Verb

VERBS: tuple[Verb, ...] = (
    Verb(
        "mapping_holds",
        ("raw", "seen", "wanted"),
        True,
        None,
        "page locked: is it still this file's; raw is page->mapping, seen the helper's return value",
    ),
)
