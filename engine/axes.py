"""AXES: what a scenario chooses a design on, and VERBS: what every design of an axis must answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.designs import DESIGNS
from engine.designs.ops import VERBS as WAIT_VERBS
from engine.truncation import TRUNCATIONS
from engine.truncation.ops import VERBS as TRUNCATE_VERBS


class Verb(NamedTuple):
    """One verb: its axis, name, parameters after the World, whether it returns a word, what stands for it where a
    design leaves it out (None: no design may), and what it answers."""

    axis: str
    name: str
    parameters: tuple[str, ...]
    returns: bool
    default: int | None
    meaning: str


AXES: dict[str, Any] = {"wait": DESIGNS, "truncate": TRUNCATIONS}
"""Axis -> its cards by name."""
VERBS: tuple[Verb, ...] = tuple(
    Verb(axis, *row) for axis, rows in (("wait", WAIT_VERBS), ("truncate", TRUNCATE_VERBS)) for row in rows
)
