"""Layouts of struct page, a TOML file each: what each type of page keeps in which bytes; tags of page->mapping.

    name = "4.16"                                   the file's name
    title, note, source                             for the reader
    structure = "struct page"                       the structure laid out, and its size in bytes
    bytes = 64
    mapping = "mapping"                             the field whose low bits are tags; absent where there is none
    common = [{ at, bytes, name, holds }]           fields that all types of page have
    [[tag]]  value, name                            value of the low bits
    [[type]] name, title, identified, tag, fields   tag: absent where the low bits are no tag

Offsets and sizes are those of x86-64. Everything else is computed from them: unused bytes, bits of the word that no
tag uses, types that a design's bits can be confused with.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.toml_file import read_toml

FOLDER = Path(__file__).parent
WORD = 8
"""Bytes of a word; fields are listed by the word that they begin in."""
POINTER_ALIGNMENT = 8
"""Bytes to which what page->mapping points to is aligned at least: struct address_space and slab objects."""
PAGE_SIZE = 4096


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Member(_Part):
    """A field. at, bytes: its place; holds: what it means for the type of page."""

    at: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=1)]
    name: str
    holds: str

    @property
    def end(self) -> int:
        """Offset of the first byte after it."""
        return self.at + self.bytes


class Tag(_Part):
    """A value of the low bits of page->mapping."""

    value: Annotated[int, Field(ge=0)]
    name: str


class PageType(_Part):
    """A type of page. identified: how the kernel tells it; tag: low bits of page->mapping, None if they are no tag."""

    name: str
    title: str
    identified: str
    tag: int | None = None
    fields: list[Member]


class Layout(_Part):
    """A layout of the structure that describes a page."""

    name: str
    title: str
    note: str
    source: str
    structure: str
    bytes: Annotated[int, Field(ge=1)]
    mapping: str | None = None
    common: list[Member]
    tag: list[Tag]
    type: list[PageType]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        values = {tag.value for tag in self.tag}
        for one in self.type:
            if one.tag is not None and one.tag not in values:
                raise ValueError(f"type {one.name}: tag {one.tag} is not listed")
            end = 0
            for member in self.members(one):
                if member.at < end:
                    raise ValueError(f"type {one.name}: {member.name} overlaps the field before it")
                end = member.end
            if end > self.bytes:
                raise ValueError(f"type {one.name}: ends at byte {end}; the structure has {self.bytes}")
        return self

    def members(self, page_type: PageType) -> list[Member]:
        """Return the fields of a type of page with those that all have, by offset."""
        return sorted((*self.common, *page_type.fields), key=lambda member: member.at)

    def unused(self, page_type: PageType) -> int:
        """Return how many bytes the type leaves unused."""
        return self.bytes - sum(member.bytes for member in self.members(page_type))

    @property
    def words(self) -> range:
        """Offsets of the words."""
        return range(0, self.bytes, WORD)

    @property
    def mapping_at(self) -> int | None:
        """Offset of the field whose low bits are tags; None if there is none."""
        found = (member.at for one in self.type for member in one.fields if member.name == self.mapping)
        return next(found, None)

    def tag_bits(self) -> int:
        """Return the bits that the tags use."""
        used = 0
        for tag in self.tag:
            used |= tag.value
        return used

    def free_bits(self) -> int:
        """Return the low bits of page->mapping that are zero in every pointer and in no tag."""
        return POINTER_ALIGNMENT - 1 & ~self.tag_bits() if self.mapping else 0

    def confused(self, bits: int) -> list[str]:
        """Return the types of page whose tag has one of these bits: a page that a design marks so looks like one."""
        return [one.name for one in self.type if self.mapping and one.tag is not None and one.tag & bits]

    def overlaid(self) -> list[str]:
        """Return the types of page that keep something else in the word of page->mapping."""
        at = self.mapping_at
        if at is None:
            return []
        others = {
            one.name: any(
                member.at < at + WORD and member.end > at and member.name != self.mapping for member in one.fields
            )
            for one in self.type
        }
        return [name for name, other in others.items() if other]


def read_layout(path: Path) -> Layout:
    """Return the layout of a TOML file. Raises ValueError, in one line that names the file and what is wrong."""
    layout = read_toml(path, Layout)
    if layout.name != path.stem:
        raise ValueError(f"{path}: the name {layout.name!r} is not that of the file")
    return layout


LAYOUTS: MappingProxyType[str, Layout] = MappingProxyType(
    {name: read_layout(FOLDER / f"{name}.toml") for name in ("4.16", "4.18", "folio", "memdesc")}
)
"""Name -> layout, oldest first."""
