"""Who holds a page's lock: kept beside PG_locked, so that a step can see when two tasks would."""

from __future__ import annotations

from engine.invariants import TWO_OWNERS
from engine.world.jit import inlined
from engine.world.state import NONE, World
from engine.world.trace import broken


@inlined
def own_lock(w: World, task: int, owner: int, page: int) -> None:
    """The task hands the page's lock to a waiter."""
    if w.pages.owner[page] != NONE:
        broken(w, task, page, TWO_OWNERS)
    w.pages.owner[page] = owner


@inlined
def disown_lock(w: World, task: int, page: int) -> None:
    """The task lets go of the page's lock."""
    if w.pages.owner[page] != task:
        broken(w, task, page, TWO_OWNERS)
    w.pages.owner[page] = NONE
