"""A scenario's designs, kernel profile and costs as plain numbers, which compiled code reads."""

from __future__ import annotations

from typing import Any

from engine.cast import ANON_TAG, ANON_WORD, MOVABLE_TAG, TaskName, file_address
from engine.costs import costs
from engine.designs import AXES, DESIGNS
from engine.designs.card import OWN_STEPS
from engine.designs.wait.swapped import E1
from engine.kernels import KERNELS
from engine.mm import steps
from engine.mm.mapping import PAGE_MAPPING_KSM
from engine.scenario import Scenario
from engine.workloads import Tasks
from engine.world.state import ANONYMOUS, NONE, PRIVATE, SHARED, Rules


def rules_of(scenario: Scenario, n_tasks: int, kernel: str) -> Rules:
    """Return the plain numbers for a scenario's designs, kernel profile and costs.

    n_tasks: rows of tasks; the rows of the design's actors come after them.
    """
    profile, card = KERNELS[kernel], DESIGNS[scenario.wait.design]
    overrides = scenario.costs.model_dump(exclude={"preset"})
    ns = costs(scenario.costs.preset, overrides)
    numbers: dict[str, Any] = dict.fromkeys(Rules._fields, 0)
    numbers |= {"queue_lists": 1, **card.rules(scenario.wait)}
    protecting = AXES["protect"][scenario.protect.design]
    numbers |= {**protecting.rules(scenario.protect), "protects_files": int("shared" in protecting.protects)}
    if numbers["encoding"] == E1:  # the other tags move to page_mapping.flags
        numbers["attach_tag"] = 0
    for which in OWN_STEPS:
        name = getattr(card, which)
        numbers[which] = NONE if name is None else steps.NUMBERS[name]
    numbers |= {name: getattr(profile, name) for name in Rules._fields if hasattr(profile, name)}
    numbers |= {
        "pins": int(isinstance(scenario.workload, Tasks) and scenario.workload.pinned),
        "n_tasks": n_tasks + len(card.actors),
        "first_actor": n_tasks,
        "cpus": scenario.machine.cpus,
        "atomic_ns": ns["atomic_ns"],
        "entry_ns": ns["entry_walked_ns"],
        "wake_ns": ns["wake_call_ns"],
        "queue_lock_ns": ns["queue_lock_ns"],
        "latency_ns": ns["wake_latency_ns"],
        "switch_ns": ns["context_switch_ns"],
        **{name: NONE for name, _ in (*MEMORY_STEPS, *PROTECT_STEPS)},
        "movable_word": movable_word(scenario),
        "movable_left": movable_word(scenario) & MOVABLE_TAG,
        **_memory(scenario),
    }
    return Rules(**numbers)


def _memory(scenario: Scenario) -> dict[str, int]:
    """Return the rules of a workload's address spaces; none without them."""
    if not isinstance(scenario.workload, Tasks) or (memory := scenario.workload.memory) is None:
        return {"count_decides": 0, "migration_pins": 0, "frees_swap": 0}
    ns = costs(scenario.costs.preset, scenario.costs.model_dump(exclude={"preset"}))
    protecting = AXES["protect"][scenario.protect.design]
    e1 = anon_word(scenario) & ANON_TAG == 0
    return {
        "mapped": {"shared": SHARED, "private": PRIVATE, "anonymous": ANONYMOUS}[memory.maps],
        "mms": memory.mms + memory.children,
        "virtual_pages": scenario.workload.choices,
        "anon_word": anon_word(scenario),
        "stable_pages": int(memory.stable_pages),
        "n_devices": sum(group.device is not None for group in scenario.workload.groups),
        "keeps_copies": int(memory.copies),
        "host_page_ps": 1_000 * ns["host_page_ns"],
        **dict(memory_steps(protects=scenario.protect.design != "none")),
        "contents": memory.contents,
        "migrates": int(any("migrate" in group.names for group in scenario.workload.groups)),
        "swaps": int(any("reclaim" in group.names for group in scenario.workload.groups)),
        "sockets": scenario.machine.sockets,
        "emulates": int(any("emulated_atomic" in group.names for group in scenario.workload.groups)),
        "scans": int(any("ksm_scan" in group.names for group in scenario.workload.groups)),
        "ksm_tag": 0 if e1 else PAGE_MAPPING_KSM,
        **{name: lines * ns["line_ns"] for name, lines in zip(PROTECT_LINES, protecting.lines, strict=True)},
        **{name: ns[name] for name in _NS},
    }


def anon_word(scenario: Scenario) -> int:
    """Return page->mapping of anonymous pages. Encoding E1 moves the tag to page_mapping.flags."""
    encoding = DESIGNS[scenario.wait.design].rules(scenario.wait).get("encoding")
    return ANON_WORD & ~ANON_TAG if encoding == E1 else ANON_WORD


def movable_word(scenario: Scenario) -> int:
    """Return page->mapping of a driver's movable pages; 0 if the workload has none. Encoding E1 moves the tag."""
    if not isinstance(scenario.workload, Tasks) or scenario.workload.type != "movable":
        return 0
    encoding = DESIGNS[scenario.wait.design].rules(scenario.wait).get("encoding")
    return file_address(0) | (0 if encoding == E1 else MOVABLE_TAG)


_NS = ("fault_ns", "flush_ns", "flush_cpu_ns", "flush_socket_ns", "copy_ns", "break_ns", "compare_ns", "swap_ns")
"""Costs that rules take over by their names."""
PROTECT_LINES = ("protect_ns", "unprotect_ns", "owner_ns")
"""Rules that hold what the lines of a protect design cost (Card.lines)."""
MEMORY_STEPS = (("unmap_step", "UNMAP_RANGE"), ("unmap_page_step", "UNMAP_PAGE"))
"""Rules that hold a step in workloads with address spaces, NONE in others."""


PROTECT_STEPS = (("write_step", "PROTECTED_WRITE"),)
"""Likewise in workloads that protect pages."""


def memory_steps(*, protects: bool) -> tuple[tuple[str, int], ...]:
    """Return (rule, step) for each of the steps above, in a workload with address spaces."""
    return tuple((name, steps.NUMBERS[step]) for name, step in (*MEMORY_STEPS, *(PROTECT_STEPS if protects else ())))


def actors_of(scenario: Scenario) -> list[int]:
    """Return the first steps of the kernel threads that work for the wait design."""
    return [steps.NUMBERS[step] for _, step in DESIGNS[scenario.wait.design].actors]


def actor_names(scenario: Scenario) -> list[TaskName]:
    """Return the names that these threads are shown with."""
    return [TaskName(name=name, pid=2 + i) for i, (name, _) in enumerate(DESIGNS[scenario.wait.design].actors)]


def queues_of(scenario: Scenario, pages: int) -> int:
    """Return how many queues the wait design has for this many pages; events number them."""
    return DESIGNS[scenario.wait.design].queues(scenario.wait, pages)
