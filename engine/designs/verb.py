"""Verb: one row of what the designs of an axis answer."""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """A function that each design of an axis has, called by paths as the kernel calls through *_operations."""

    name: str
    parameters: tuple[str, ...]
    """After the World."""
    returns: bool
    """Whether it returns a word."""
    default: int | None
    """What stands for it in a design that leaves it out; None: no design may."""
    meaning: str
