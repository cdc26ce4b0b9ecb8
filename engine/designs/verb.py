"""Verb: a function that the designs of an axis implement."""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """A function that each design of an axis implements; paths call it as the kernel calls through *_operations."""

    name: str
    parameters: tuple[str, ...]
    """After the World."""
    returns: bool
    """Whether it returns a word."""
    default: int | None
    """The result in a design that does not define it; None: every design must."""
    meaning: str
