"""The flag says that the page is protected; page->mapping is left alone. All under the page lock."""

from __future__ import annotations

from typing import Any

from engine.world.jit import inlined
from engine.world.state import World


@inlined
def protect_holds(w: World, page: int) -> Any:
    return w.flagged.held[page] != 0


@inlined
def protect_set(w: World, task: int, page: int) -> None:
    w.flagged.held[page] = 1


@inlined
def protect_clear(w: World, task: int, page: int) -> None:
    w.flagged.held[page] = 0
