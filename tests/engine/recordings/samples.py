"""Recordings to test with: fixtures beside this file, shipped ones, the full set where it is at hand, made-up lines."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from engine.recordings import read_file
from engine.recordings.limits import LIMITS, Limits
from engine.recordings.moves import Op, Recording
from engine.recordings.shipped import shipped_recordings

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[3]
FULL_SET = Path(os.environ.get("TRACES") or ROOT.parent / "shared" / "traces")

needs_full_set = pytest.mark.skipif(
    not (FULL_SET / "hot-6.1.trace.txt.gz").is_file(),
    reason="no full set of recordings: it belongs in ../shared/traces, or in the folder TRACES names",
)

WITH_TRUTH = [*sorted(DATA.glob("*.truth.csv.gz")), *(one.truth for one in shipped_recordings().values())]
FULL_WITH_TRUTH = (
    "collide-6.1",
    "hot-5.10",
    "hot-6.1",
    "ksm-kill-6.1",
    "mixed-xfs-6.12",
    "truncate-6.1",
    "writeback-6.12",
)

BASE = 0xFFFFEA0000000000
ADDED = "mm_filemap_add_to_page_cache: dev 8:1 ino 2a pfn=0x{pfn:x} ofs={ofs} order=0"


def read_text(text: str | bytes, limits: Limits = LIMITS) -> Recording:
    """Read a recording that is given as text."""
    return read_file(io.BytesIO(text.encode() if isinstance(text, str) else text), limits=limits)


def ftrace(*events: str, first_s: float = 1.0) -> str:
    """Return lines of CPU 0 and thread wl-7, a millisecond apart; an event that begins with a blank is a whole line."""
    lines = []
    for place, event in enumerate(events):
        head = "" if event[:1] == " " else f"              wl-7       [000] .....  {first_s + place / 1000:.6f}: "
        lines.append(f"{head}{event}\n")
    return "".join(lines)


def ops(recording: Recording) -> list[Op]:
    """Return what the moves of a recording say, in order."""
    return [Op(op) for op in recording.moves["op"].tolist()]
