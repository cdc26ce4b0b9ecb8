"""VERBS: what every design of the wait axis must answer, like the kernel's *_operations. Paths call verbs, not designs.

Each row: name, parameters after the World, what it answers. A design's module defines a function of each name.
"""

from __future__ import annotations

VERBS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("wait_attach", ("task",), "make a place where the task can queue for its page, before that place is locked"),
    ("wait_list", ("page", "bit"), "row of the list where waiters for this bit of the page queue now, or NONE"),
    ("wait_linked", ("page", "by"), "count waiters of the page that were linked (+1) or unlinked (-1)"),
    ("wait_detach", ("task", "page"), "put the page back as it was if nobody waits any more; under the list's lock"),
    (
        "flag_stale",
        ("page", "list", "met"),
        "after a walk that met so many entries of the page: may PG_waiters be cleared",
    ),
    ("queue_shown", ("page", "list"), "number of the queue, as events show it"),
    ("queue_length", ("page",), "length of the queue that waiters of the page sit in, as events show it"),
    ("read_mapping", ("page",), "the page's mapping, whatever is swapped in: the helper"),
    ("write_mapping", ("task", "page", "word"), "set or clear the page's mapping, behind a structure swapped in"),
)
