"""Write protection in timed runs: what each policy makes of a write, the identities of every run, and its seals."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from engine.costs import COSTS
from engine.designs import AXES
from engine.events import UNPROTECTED, Batch, Kind
from engine.kernels import KERNELS
from engine.runs.play import open_run, seal
from engine.scenario import Scenario
from engine.scenarios import shipped
from engine.summaries.summary import Summariser
from engine.workloads import Tasks
from tests.engine.test_golden import check
from tests.worlds import Stage, step_name

MAPPED = [
    name for name, one in shipped().items() if isinstance(one.workload, Tasks) and one.workload.memory is not None
]
MAPPED = [name for name in MAPPED if name not in ("library-break", "library-refuse")]
"""Without those that differ from library-wait in the policy alone."""
PROTECT: dict[str, dict[str, str]] = {
    "none": {"design": "none"},
    **{
        f"{d} {p}": {"design": d, "policy": p} for d in ("attachment", "page_flag") for p in ("wait", "break", "refuse")
    },
    "attachment as posted": {"design": "attachment", "paths": "posted"},
    "page_flag as posted": {"design": "page_flag", "paths": "posted"},
    "exclusive_pte": {"design": "exclusive_pte"},
}


def asked(name: str, protect: dict[str, Any], events: int) -> Scenario:
    """Return a shipped scenario under another protect design. Raises ValidationError where it cannot be played."""
    given = shipped()[name].model_dump() | {"protect": protect, "limits": {"events": events}}
    return Scenario.model_validate(given)


def played(scenario: Scenario) -> tuple[Batch, dict[str, int | float]]:
    """Return all events of a run as one batch, and its key figures."""
    run = open_run(scenario)
    summary, batches = Summariser(run.cast), list(run.batches())
    for batch in batches:
        summary.leaf(batch)
    columns: Any = [np.concatenate(parts) for parts in zip(*(batch[1:] for batch in batches), strict=True)]
    return Batch(0, *columns), summary.figures()


def test_given_the_shipped_scenarios_under_every_protect_design_then_the_seals_are_the_golden_ones() -> None:
    """A scenario that a design cannot play is listed with the reason."""
    seals = dict[str, str]()
    for name in MAPPED:
        for title, protect in PROTECT.items():
            try:
                seals[f"{name}, {title}"] = seal(open_run(asked(name, protect, 20_000)).batches())
            except ValidationError as refused:
                seals[f"{name}, {title}"] = refused.errors()[0]["msg"]
    assert sum(len(value) == 64 for value in seals.values()) > len(seals) / 2
    check("protection.json", json.dumps(seals, indent=1) + "\n")


@pytest.mark.parametrize("title", [title for title in PROTECT if title != "none"])
@pytest.mark.parametrize("name", ["library-wait", "fork-during-protection", "truncation-under-gpu"])
def test_given_a_run_then_its_identities_hold_event_for_event(name: str, title: str) -> None:
    try:
        scenario = asked(name, PROTECT[title], 40_000)
    except ValidationError:
        pytest.skip("the design cannot play it, as the golden file says")
    log, figures = played(scenario)
    since, protected = dict[int, int](), dict[int, tuple[int, int]]()
    blocked, held, ends, refused = list[int](), 0, Counter[str](), 0
    pages = defaultdict[int, int](int)
    for time, kind, task, page, a, b in zip(
        *(column.tolist() for column in (log[1], *log[2:3], *log[4:])), strict=True
    ):
        match Kind(kind):
            case Kind.fault_blocked:
                since[task] = time
                assert page in protected, "a write meets a page only while it is protected"
            case Kind.fault_resumed:
                blocked.append(time - since.pop(task))
                assert a == blocked[-1]
            case Kind.fault_refused if a == 3:
                since.pop(task)
                refused += 1
            case Kind.page_protected:
                assert page not in protected, "no page is protected twice"
                protected[page] = (task, time)
            case Kind.page_unprotected:
                owner, begun = protected.pop(page)
                told = UNPROTECTED.unpack(a, b)
                assert told.held_ns == time - begun
                assert bool(told.broken) == (owner != task)
                held += told.held_ns
                ends["taken back" if told.broken else "given back"] += 1
            case Kind.page_put if a == 0:
                assert page not in protected or "posted" in title, "a page is not freed under a device"
            case Kind.tlb_flushed:
                pages[a] += b
    assert ends.total() + len(protected) == figures["protected"], "every protection has its end, or is open at the end"
    assert (ends["taken back"], held) == (figures["taken_back"], figures["protected_ns_sum"])
    assert (len(blocked), sum(blocked)) == (figures["resumed"], figures["blocked_ns_sum"])
    assert sum(pages.values()) == figures["cpus_interrupted"]
    assert figures["blocked"] == len(blocked) + refused + len(since)
    if PROTECT[title].get("policy", "break") == "break":
        _, back, owner = (lines * COSTS["line_ns"].estimate for lines in AXES["protect"][scenario.protect.design].lines)
        always = COSTS["break_ns"].estimate + back
        assert set(blocked) <= {always, always + owner}, "taking a page back takes a bounded time, always the same"


def test_claim_18_waiting_delays_writes_breaking_costs_the_device_and_refusing_fails_them() -> None:
    told = {
        policy: played(asked(f"library-{policy}", PROTECT[f"attachment {policy}"], 100_000))[1]
        for policy in ("wait", "break", "refuse")
    }
    assert told["wait"]["taken_back"] == told["wait"]["faults_refused"] == 0
    assert told["wait"]["blocked_ns_mean"] > 10 * told["break"]["blocked_ns_mean"] > 0
    assert told["break"]["faults_refused"] == 0 < told["break"]["taken_back"]
    assert told["refuse"]["resumed"] == 0 < told["refuse"]["faults_refused"]


def test_claim_19_the_share_of_unmodified_programs_decides_how_many_writes_fail() -> None:
    """Half of the programs ask for the page instead; all of them are alike otherwise."""
    met = {}
    for share in (0.0, 0.5, 1.0):
        protect: dict[str, Any] = {"design": "attachment", "policy": "refuse", "unmodified": share}
        figures = played(asked("library-refuse", protect, 100_000))[1]
        met[share] = figures["faults_refused"] / figures["blocked"]
        assert (figures["taken_back"] > 0) == (share < 1)
    assert met[0.0] == 0.0
    assert met[0.5] == pytest.approx(0.5, abs=0.1)
    assert met[1.0] > 0.99


def test_a_share_of_unmodified_programs_goes_with_refuse_alone() -> None:
    with pytest.raises(ValidationError, match="with policy wait all programs fare alike"):
        asked("library-wait", {"design": "page_flag", "policy": "wait", "unmodified": 0.5}, 1_000)


@pytest.mark.parametrize("kernel", KERNELS)
def test_k1_a_page_that_somebody_has_pinned_is_not_protected(kernel: str) -> None:
    memory = {"maps": "anonymous", "spare": 1}
    stage = Stage(
        "pin think:1 dma unpin",
        "protect device_write unprotect",
        memory=memory,
        kernel=kernel,
        protect={"design": "attachment"},
    )
    stage.until(0, "THINK")
    assert "1 protect_refused" in stage.sleep(1)
    assert not stage.broke()


def test_a1_an_access_to_a_device_exclusive_page_waits_for_the_driver_and_takes_it_back() -> None:
    memory = {"maps": "anonymous", "spare": 1}
    stage = Stage("protect device_write unprotect", "load", memory=memory, protect={"design": "exclusive_pte"})
    stage.until(0, "PROTECT_SET")
    assert "1 waiter_queued" in stage.sleep(1), "the driver has the page lock while it sets the device up"
    stage.until(0, "DEVICE_WRITE")
    told = stage.sleep(1)
    assert told.index("1 page_unprotected") < told.index("1 pte_set")
    assert "0 page_written" not in stage.until(0, "UNPROTECT"), "the device has lost the page"


def test_a_write_fault_that_begins_before_a_protection_ends_after_it() -> None:
    """The fault has seen an unprotected page and waits for its lock: the check that counts is the one behind it."""
    memory = {"maps": "shared"}
    stage = Stage("protect device_write unprotect", "store", memory=memory, protect={"design": "page_flag"})
    stage.until(1, "WP_PAGE")
    stage.until(0, "DEVICE_WRITE")
    assert step_name(stage.world, 1) == "WP_PAGE"
    told = stage.sleep(1)
    assert told.index("1 fault_blocked") < told.index("1 page_unprotected") < told.index("1 page_written")
    assert not stage.broke()


def test_given_every_protect_design_then_a_run_without_devices_is_the_same_but_for_its_name() -> None:
    """What a run does not use costs it nothing: without a protect operation the designs cannot be told apart."""
    seals = {
        design: seal(open_run(asked("stable-pages", {"design": design}, 20_000)).batches())
        for design in ("none", "attachment", "page_flag")
    }
    assert len(set(seals.values())) == 1
    assert set(AXES["protect"]) - set(seals) == {"exclusive_pte"}, "which takes anonymous memory only"
