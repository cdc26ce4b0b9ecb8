"""The models of a workload: tasks on the pages of files or of address spaces, or a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from engine.devices import DEVICES
from engine.operations import MMS_MAX, PAGES_MAX, Grown, Migrate, Op, Part
from engine.text import NAME_MAX, one_line

TASKS_MAX = 2**20 - 1
FILES_MAX = 1_024

Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX), AfterValidator(one_line)]


if TYPE_CHECKING:
    DeviceName: TypeAlias = str
else:
    DeviceName = Literal[tuple(DEVICES)]


class Memory(Grown):
    """Address spaces that map the workload's pages, one entry per page and address space."""

    maps: Annotated[
        Literal["shared", "private", "anonymous"],
        Field(description="MAP_SHARED or MAP_PRIVATE pages of the file, or anonymous memory"),
    ]
    mms: Annotated[int, Field(ge=1, le=MMS_MAX, description="address spaces that map the pages at the start")] = 1
    children: Annotated[int, Field(ge=0, lt=MMS_MAX, description="further address spaces, empty until a fork")] = 0
    spare: Annotated[int, Field(ge=0, le=2**16, description="free pages, for copies")] = 0
    copies: Annotated[
        bool, Field(description="devices keep read-only copies of pages that they read; a CPU's write drops them")
    ] = False
    stable_pages: Annotated[
        bool, Field(description="the device needs pages that do not change during writeback, so write faults wait")
    ] = False

    contents: Annotated[
        int,
        Field(
            ge=0,
            le=2**16,
            description="different contents of anonymous pages at the start, one page after another; 0: not known",
        ),
    ] = 0

    private: Annotated[
        list[Annotated[int, Field(ge=0, lt=MMS_MAX)]] | None,
        Field(
            max_length=MMS_MAX, description="address spaces whose area is MAP_PRIVATE, where the others map MAP_SHARED"
        ),
    ] = None

    added = frozenset({"copies", "contents", "private"})


class Group(Grown):
    """Tasks that run the same program."""

    name: Name
    tasks: Annotated[int, Field(ge=1, le=TASKS_MAX)]
    program: Annotated[list[Op], Field(min_length=1, max_length=64)]
    repeat: Annotated[
        int | None, Field(ge=1, le=2**31, description="times through the program; for ever if absent")
    ] = None

    mm: Annotated[int, Field(ge=0, lt=MMS_MAX, description="address space that the tasks run in")] = 0
    device: Annotated[
        DeviceName | None,
        Field(description="the group is one device of this profile, and its tasks are the requests it has in flight"),
    ] = None

    added = frozenset({"mm", "device"})

    @property
    def names(self) -> list[str]:
        """The operations of the program, by name."""
        return [op.op for op in self.program]


def _page_type(given: Any) -> Any:
    """Reject types of page that no path of the model works on, with the reason."""
    if given in ("slab", "zone_device", "ksm", "anonymous", "swap_cache"):
        reasons = {
            "slab": "no path that is modelled locks, maps or waits for slab pages, and none may write-protect them",
            "zone_device": "pages of device memory are shown by the page Anatomy only",
            "ksm": "KSM makes them from anonymous pages: set memory.maps to anonymous and memory.contents",
            "anonymous": "they belong to a process: set memory.maps to anonymous",
            "swap_cache": "reclaim makes them from anonymous pages: set memory.maps to anonymous and use reclaim",
        }
        raise ValueError(f"{given} pages: {reasons[given]}; type is file or movable")
    return given


class Tasks(Grown):
    """A synthetic workload: groups of tasks that use the pages of one file, or of several."""

    kind: Literal["tasks"]
    pages: Annotated[int, Field(ge=1, le=PAGES_MAX)]
    files: Annotated[int, Field(ge=1, le=FILES_MAX, description="files that the pages belong to, in equal parts")] = 1
    first_pfn: Annotated[int, Field(ge=0, lt=2**36)] = 0
    cached: bool = True
    pinned: Annotated[
        bool,
        Field(description="a reference on every page keeps it; if not, a task must look a page up before it uses it"),
    ] = True
    memory: Annotated[Memory | None, Field(description="address spaces that map the pages; none if absent")] = None
    type: Annotated[
        Literal["file", "movable"],
        BeforeValidator(_page_type),
        Field(
            description="type of the pages: a file's, or a driver's (balloon, zsmalloc), tagged PAGE_MAPPING_MOVABLE"
        ),
    ] = "file"
    groups: Annotated[list[Group], Field(min_length=1, max_length=64)]

    added = frozenset({"files", "memory", "type"})

    @property
    def all_pages(self) -> int:
        """Rows of pages: those of the workload, then the spare ones."""
        return self.pages + (self.memory.spare if self.memory is not None else 0)

    @property
    def movable(self) -> int:
        """Pages that are a driver's at the start: the first ones; those that programs migrate to are free."""
        targets = {op.to for group in self.groups for op in group.program if isinstance(op, Migrate)}
        return self.pages - len(targets) if self.type == "movable" else 0

    @property
    def choices(self) -> int:
        """Pages to pick from: all, or the virtual pages of an address space of anonymous memory."""
        return self.pages // self.memory.mms if self.memory and self.memory.maps == "anonymous" else self.pages

    def file_of(self, page: int) -> int:
        """Return the row of the file that a page belongs to."""
        return page * self.files // self.pages


class Recorded(Part):
    """Replay a recording: it decides which task is next, and the design decides what that costs."""

    kind: Literal["recording"]
    recording: Annotated[
        str,
        Field(
            pattern=r"^([0-9a-f]{12}|demo|fsync-storm|one-hot-page)$",
            description="id of an imported recording, or name of a shipped one",
        ),
    ]
