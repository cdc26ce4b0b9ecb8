"""The recordings that ship with the project: excerpts of real kernels' traces, each with the truth of its wake-ups.

shipped.toml lists them: what each shows, and the figures of its truth, which a test compares with the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from engine.recordings.moves import Recording
from engine.recordings.reading import read_file
from engine.toml_file import read_toml

FOLDER = Path(__file__).parent
DEMO = "demo"
"""The recording that `make run` plays."""
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ShippedRecording(_Part):
    """A shipped recording. visited: queue entries visited by all wake-ups, by wait design; woken: tasks woken."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z-]{1,40}$")]
    title: str
    shows: str
    """What it shows, in one sentence."""
    origin: str
    """Which recording it was cut from, and where."""
    visited: dict[str, Count]
    woken: Count

    @property
    def trace(self) -> Path:
        """The recording, as the kernel printed it."""
        return FOLDER / f"{self.name}.trace.txt.gz"

    @property
    def truth(self) -> Path:
        """What the kernel did at each wake-up; no replay reads it."""
        return FOLDER / f"{self.name}.truth.csv.gz"

    @property
    def result(self) -> str:
        """The result in one sentence."""
        first, *others = self.visited.items()
        per_task = f"{first[1] / self.woken:.2f} per task woken"
        beside = "".join(f"; {name} visits {count:,} ({count / self.woken:.2f})" for name, count in others)
        return f"To wake {self.woken:,} tasks the kernel visited {first[1]:,} queue entries ({per_task}){beside}."

    def read(self) -> Recording:
        """Read the recording."""
        return read_file(self.trace, self.trace.name)


class _File(_Part):
    recording: list[ShippedRecording]


@cache
def shipped_recordings() -> Mapping[str, ShippedRecording]:
    """Return the shipped recordings by name, the demo first."""
    return MappingProxyType({one.name: one for one in read_toml(FOLDER / "shipped.toml", _File).recording})


def demo() -> Recording:
    """Read the demo recording."""
    return shipped_recordings()[DEMO].read()
