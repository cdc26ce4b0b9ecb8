"""The cast of a run: names for the row numbers in its events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

VMEMMAP_BASE = 0xFFFFEA0000000000
"""Address of struct page 0 on x86-64 without address randomisation (Documentation/x86/x86_64/mm)."""
STRUCT_PAGE_BYTES = 64
ANON_TAG, MOVABLE_TAG = 0x1, 0x2
ANON_WORD = -0x77FFFA000000 | ANON_TAG
"""page->mapping of anonymous pages: a made-up struct anon_vma at 0xffff880006000000, tagged PAGE_MAPPING_ANON."""

FIRST_FILE_ADDRESS = -0x77FFFB000000
"""The first made-up struct address_space: 0xffff880005000000, in the direct map of 4.16."""
FILE_BYTES = 1 << 12
"""Distance between two made-up struct address_space."""


def file_address(file: int) -> int:
    """Return the address of a file's made-up struct address_space."""
    return FIRST_FILE_ADDRESS + file * FILE_BYTES


SIMULATED = "simulated"


class TaskName(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    pid: int


class FileName(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    address: int
    """The file's struct address_space, as a signed 64-bit word."""


class Cast(BaseModel):
    """Tasks, pages and files of one run, in row order. Stored with the run; events hold rows only.

    Pages are either consecutive frames (first_pfn, page_count) or listed individually (pfns). page_files[row] is the
    file that a page is (first) cached in, -1 for none; a page without a row there is cached in cached_in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    tasks: list[TaskName] = []
    first_pfn: Annotated[int, Field(ge=0)] = 0
    page_count: Annotated[int, Field(ge=0)] = 0
    pfns: list[int] | None = None
    files: list[FileName] = []
    page_files: list[int] = []
    cached_in: int = -1
    """Row of the file whose address every page's mapping holds when the run begins (with page_files: the first file);
    -1: all pages begin free."""
    anonymous: Annotated[int, Field(ge=0)] = 0
    """The first so many pages are anonymous when the run begins."""
    anon_word: int = ANON_WORD
    """page->mapping of anonymous pages."""
    movable: Annotated[int, Field(ge=0)] = 0
    """The first so many pages belong to a driver when the run begins; the driver is the first file."""
    movable_word: int = 0
    """page->mapping of these pages."""
    mapped: bool = False
    """Whether processes map the pages: the run has page tables."""
    devices: Annotated[int, Field(ge=0)] = 0
    """Devices that read the pages; events name them by row."""
    marks: list[str] = []
    queues: int = 0
    """Number of queues in the wait design (page_wait: one per page)."""
    clock: str = SIMULATED
    """What time 0 is: "simulated", or the recording's clock at its first event, in words."""

    @property
    def recorded(self) -> bool:
        """Whether the run replays a recording, which names pages one by one: before that, their state is not known."""
        return self.pfns is not None

    def task_label(self, row: int) -> str | None:
        """Return a task's name, with its pid in a recording, as in ftrace: threads share names. None for no task."""
        if row >= len(self.tasks):
            return None
        task = self.tasks[row]
        return task.name if self.clock == SIMULATED else f"{task.name}-{task.pid}"

    def file_of(self, row: int) -> int:
        """Return the row of the file that a page is (first) cached in, -1 for none."""
        return self.page_files[row] if row < len(self.page_files) else self.cached_in

    def first_mappings(self, rows: Iterable[int]) -> list[int]:
        """Return page->mapping of these pages before the first event."""
        return [self._first_mapping(row) for row in rows]

    def _first_mapping(self, row: int) -> int:
        if row < self.anonymous:
            return self.anon_word
        if row < self.movable:
            return self.movable_word
        if self.cached_in < 0 or (file := self.file_of(row)) < 0:
            return 0
        return self.files[file].address

    def pfn(self, row: int) -> int:
        """Return the page frame number of a page row."""
        return self.pfns[row] if self.pfns is not None else self.first_pfn + row
