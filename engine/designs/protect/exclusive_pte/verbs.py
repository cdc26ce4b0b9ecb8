"""Entries are replaced by device-exclusive ones (mm/rmap.c: make_device_exclusive()), under the page lock."""

from __future__ import annotations

from typing import Any

from engine.world.jit import inlined
from engine.world.state import World


@inlined
def protect_holds(w: World, page: int) -> Any:
    return w.exclusive.held[page] != 0


@inlined
def protect_set(w: World, task: int, page: int) -> None:
    w.exclusive.held[page] = 1


@inlined
def protect_clear(w: World, task: int, page: int) -> None:
    """The entries are restored one by one as CPUs access them (engine.mm.protect_fault)."""
    w.exclusive.held[page] = 0
