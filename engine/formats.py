"""Formats of what is kept - scenarios, events - and the steps that bring an old one up to date. A link never dies.

A change of the scenario language is a new number, and one function here that turns the format before into the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.designs import AXES

SCENARIO = "scenario/2"
"""The format that is written today."""


def _options_per_design(given: dict[str, Any]) -> dict[str, Any]:
    """scenario/1 to scenario/2: each design has options of its own; before, all options stood under every design."""
    told = dict(given)
    for axis, default in (("wait", "hashed"), ("truncate", "helper")):
        if isinstance(part := told.get(axis), dict):
            card = AXES[axis].get(part.get("design", default))
            if card is not None:
                told[axis] = {name: value for name, value in part.items() if name in card.options.model_fields}
    return told


UPGRADERS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "scenario/1": ("scenario/2", _options_per_design),
}
"""Format -> the next one, and what leads there."""


def upgraded_scenario(given: dict[str, Any]) -> dict[str, Any]:
    """Return a scenario in today's format; one that names no format is taken for today's."""
    while (step := UPGRADERS.get(str(given.get("format")))) is not None:
        following, upgrade = step
        given = {**upgrade(given), "format": following}
    return given
