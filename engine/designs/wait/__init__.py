"""The wait axis: where waiters queue. VERBS: the functions that its designs implement."""

from __future__ import annotations

from engine.designs.verb import Verb

FOUND, LOOK_AGAIN, NOBODY = range(3)
"""Results of wake_look."""

VERBS: tuple[Verb, ...] = (
    # name, parameters after the World, returns a word, default (None: required), meaning
    Verb("grants_recorded", ("page", "bit"), True, 0, "does a recorded wake for this bit go to grant_step"),
    Verb("wait_attach", ("task",), True, 1, "one step towards a place to queue: 1 known, 0 go on, -ns try again"),
    Verb(
        "wake_look",
        ("task", "page"),
        True,
        FOUND,
        "one step towards the waiters: FOUND, LOOK_AGAIN, NOBODY",
    ),
    Verb("wait_list", ("task", "page", "bit"), True, None, "row of the list for this bit of the page"),
    Verb("wait_holds", ("task", "page", "list"), True, 1, "with the list locked: is it still the page's"),
    Verb("wait_detach", ("task", "list"), False, 0, "with the list locked: undo wait_attach if nobody waits"),
    Verb("flag_stale", ("page", "list", "met"), True, None, "may PG_waiters be cleared after a walk that met `met`"),
    Verb("queue_length", ("page",), True, None, "length of the queue that holds the page's waiters, as events show it"),
    Verb("read_mapping", ("page",), True, None, "the page's mapping as the helper sees it: page_mapping()"),
    Verb("kept_mapping", ("page",), True, None, "the page's mapping, behind a swapped-in structure"),
    Verb("write_mapping", ("task", "page", "word"), False, None, "set the mapping, behind a swapped-in structure"),
    Verb("leaks", (), True, 0, "is a structure still attached though every task has finished"),
    Verb("settle", (), False, 0, "put free structures in a fixed order, so that equivalent states are equal"),
)
