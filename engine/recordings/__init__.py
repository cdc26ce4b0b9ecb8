"""Readers of recordings from real kernels, with a report of what was read, used, skipped and lost."""

from __future__ import annotations

from engine.recordings.packing import pack, unpack
from engine.recordings.reading import read_file

__all__ = ["pack", "read_file", "unpack"]
