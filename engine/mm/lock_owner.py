"""The owner of a page's lock, kept beside PG_locked so that a step can detect two owners."""

from __future__ import annotations

from engine.invariants import TWO_OWNERS
from engine.world.jit import inlined
from engine.world.state import NONE, World
from engine.world.trace import broken


@inlined
def own_lock(w: World, task: int, owner: int, page: int) -> None:
    """Hand the page's lock to `owner`, a waiter."""
    if w.pages.owner[page] != NONE:
        broken(w, task, page, TWO_OWNERS)
    w.pages.owner[page] = owner


@inlined
def disown_lock(w: World, task: int, page: int) -> None:
    """End the task's ownership of the page's lock."""
    if w.pages.owner[page] != task:
        broken(w, task, page, TWO_OWNERS)
    w.pages.owner[page] = NONE
