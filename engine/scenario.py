"""Scenario: the specification of a run. It contains everything that determines a run's events, seed included.

Strict on purpose: unknown keys, non-finite numbers and strings for integers are rejected, and values above a limit are
found here, before any worker starts.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from engine.cast import ANON_TAG
from engine.designs import AXES, DESIGNS
from engine.devices import DEVICES
from engine.formats import SCENARIO, upgraded_scenario
from engine.operations import MMS_MAX, PAGES_MAX, Fork, Grown, Migrate, Op, Part, Pick
from engine.program import OF_MOVABLE, OPERATIONS, check_program, of_files
from engine.schedule_word import LENGTH_MAX, read
from engine.text import NAME_MAX, STORY_MAX, lines, one_line

FORMAT = SCENARIO
TIME_MAX_NS = 2**43 - 2
"""2.4 hours: a pending event is one word, 43 bits of time over 20 bits of task (DECISIONS 5)."""
TASKS_MAX = 2**20 - 1
FILES_MAX = 1_024
EVENTS_MAX = 200_000_000
ENTRIES_MAX = 2**22
"""Page table entries of all address spaces."""
ITEMS_MAX = 2**14
"""Entries that ksmd scans: it searches them one by one."""
PICKS_MAX = 2**23
"""Rows in the tables from which pages are picked, over all distinct picks: each row costs 8 bytes and 2 us."""

Kernel = Literal["4.13", "4.16", "5.9-rc", "5.9", "5.10", "6.1", "6.7+"]


Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX), AfterValidator(one_line)]
Story = Annotated[str, Field(max_length=STORY_MAX), AfterValidator(lines)]
Ns = Annotated[int, Field(ge=0, le=TIME_MAX_NS)]


def _with_design(default: str) -> BeforeValidator:
    """Return a validator that takes options without `design` as those of the default design."""
    return BeforeValidator(lambda given: {"design": default, **given} if isinstance(given, dict) else given)


def _options(axis: str, default: str) -> Any:
    """Return the type of an axis: a union of its designs' options, discriminated by `design`."""
    union = reduce(or_, (card.options for card in AXES[axis].values()))
    return Annotated[union, Field(discriminator="design"), _with_design(default)]


if TYPE_CHECKING:
    Wait: TypeAlias = Any
    Truncate: TypeAlias = Any
    Protect: TypeAlias = Any
else:
    Wait = _options("wait", "hashed")
    Truncate = _options("truncate", "helper")
    Protect = _options("protect", "none")
"""The wait axis: where waiters queue. The truncate axis: how a path that has locked a page detects that it has been
truncated. The protect axis: how a page is write-protected for a device. Options that the chosen design does not have
are rejected."""


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


class Costs(Grown):
    """Nanoseconds charged for kernel operations; engine/costs.py has the source of each default."""

    preset: Literal["ideal", "estimate"] = "ideal"
    wake_latency_ns: Ns | None = None
    atomic_ns: Ns | None = None
    entry_walked_ns: Ns | None = None
    wake_call_ns: Ns | None = None
    queue_lock_ns: Ns | None = None
    context_switch_ns: Ns | None = None
    fault_ns: Ns | None = None
    flush_ns: Ns | None = None
    flush_cpu_ns: Ns | None = None
    flush_socket_ns: Ns | None = None
    copy_ns: Ns | None = None
    break_ns: Ns | None = None
    host_page_ns: Ns | None = None
    compare_ns: Ns | None = None
    line_ns: Ns | None = None
    swap_ns: Ns | None = None

    added = frozenset(
        {
            *("fault_ns", "flush_ns", "flush_cpu_ns", "copy_ns", "break_ns", "host_page_ns", "compare_ns", "line_ns"),
            *("swap_ns", "flush_socket_ns"),
        }
    )


class Machine(Grown):
    """The CPUs that tasks run on."""

    cpus: Annotated[int, Field(ge=0, le=8192, description="0: every task has a CPU of its own")] = 0
    sockets: Annotated[
        int, Field(ge=1, le=64, description="sockets over which the CPUs are spread evenly: TLB flushes cross them")
    ] = 1

    added = frozenset({"sockets"})


class Limits(Part):
    """Where the run stops, whichever comes first."""

    events: Annotated[
        int | None, Field(ge=1, le=EVENTS_MAX, description="1,000,000 if absent; a recording is then played to its end")
    ] = None
    time_ns: Annotated[int, Field(ge=1, le=TIME_MAX_NS)] = TIME_MAX_NS


def _check_memory(workload: Tasks) -> None:
    """Raise ValueError for address spaces that are not there, or page tables that are too large."""
    memory, groups = workload.memory, workload.groups
    if memory is None:
        if stray := next((group for group in groups if group.mm), None):
            raise ValueError(f"group {stray.name!r} runs in address space {stray.mm}: add workload.memory")
        return
    mms = memory.mms + memory.children
    if mms > MMS_MAX:
        raise ValueError(f"{mms} address spaces; the limit is {MMS_MAX}: lower memory.mms or memory.children")
    if mms * workload.pages > ENTRIES_MAX:
        raise ValueError(
            f"{mms} address spaces of {workload.pages} pages have {mms * workload.pages} page table entries; "
            f"the limit is {ENTRIES_MAX}: use fewer pages or address spaces"
        )
    private = memory.private or []
    if memory.private is not None and memory.maps != "shared":
        raise ValueError(f"memory.private: all areas are {memory.maps}: leave it out, or set maps to shared")
    if len(set(private)) < len(private) or any(mm >= memory.mms for mm in private):
        raise ValueError(
            f"memory.private names address spaces {', '.join(map(str, private))}: name each of 0 to "
            f"{memory.mms - 1} at most once; a fork copies its parent's area"
        )
    if not workload.cached and memory.maps != "anonymous":
        raise ValueError("memory maps pages of a file: leave cached true")
    if memory.maps == "anonymous" and memory.mms > workload.pages:
        raise ValueError(f"{memory.mms} address spaces share {workload.pages} pages: each needs one; raise pages")
    for group in groups:
        if memory.maps == "anonymous" and (strange := next((name for name in group.names if of_files(name)), None)):
            raise ValueError(f"group {group.name!r}: {strange} is for pages of a file: memory.maps is anonymous")
        if memory.maps != "anonymous" and "migrate" in group.names:
            raise ValueError(f"group {group.name!r}: migrate is for anonymous pages: memory.maps is {memory.maps}")
        if memory.maps != "anonymous" and "reclaim" in group.names:
            raise ValueError(f"group {group.name!r}: reclaim is for anonymous pages: memory.maps is {memory.maps}")
        if group.mm >= mms:
            raise ValueError(f"group {group.name!r} runs in address space {group.mm}, but there are {mms}: raise mms")
        for op in group.program:
            if isinstance(op, Fork) and not memory.mms <= op.to < mms:
                raise ValueError(
                    f"group {group.name!r} forks to address space {op.to}: the empty ones are {memory.mms} to "
                    f"{mms - 1}; raise memory.children"
                    if memory.children
                    else f"group {group.name!r} forks, but no address space is empty: raise memory.children"
                )


def _check_movable(scenario: Scenario) -> None:
    """Raise ValueError for what cannot be done with a driver's movable pages."""
    workload = scenario.workload
    assert isinstance(workload, Tasks)
    if workload.type == "file":
        return
    if scenario.protect.design != "none":
        raise ValueError(
            f"protect: {scenario.protect.design} cannot protect movable pages, which no process maps: leave type out"
        )
    if workload.memory is not None:
        raise ValueError("type: no process maps movable pages; leave memory out, or type")
    if not workload.pinned or workload.files > 1:
        raise ValueError("type: movable pages belong to one driver, which keeps them: leave pinned true and files at 1")
    for group in workload.groups:
        if stray := next((op for op in group.program if isinstance(op, Migrate) and op.to < workload.movable), None):
            raise ValueError(
                f"group {group.name!r} migrates to page {stray.to}, which is the driver's: pages to migrate to are the "
                f"last ones, from {workload.movable} on"
            )
        if strange := next((name for name in group.names if name not in OF_MOVABLE), None):
            raise ValueError(
                f"group {group.name!r}: {strange} is not for movable pages; they take {', '.join(sorted(OF_MOVABLE))}"
            )


def _check_ksm(workload: Tasks) -> None:
    """Raise ValueError for pages that cannot be merged, and for a ksmd that is not alone or does other things too."""
    memory, scanning = workload.memory, [group for group in workload.groups if "ksm_scan" in group.names]
    if memory is None:
        return
    if memory.contents and memory.maps != "anonymous":
        raise ValueError(f"memory.contents: KSM merges anonymous pages, and memory.maps is {memory.maps}: leave it out")
    user = next((group for group in workload.groups if {"ksm_scan", "unmerge"} & set(group.names)), None)
    if user is not None and not memory.contents:
        raise ValueError(f"group {user.name!r} merges pages of known contents: set memory.contents to 1 or more")
    if len(scanning) > 1 or any(group.tasks > 1 for group in scanning):
        raise ValueError("ksmd is one thread: let one group with one task run ksm_scan")
    for group in scanning:
        if others := [name for name in group.names if name not in ("ksm_scan", "think", "hold")]:
            raise ValueError(f"group {group.name!r} is ksmd, and {others[0]} is for tasks: move it to another group")
    if scanning and (entries := (memory.mms + memory.children) * workload.choices) > ITEMS_MAX:
        raise ValueError(f"ksmd scans {entries} entries; the limit is {ITEMS_MAX}: lower pages or memory.children")


def _check_protection(scenario: Scenario) -> None:
    """Raise ValueError for pages protected without a design, or by one that cannot protect pages of this type."""
    workload, design = scenario.workload, scenario.protect.design
    assert isinstance(workload, Tasks)
    names = {name for group in workload.groups for name in group.names}
    if design == "none":
        if "protect" in names:
            raise ValueError("protect: no design protects pages; choose attachment, page_flag or exclusive_pte")
        return
    if workload.memory is None:
        raise ValueError(f"protect: {design} protects pages that are mapped: add workload.memory")
    if workload.memory.maps not in (takes := AXES["protect"][design].protects):
        raise ValueError(
            f"protect: {design} takes {' and '.join(takes)} memory, and memory.maps is {workload.memory.maps} "
            "(EOPNOTSUPP): choose another design"
        )


def _check_devices(scenario: Scenario) -> None:
    """Raise ValueError for a device's operations in other groups, and for what a device cannot do."""
    workload = scenario.workload
    assert isinstance(workload, Tasks)
    for group in workload.groups:
        label, names = f"group {group.name!r}", set(group.names)
        strange = sorted(name for name in names if OPERATIONS[name].device is (group.device is None))
        if group.device is None:
            if strange:
                raise ValueError(f"{label}: {strange[0]} is for devices: set device to {', '.join(DEVICES)}")
            continue
        profile = DEVICES[group.device]
        if workload.memory is None:
            raise ValueError(f"{label} is a device, and no process maps pages that it could use: add workload.memory")
        if group.tasks > profile.in_flight.value:
            raise ValueError(
                f"{label} has {group.tasks} requests in flight; {group.device} has at most {profile.in_flight.value}: "
                "use fewer tasks"
            )
        if {"atomic", "emulated_atomic"} & names and not profile.atomics:
            raise ValueError(f"{label}: {group.device} issues no PCIe atomics: choose another device")
        if strange:
            raise ValueError(f"{label}: {strange[0]} is what a CPU does: put it into a group without a device")
    if workload.memory is not None and workload.memory.copies:
        if scenario.protect.design in ("none", "exclusive_pte"):
            raise ValueError("memory.copies: copies need pages that stay protected: choose attachment or page_flag")
        devices = sum(group.device is not None for group in workload.groups)
        if devices * workload.all_pages > ENTRIES_MAX:
            raise ValueError(
                f"{devices} devices could hold copies of {workload.all_pages} pages; the limit is {ENTRIES_MAX} copies "
                "in all: use fewer pages"
            )


def _maps_anonymous(memory: Memory) -> bool:
    """Return whether anonymous pages can come to be: at once, or as copies of a file's."""
    return memory.maps != "shared" or bool(memory.private)


def _check_tags(scenario: Scenario) -> None:
    """Raise ValueError if the wait design claims bits of page->mapping that other words there use."""
    workload, wait, card = scenario.workload, scenario.wait, AXES["protect"][scenario.protect.design]
    assert isinstance(workload, Tasks)
    if workload.memory is None or getattr(wait, "encoding", "") == "E1":  # E1 moves the other tags elsewhere
        return
    used = card.tag_bits(scenario.protect) | (0 if not _maps_anonymous(workload.memory) else ANON_TAG)
    if both := DESIGNS[wait.design].tag_bits(wait) & used:
        users = "anonymous pages" if both & ANON_TAG and _maps_anonymous(workload.memory) else scenario.protect.design
        raise ValueError(
            f"{wait.design} takes every word of page->mapping with bit {(both & -both).bit_length() - 1} for its own, "
            f"and {users} {'set' if users == 'anonymous pages' else 'sets'} that bit: choose another encoding"
        )


class Scenario(Grown):
    """The specification of a run: workload, designs, kernel, costs, limits, seed."""

    format: Literal["scenario/2"] = "scenario/2"
    name: Name
    story: Story = ""
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 1
    kernel: Annotated[
        Kernel | None, Field(description="version profile; if absent 4.16, or the kernel that a recording was made on")
    ] = None
    wait: Wait = DESIGNS["hashed"].options()
    truncate: Truncate = AXES["truncate"]["helper"].options()
    protect: Protect = AXES["protect"]["none"].options()
    workload: Annotated[Tasks | Recorded, Field(discriminator="kind")]
    costs: Costs = Costs()
    machine: Machine = Machine()
    limits: Limits = Limits()
    schedule: Annotated[
        str | None,
        Field(
            max_length=LENGTH_MAX,
            description="order of the tasks' steps, as the explorer writes it (a3.b.c/1); each step takes 1 us",
        ),
    ] = None

    added = frozenset({"protect"})

    @model_validator(mode="before")
    @classmethod
    def _upgraded(cls, given: Any) -> Any:
        """Upgrade a scenario in an older format, as found in links and files."""
        return upgraded_scenario(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.workload, Tasks):
            total = sum(group.tasks for group in self.workload.groups)
            if total > TASKS_MAX:
                raise ValueError(f"{total} tasks in all groups; the limit is {TASKS_MAX}: use fewer")
            names = [group.name for group in self.workload.groups]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"two groups are named {twice!r}: their tasks could not be told apart; rename one")
            if self.workload.files > self.workload.pages:
                raise ValueError(
                    f"{self.workload.files} files share {self.workload.pages} pages: each needs one; raise pages"
                )
            _check_movable(self)
            _check_memory(self.workload)
            _check_ksm(self.workload)
            _check_protection(self)
            _check_tags(self)
            _check_devices(self)
            for group in self.workload.groups:
                pages, pinned, label = self.workload.pages, self.workload.pinned, f"group {group.name!r}"
                mapped = self.workload.memory is not None
                check_program(label, group.names, repeat=group.repeat, pages=pages, pinned=pinned, mapped=mapped)
                for op in group.program:
                    if isinstance(op, Migrate) and op.to >= pages:
                        raise ValueError(f"{label} migrates to page {op.to}, but there are {pages}: raise pages")
                    if isinstance(op, Migrate) and self.workload.files > 1:
                        raise ValueError(f"{label} migrates: pages keep their file here, so leave files at 1")
                    if isinstance(op, Pick) and op.first + (op.count or 1) > self.workload.choices:
                        raise ValueError(
                            f"{label} picks page {op.first + (op.count or 1) - 1}, but there are "
                            f"{self.workload.choices} pages to pick from: raise pages or lower first and count"
                        )
            if self.schedule is not None:
                read(total + len(DESIGNS[self.wait.design].actors), self.schedule)
            picks = [op for group in self.workload.groups for op in group.program if isinstance(op, Pick)]
            tables = {(op.count or self.workload.choices - op.first, op.zipf) for op in picks}
            if (rows := sum(count for count, _ in tables)) > PICKS_MAX:
                raise ValueError(
                    f"the picks choose from {rows} pages in {len(tables)} ways; the limit is {PICKS_MAX} in all: "
                    "use fewer pages, or the same zipf and count more often"
                )
        elif self.schedule is not None:
            raise ValueError("a recording has its own order: a schedule goes with a workload of tasks")
        return self

    @property
    def designs(self) -> dict[str, str]:
        """Axis -> name of the design chosen."""
        return {"wait": self.wait.design, "truncate": self.truncate.design, "protect": self.protect.design}

    @property
    def profile(self) -> str:
        """The kernel profile in words: its name, or "as recorded" where the recording decides."""
        return self.kernel or ("4.16" if isinstance(self.workload, Tasks) else "as recorded")

    @property
    def events_max(self) -> int:
        """Events after which the run stops."""
        return self.limits.events or (1_000_000 if isinstance(self.workload, Tasks) else EVENTS_MAX)

    def canonical(self) -> bytes:
        """Return the bytes that identify this scenario: JSON, keys sorted, no blanks; same scenario, same bytes."""
        import json

        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
