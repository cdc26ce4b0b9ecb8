"""What a scenario's axes, kernel profile and costs come to: the plain numbers by which compiled code runs."""

from __future__ import annotations

from engine.costs import costs
from engine.designs import DESIGNS
from engine.kernels import KERNELS
from engine.linking import NUMBERS
from engine.mm.mapping import TAGS
from engine.scenario import Scenario, Tasks
from engine.state import NONE, WAIT_BITS, Rules
from engine.truncation import TRUNCATIONS


def own_step(design: str, which: str) -> int:
    """Return the number of the step by which a design replaces the way into a path of its own; NONE if it does not."""
    name = getattr(DESIGNS[design], which)
    return NONE if name is None else NUMBERS[name]


def rules_of(scenario: Scenario, n_tasks: int, kernel: str) -> Rules:
    """Return the plain numbers that a scenario's axes and costs come to."""
    profile = KERNELS[kernel]
    given = scenario.costs.model_dump(exclude={"preset"})
    ns = costs(scenario.costs.preset, given)
    return Rules(
        design=DESIGNS[scenario.wait.design].number,
        bits=scenario.wait.bits,
        encoding=int(scenario.wait.encoding[1:]),
        tag=TAGS[scenario.wait.encoding],
        wait_bits=scenario.wait.wait_bits,
        free_early=scenario.wait.free == "early",
        plain_writers=scenario.wait.writers == "plain",
        corrected=scenario.wait.variant == "corrected",
        pins=int(isinstance(scenario.workload, Tasks) and scenario.workload.pinned),
        truncate=TRUNCATIONS[scenario.truncate.design].number,
        queue_lists=WAIT_BITS if scenario.wait.design == "page_wait" else 1,
        queue_per_page=scenario.wait.design == "page_wait",
        fixed_queues=scenario.wait.design == "hashed",
        tag_shows_queue=scenario.wait.design == "page_wait",
        lock_step=own_step(scenario.wait.design, "lock_step"),
        unlock_step=own_step(scenario.wait.design, "unlock_step"),
        grant_step=own_step(scenario.wait.design, "grant_step"),
        n_tasks=n_tasks,
        n_pages=0,  # make_world knows
        cpus=scenario.machine.cpus,
        publish=profile.publish,
        handoff_after=profile.handoff_after,
        bookmark=profile.bookmark,
        writeback_loops=profile.writeback_loops,
        writeback_pins=profile.writeback_pins,
        writeback_xor=profile.writeback_xor,
        atomic_ns=ns["atomic_ns"],
        entry_ns=ns["entry_walked_ns"],
        wake_ns=ns["wake_call_ns"],
        queue_lock_ns=ns["queue_lock_ns"],
        latency_ns=ns["wake_latency_ns"],
        switch_ns=ns["context_switch_ns"],
        visits=0,
    )


def queues_of(scenario: Scenario, pages: int) -> int:
    """Return how many queues the wait design has for so many pages: numbers that events may show."""
    shared = 1 << scenario.wait.bits
    return {"hashed": shared, "page_wait": pages, "page_waiter": shared + pages}[scenario.wait.design]
