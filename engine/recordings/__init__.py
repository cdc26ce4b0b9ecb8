"""Readers of real kernels' recordings: what they saw, what they used, what was lost."""

from __future__ import annotations

from engine.recordings.packing import pack, unpack
from engine.recordings.reading import read_file

__all__ = ["pack", "read_file", "unpack"]
