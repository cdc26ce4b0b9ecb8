"""What pages contain, as numbers: two pages with the same number have the same contents.

0 is a page of zeros, 1 to Rules.contents is what pages contain at the start. A task writes alternately one of two
numbers of its own, so that a page written between two scans differs unless it was written an even number of times.
"""

from __future__ import annotations

from engine.world.jit import inlined
from engine.world.state import NONE, World


@inlined
def write_contents(w: World, task: int, page: int) -> None:
    """Let a task write to the page."""
    if w.rules.contents:
        first = w.rules.contents + 1 + 2 * task
        w.contents.value[page] = first + (w.contents.value[page] == first)


@inlined
def count_write(w: World, page: int) -> None:
    """Note a write to the word that emulated atomic operations compare. It is a counter: no value comes back."""
    if w.rules.emulates:
        for task in range(w.rules.n_tasks):
            if w.emulations.page[task] == page:
                w.emulations.page[task] = NONE


@inlined
def copy_contents(w: World, page: int, copy: int) -> None:
    """Copy a page."""
    if w.rules.contents:
        w.contents.value[copy] = w.contents.value[page]
