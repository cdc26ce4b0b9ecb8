"""about(): what a design's page tells besides its card, from the file about.toml in the design's folder.

    [[claims]]    field = "mapping", bits = "bit 0", when = "..."         words of struct page that the design takes
    [[costs]]     per = "page with waiters", bytes = 136, note = "..."
    [[structure]] name, bytes, fields = [{ at, bytes, name, holds }]      x86-64
    [[path]]      name, note, steps = [{ step, does, locks }]             step: in engine.mm.steps; may be left out
    [[voice]]     for = true, who = "...", says = "..."                   who argued for the design, and who against

A design without the file, such as one of another package, has the page of its card.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.designs import AXES
from engine.struct_page import Member
from engine.toml_file import parse_toml


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Claimed(_Part):
    """Bits of a field of struct page that a design takes. when: while what holds."""

    field: str
    bits: str
    when: str


class Cost(_Part):
    """Memory that a design needs, for each of what."""

    per: str
    bytes: Annotated[int, Field(ge=0)]
    note: str = ""


class StructureFields(_Part):
    """A structure with its fields; bytes that no field covers are padding."""

    name: str
    bytes: Annotated[int, Field(ge=1)]
    fields: list[Member]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        end = 0
        for one in self.fields:
            if one.at < end:
                raise ValueError(f"{self.name}: {one.name} overlaps the field before it")
            end = one.end
        if end > self.bytes:
            raise ValueError(f"{self.name}: ends at byte {end}; the structure has {self.bytes}")
        return self


class PathStep(_Part):
    """A step of a path. step: its name in the model, "" for a step of the kernel that the model has no own step for."""

    does: str
    locks: str = "none"
    step: str = ""


class KernelPath(_Part):
    """A path of the kernel under the design, step by step."""

    name: str
    note: str = ""
    steps: Annotated[list[PathStep], Field(min_length=1)]


class Voice(_Part):
    """An argument for or against a design. when: where it was made."""

    pro: bool
    who: str
    when: str
    says: str


class About(_Part):
    """What a design's page tells."""

    claims: list[Claimed] = []
    costs: list[Cost] = []
    structure: list[StructureFields] = []
    path: list[KernelPath] = []
    voice: list[Voice] = []


@cache
def about(axis: str, design: str) -> About:
    """Return what a design's folder tells; nothing if it has no about.toml. Raises KeyError, ValueError."""
    file = files(AXES[axis][design].package) / "about.toml"
    return parse_toml(file.read_text("utf-8"), About, f"{axis}/{design}/about.toml") if file.is_file() else About()
