"""Any word but NULL is taken for the file's."""

from __future__ import annotations

from engine.world.jit import inlined
from engine.world.state import World


@inlined
def mapping_holds(w: World, raw: int, seen: int, wanted: int) -> bool:
    return raw != 0
