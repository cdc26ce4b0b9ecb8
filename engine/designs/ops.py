"""VERBS: what every design of the wait axis must answer, like the kernel's *_operations. Paths call verbs, not designs.

Each row: name, parameters after the World, what it answers. A design's module defines a function of each name.
"""

from __future__ import annotations

FOUND, LOOK_AGAIN, NOBODY = range(3)
"""What wake_look may answer."""

VERBS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("lock_path", ("task",), "first step of the wait, if it has a path of its own; else NONE"),
    ("unlock_path", (), "first step of unlocking, if it has a path of its own; else NONE"),
    ("recorded_wake", ("page", "bit"), "first step of what a recorded wake for this bit of the page comes to"),
    ("wait_attach", ("task",), "one step towards a place where the task can queue for its page; True: it knows one"),
    ("wake_look", ("task", "page"), "one step towards the page's waiters: FOUND, LOOK_AGAIN or NOBODY"),
    ("wait_list", ("task", "page", "bit"), "row of the list that the task found for this bit of the page"),
    ("wait_holds", ("task", "page", "list"), "the list is locked: is it the page's still"),
    ("wait_linked", ("list", "by"), "count waiters of the page that were linked (+1) or unlinked (-1)"),
    ("wait_detach", ("task", "list"), "put the page back as it was if nobody waits any more; under the list's lock"),
    (
        "flag_stale",
        ("page", "list", "met"),
        "after a walk that met so many entries of the page: may PG_waiters be cleared",
    ),
    ("queue_shown", ("page", "list"), "number of the queue, as events show it"),
    ("queue_length", ("page",), "length of the queue that waiters of the page sit in, as events show it"),
    ("line_length", ("page", "list"), "length of the queue that this list is part of, as events show it"),
    ("read_mapping", ("page",), "the page's mapping, as far as the helper sees it: page_mapping()"),
    ("kept_mapping", ("page",), "the page's mapping, whatever is swapped in and whoever can see it"),
    ("write_mapping", ("task", "page", "word"), "set or clear the page's mapping, behind a structure swapped in"),
)
