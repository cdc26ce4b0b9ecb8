"""The mapping that the helper returns is compared with the file."""

from __future__ import annotations

from engine.world.jit import inlined
from engine.world.state import World


@inlined
def mapping_holds(w: World, raw: int, seen: int, wanted: int) -> bool:
    return seen == wanted
