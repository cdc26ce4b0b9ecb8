"""The recording that ships with the project: an excerpt of a real kernel's trace, with ground truth of its wake-ups."""

from __future__ import annotations

from pathlib import Path

from engine.recordings.moves import Recording
from engine.recordings.reading import read_file

DEMO_TRACE = Path(__file__).with_name("demo.trace.txt.gz")
DEMO_TRUTH = Path(__file__).with_name("demo.truth.csv.gz")


def demo() -> Recording:
    """Read the shipped recording."""
    return read_file(DEMO_TRACE, DEMO_TRACE.name)
