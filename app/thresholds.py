"""Thresholds on figures, for scripts that want an exit code: "longest_walk<=50", "woken>0", "walked/woken<=1.5"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from app.refusals import shown
from app.wording import nearest
from engine.errors import UserError

CROSSED, INCOMPLETE = 3, 4
"""Exit codes of a command whose result is not as wanted, and of one that could not find out."""
COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
FORM = re.compile(r"\s*(\w+)\s*(?:/\s*(\w+)\s*)?(<=|>=|==|!=|<|>)\s*(-?\d+(?:\.\d+)?)\s*", re.ASCII)


class Threshold(NamedTuple):
    """A figure, or the ratio of two, that is to compare with a number. text: as it was written."""

    text: str
    name: str
    over: str
    sign: str
    number: float


def read_thresholds(given: Sequence[str]) -> list[Threshold]:
    """Parse thresholds. Raises UserError for one that is none."""
    found = []
    for text in given:
        parts = FORM.fullmatch(text)
        if parts is None:
            why = f"{shown(text)} is no threshold: write it as 'longest_walk<=50' or 'walked/woken<=1.5'"
            raise UserError(why, code="bad_threshold", field="threshold")
        name, over, sign, number = parts.groups()
        found.append(Threshold(text.strip(), name, over or "", sign, float(number)))
    return found


def crossed(thresholds: Sequence[Threshold], figures: Mapping[str, Any]) -> list[str]:
    """Return the thresholds that do not hold, each with the value found. Raises UserError for an unknown figure.

    A ratio to 0, and a figure without a value, hold no threshold.
    """
    numbers = {name: value for name, value in figures.items() if value is None or isinstance(value, int | float)}
    failed = []
    for one in thresholds:
        for name in filter(None, (one.name, one.over)):
            if name not in numbers:
                raise UserError(f"no figure is called {shown(name)}{nearest(name, numbers)}", field="threshold")
        value = numbers[one.name]
        if one.over and value is not None:
            over = numbers[one.over]
            value = value / over if over else None
        if value is None or not COMPARED[one.sign](value, one.number):
            failed.append(f"{one.text}: it is {'unknown' if value is None else f'{value:.6g}'}")
    return failed
