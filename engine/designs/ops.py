"""VERBS: what a design of the wait axis answers, like the kernel's *_operations. Paths call verbs, not designs.

A design's module defines a function of each name; one that leaves out a verb with a default gets the default.
"""

from __future__ import annotations

FOUND, LOOK_AGAIN, NOBODY = range(3)
"""What wake_look may answer."""

VERBS: tuple[tuple[str, tuple[str, ...], bool, int | None, str], ...] = (
    # name, parameters after the World, returns a word, default (None: required), what it answers
    ("grants_recorded", ("page", "bit"), True, 0, "does a recorded wake for this bit hand the lock over (grant_step)"),
    ("wait_attach", ("task",), True, 1, "take one step towards a place to queue for the page; 1 once it is known"),
    ("wake_look", ("task", "page"), True, FOUND, "take one step towards the page's waiters: FOUND, LOOK_AGAIN, NOBODY"),
    ("wait_list", ("task", "page", "bit"), True, None, "row of the list for this bit of the page"),
    ("wait_holds", ("task", "page", "list"), True, 1, "with the list locked: is it still the page's"),
    ("wait_detach", ("task", "list"), False, 0, "under the list's lock: if nobody waits any more, undo wait_attach"),
    (
        "flag_stale",
        ("page", "list", "met"),
        True,
        None,
        "may PG_waiters be cleared after a walk that met `met` entries",
    ),
    ("queue_length", ("page",), True, None, "length of the queue where the page's waiters sit, as events show it"),
    ("read_mapping", ("page",), True, None, "the page's mapping as the helper sees it: page_mapping()"),
    ("kept_mapping", ("page",), True, None, "the page's mapping behind whatever is swapped in"),
    ("write_mapping", ("task", "page", "word"), False, None, "set or clear the mapping, behind whatever is swapped in"),
)
