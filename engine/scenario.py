"""Scenario: the specification of a run. It contains everything that determines a run's events, seed included.

Strict on purpose: unknown keys, non-finite numbers and strings for integers are rejected, and values above a limit are
found here, before any worker starts.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from engine.checks import check_fits
from engine.designs import AXES, DESIGNS
from engine.formats import SCENARIO, upgraded_scenario
from engine.operations import Grown, Part
from engine.schedule_word import LENGTH_MAX
from engine.text import STORY_MAX, lines
from engine.workloads import Name, Recorded, Tasks

FORMAT = SCENARIO
TIME_MAX_NS = 2**43 - 2
"""2.4 hours: a pending event is one word, 43 bits of time over 20 bits of task (DECISIONS 5)."""
EVENTS_MAX = 200_000_000

Kernel = Literal["4.13", "4.16", "5.9-rc", "5.9", "5.10", "6.1", "6.7+"]


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
            check_fits(self.workload, self.wait, self.protect, self.schedule)
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
