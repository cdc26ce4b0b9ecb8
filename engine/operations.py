"""The operations of a program, as a scenario writes them: one model for each that has parameters.

What an operation needs, takes and drops is in engine.program, its steps are in engine/mm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from engine.program import PLAIN

PAGES_MAX = 2**22
MMS_MAX = 64


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Grown(Part):
    """A part that has grown fields: those are omitted while they have their default, so that older scenarios keep the
    bytes that identify them."""

    added: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields, known = dump(self), type(self).model_fields
        return {
            name: value
            for name, value in fields.items()
            if name not in self.added or getattr(self, name) != known[name].default
        }


class Think(Part):
    """Do something else for a random time (exponential), off the CPU."""

    op: Literal["think"]
    mean_ns: Annotated[int, Field(ge=1, le=2**38)]


class Pick(Part):
    """Choose the page that the following operations work on."""

    op: Literal["pick"]
    zipf: Annotated[float, Field(ge=0, le=2, description="exponent; 0 is uniform")] = 0.99
    first: Annotated[int, Field(ge=0, lt=PAGES_MAX)] = 0
    count: Annotated[int | None, Field(ge=1, le=PAGES_MAX, description="pages to choose from; all if absent")] = None


class Hold(Part):
    """Compute for a random time (exponential), on the CPU: usually with the page locked."""

    op: Literal["hold"]
    mean_ns: Annotated[int, Field(ge=1, le=2**38)]


class Migrate(Part):
    """Migrate the page to another one that is in no file; the task then works on the new page."""

    op: Literal["migrate_page"]
    to: Annotated[int, Field(ge=0, lt=PAGES_MAX, description="the new page")]


if TYPE_CHECKING:
    PlainName: TypeAlias = str
else:
    PlainName = Literal[PLAIN]


class Fork(Part):
    """Copy the address space to an empty one, copy-on-write: fork()."""

    op: Literal["fork"]
    to: Annotated[int, Field(ge=0, lt=MMS_MAX, description="the empty address space")]


class KsmScan(Part):
    """ksmd looks at the next pages, and merges those with the same contents; it ends early after the last page."""

    op: Literal["ksm_scan"]
    pages: Annotated[int, Field(ge=1, le=PAGES_MAX, description="pages to look at: pages_to_scan")] = 100


class Reclaim(Part):
    """Reclaim the page and those after it in the address space: unmap them, write them to the swap area, free them."""

    op: Literal["reclaim"]
    pages: Annotated[int, Field(ge=1, le=512, description="virtual pages to look at, from the chosen one on")] = 1


class Atomic(Grown):
    """A PCIe atomic operation on a word of the page; local if the device has the page protected."""

    op: Literal["atomic"]
    kind: Literal["fetch_add", "swap", "cas"] = "fetch_add"
    bytes: Annotated[Literal[4, 8, 16], Field(description="size of the word; 16 for cas only")] = 8
    offset: Annotated[int, Field(ge=0, lt=4096, description="where in the page the word is, in bytes")] = 0

    added = frozenset({"kind", "bytes", "offset"})

    @model_validator(mode="after")
    def _exists(self) -> Self:
        if self.offset % self.bytes:
            raise ValueError(
                f"offset {self.offset}: a word of {self.bytes} bytes is naturally aligned, and so never crosses 4 KiB; "
                f"choose a multiple of {self.bytes}"
            )
        if self.bytes == 16 and self.kind != "cas":
            raise ValueError(f"bytes: PCIe has {self.kind} of 4 and 8 bytes; 16 are for cas")
        return self


class Plain(Part):
    """A kernel path without parameters; see engine/mm."""

    op: PlainName


Op = Annotated[Think | Pick | Hold | Migrate | Fork | KsmScan | Reclaim | Atomic | Plain, Field(discriminator="op")]
