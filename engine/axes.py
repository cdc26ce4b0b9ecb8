"""VERBS: the verbs of all axes in one tuple; a verb's index is its number in a World's code."""

from __future__ import annotations

import importlib
from typing import NamedTuple

from engine.designs import AXES
from engine.designs.verb import Verb


class AxisVerb(NamedTuple):
    """A verb and the axis it belongs to."""

    axis: str
    verb: Verb


VERBS: tuple[AxisVerb, ...] = tuple(
    AxisVerb(axis, verb) for axis in AXES for verb in importlib.import_module(f"engine.designs.{axis}").VERBS
)
