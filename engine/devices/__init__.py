"""DEVICES: profiles of devices that read and write a program's pages, from profiles.toml; read at start.

A profile describes a class of devices, not a product: every number has a range and says what kind of figure it is. A
group of tasks with a profile is one device, and its tasks are the requests that it keeps in flight.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from engine.toml_file import read_toml

FILE = Path(__file__).parent / "profiles.toml"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Number(_Part):
    """A figure of a device. low, high: the range in which it may lie."""

    value: Annotated[int, Field(ge=1)]
    low: Annotated[int, Field(ge=1)]
    high: Annotated[int, Field(ge=1)]
    kind: Literal["measured", "vendor", "estimate"]
    source: str

    @model_validator(mode="after")
    def _within(self) -> Self:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} is not between {self.low} and {self.high}")
        return self


class Profile(_Part):
    """A class of devices: bandwidths in MB/s (10^6 bytes), latencies in ns."""

    title: str
    atomics: bool
    """Whether it issues PCIe atomic operations."""
    link_mb_s: Number
    link_ns: Number
    local_mb_s: Number
    local_ns: Number
    in_flight: Number
    payload_bytes: Number
    """Bytes that one posted write carries at most; for readers only."""

    def link_page_ps(self, size: int) -> int:
        """Return the picoseconds for which `size` bytes occupy the link."""
        return size * 1_000_000 // self.link_mb_s.value

    def local_page_ps(self, size: int) -> int:
        """Return the picoseconds for which `size` bytes occupy the device's own memory."""
        return size * 1_000_000 // self.local_mb_s.value


class _File(RootModel[dict[str, Profile]]):
    model_config = ConfigDict(strict=True, frozen=True)


DEVICES: MappingProxyType[str, Profile] = MappingProxyType(read_toml(FILE, _File).root)
"""Name -> profile."""
