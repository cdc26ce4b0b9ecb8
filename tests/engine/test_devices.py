"""Devices: closed forms of reading and of atomic operations, identities of every run, profiles, and what is refused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from engine.devices import DEVICES, Profile
from engine.events import TRANSFER, Kind
from engine.program import group_of
from engine.runs.play import open_run
from engine.scenario import Scenario
from engine.scenarios import shipped
from engine.summaries.summary import Summariser

PAGE = 4096


def scenario(*groups: tuple[str, str | None], **more: Any) -> Scenario:
    """Return a scenario: groups are a program in one line and a device, or None for CPUs."""
    made = []
    for number, (text, device) in enumerate(groups):
        made.append(group_of(f"g{number}", text) | ({"device": device} if device else {}))
    memory = {"maps": more.pop("maps", "shared"), "copies": more.pop("copies", False)}
    workload = {"kind": "tasks", "pages": more.pop("pages", 64), "memory": memory, "groups": made}
    return Scenario.model_validate({"name": "test", "workload": workload, **more})


def played(asked: Scenario) -> tuple[int, dict[str, int | float], Counter[str]]:
    """Return the time of a run's last event, its key figures and its events by kind."""
    run = open_run(asked)
    summary, kinds, end = Summariser(run.cast), Counter[str](), 0
    for batch in run.batches():
        summary.leaf(batch)
        kinds.update(Kind(kind).name for kind in batch.kind.tolist())
        end = int(batch.time[-1])
    return end, summary.figures(), kinds


def link_ns(profile: str) -> float:
    """Return the time for which a page occupies the link."""
    return PAGE * 1e3 / DEVICES[profile].link_mb_s.value


@pytest.mark.parametrize("profile", DEVICES)
def test_given_one_request_at_a_time_then_each_read_takes_a_round_trip_and_the_transfer(profile: str) -> None:
    end, figures, _ = played(scenario(("500/pick device_read", profile)))
    expected = 500 * (DEVICES[profile].link_ns.value + link_ns(profile))
    assert end == pytest.approx(expected, rel=2e-3)
    assert figures["link_bytes"] == 500 * PAGE


@pytest.mark.parametrize("profile", DEVICES)
def test_given_many_requests_in_flight_then_the_link_is_the_limit(profile: str) -> None:
    window = DEVICES[profile].in_flight.value
    end, figures, _ = played(scenario((f"{window}*100/pick device_read", profile)))
    rate = figures["link_bytes"] / end  # bytes per ns: GB/s
    assert rate == pytest.approx(
        min(DEVICES[profile].link_mb_s.value / 1e3, window * PAGE / link_time(profile)), rel=0.02
    )


def link_time(profile: str) -> float:
    return DEVICES[profile].link_ns.value + link_ns(profile)


def test_given_n_devices_then_they_read_n_times_as_fast_until_the_hosts_memory_is_the_limit() -> None:
    ends = {n: played(scenario(*[("32*100/pick device_read", "gpu-pcie3")] * n))[0] for n in (1, 2, 4)}
    assert ends[2] == pytest.approx(ends[1], rel=0.01)
    assert ends[4] == pytest.approx(ends[1], rel=0.01)
    host_ns = 200
    end, figures, _ = played(
        scenario(*[("32*100/pick device_read", "gpu-pcie3")] * 4, costs={"preset": "ideal", "host_page_ns": host_ns})
    )
    assert figures["link_bytes"] / end == pytest.approx(PAGE / host_ns, rel=0.01)


def test_given_copies_and_no_writes_then_each_page_crosses_each_link_once() -> None:
    pages, reads = 64, 4_000
    asked = scenario(
        *[(f"{reads}/pick device_read", "gpu-pcie4")] * 2,
        copies=True,
        pages=pages,
        protect={"design": "page_flag"},
        limits={"events": 2_000_000},
    )
    _, figures, kinds = played(asked)
    assert figures["copies_made"] == 2 * pages == figures["link_bytes"] / PAGE
    assert figures["local_bytes"] == (2 * reads - 2 * pages) * PAGE
    assert kinds["copy_dropped"] == 0
    assert figures["protected"] == pages, "the second device joins the copies of the first"


def test_given_a_hit_ratio_then_the_time_is_that_of_the_misses_over_the_link_and_of_the_hits_in_local_memory() -> None:
    profile, pages, reads = DEVICES["gpu-pcie3"], 256, 4_000
    asked = scenario(
        (f"{reads}/pick device_read", "gpu-pcie3"),
        copies=True,
        pages=pages,
        protect={"design": "page_flag"},
        limits={"events": 2_000_000},
    )
    end, figures, _ = played(asked)
    misses = figures["link_bytes"] / PAGE
    local = profile.local_ns.value + PAGE * 1e3 / profile.local_mb_s.value
    assert misses == pages
    assert end == pytest.approx(misses * link_time("gpu-pcie3") + (reads - misses) * local, rel=0.01)


def test_given_a_window_of_atomics_then_window_over_latency_are_made_each_second() -> None:
    for window in (1, 16, 64):
        end, figures, _ = played(scenario((f"{window}*100/pick atomic", "gpu-pcie3"), maps="anonymous"))
        assert figures["link_atomics"] / end == pytest.approx(window / DEVICES["gpu-pcie3"].link_ns.value)


@pytest.mark.parametrize("name", ["training-link", "training-copies", "atomics-pcie", "atomics-protected"])
def test_given_a_shipped_scenario_then_the_figures_are_the_sums_of_its_events(name: str) -> None:
    asked = shipped()[name].model_copy(update={"limits": shipped()[name].limits.model_copy(update={"events": 50_000})})
    run = open_run(asked)
    summary, held, sums = Summariser(run.cast), set[tuple[int, int]](), Counter[str]()
    for batch in run.batches():
        summary.leaf(batch)
        columns = (batch.kind, batch.page, batch.a, batch.b)
        for kind, page, a, b in zip(*(column.tolist() for column in columns), strict=True):
            match Kind(kind):
                case Kind.device_read:
                    told = TRANSFER.unpack(a, b)
                    sums["local_bytes" if told.local else "link_bytes"] += told.bytes
                    assert not told.local or (told.device, page) in held, "only a copy that is held is read"
                case Kind.device_atomic:
                    sums["local_atomics" if TRANSFER.unpack(a, b).local else "link_atomics"] += 1
                case Kind.copy_made:
                    sums["copies_made"] += 1
                    held.add((a, page))
                case Kind.copy_dropped:
                    sums["copies_dropped"] += 1
                    held.remove((a, page))
                case Kind.page_written if page != 0xFFFFFFFF:
                    assert not any(at == page for _, at in held), "no CPU writes to a page that devices have copies of"
    figures = summary.figures()
    assert figures["broken"] == 0
    for what in ("link_bytes", "local_bytes", "link_atomics", "local_atomics", "copies_made", "copies_dropped"):
        assert figures[what] == sums[what], what


def test_claims_13_and_14_copies_raise_the_read_rate_and_protection_makes_atomics_local() -> None:
    rates = {}
    for name in ("training-link", "training-copies"):
        end, figures, _ = played(shipped()[name])
        rates[name] = (figures["link_bytes"] + figures["local_bytes"]) / end
    assert rates["training-copies"] > rates["training-link"]
    means = {}
    for name in ("atomics-pcie", "atomics-protected"):
        _, figures, _ = played(shipped()[name])
        means[name] = figures["atomic_ns_sum"] / (figures["link_atomics"] + figures["local_atomics"])
    assert means["atomics-pcie"] == DEVICES["gpu-pcie3"].link_ns.value > 2 * means["atomics-protected"]


@pytest.mark.parametrize(
    ("groups", "more", "says"),
    [
        ([("device_read", None)], {}, "device_read is for devices: set device to gpu-pcie3"),
        ([("99*device_read", "nic")], {}, "has 99 requests in flight; nic has at most 32: use fewer tasks"),
        ([("atomic", "cxl-memory")], {}, "cxl-memory issues no PCIe atomics: choose another device"),
        ([("store", "fpga")], {}, "store is what a CPU does: put it into a group without a device"),
        ([("device_read", "fpga")], {"copies": True}, "copies need pages that stay protected: choose attachment"),
        ([("device_read", "gpu-pcie9")], {}, "Input should be 'gpu-pcie3'"),
        ([("device_read", "nic")] * 65, {}, "at most 64 items"),
        (
            [("device_read", "nic")] * 2,
            {"copies": True, "pages": 4_000_000, "protect": {"design": "page_flag"}},
            "2 devices could hold copies of 4000000 pages; the limit is 4194304 copies in all: use fewer pages",
        ),
    ],
)
def test_given_a_device_that_cannot_be_then_it_is_refused_in_words(
    groups: list[tuple[str, str | None]], more: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        scenario(*groups, **more)
    assert says in str(refused.value)


def test_a_device_needs_memory_that_a_process_maps() -> None:
    group = group_of("gpu", "think:10") | {"device": "gpu-pcie3"}
    with pytest.raises(ValidationError, match=r"no process maps pages that it could use: add workload\.memory"):
        Scenario.model_validate({"name": "test", "workload": {"kind": "tasks", "pages": 1, "groups": [group]}})


def test_a_profile_with_a_bandwidth_of_0_is_refused() -> None:
    given = DEVICES["nic"].model_dump()
    given["link_mb_s"] |= {"value": 0, "low": 0}
    with pytest.raises(ValidationError, match=r"link_mb_s\.value\n  Input should be greater than or equal to 1"):
        Profile.model_validate(given)


def test_given_the_profiles_then_every_number_has_a_range_a_kind_and_a_source() -> None:
    for profile in DEVICES.values():
        for name in ("link_mb_s", "link_ns", "local_mb_s", "local_ns", "in_flight"):
            number = getattr(profile, name)
            assert number.low <= number.value <= number.high
            assert number.source
    assert np.all([profile.link_ns.value > 0 for profile in DEVICES.values()])


def test_an_emulated_atomic_takes_two_round_trips_where_no_cpu_writes() -> None:
    end, figures, kinds = played(scenario(("200/pick emulated_atomic", "gpu-pcie3")))
    assert end == pytest.approx(200 * 2 * DEVICES["gpu-pcie3"].link_ns.value, rel=0.01)
    assert figures["link_atomics"] == 200
    assert figures["atomic_ns_sum"] == 200 * 2 * DEVICES["gpu-pcie3"].link_ns.value
    assert not kinds["atomic_retried"]


def test_an_emulated_atomic_begins_again_as_often_as_a_cpu_writes_in_between() -> None:
    """With a writer that writes every `think` ns on average, an attempt of 1,600 ns goes through with e^(-800/think):
    a write between the read and the swap, one round trip, spoils it.
    """
    rate = {}
    for think in (4_000, 800, 300):
        given = scenario(("3000/emulated_atomic", "gpu-pcie3"), (f"~/store think:{think}", None), pages=1)
        _, figures, kinds = played(given)
        assert figures["atomic_retries"] == kinds["atomic_retried"]
        rate[think] = figures["link_atomics"] / (figures["link_atomics"] + figures["atomic_retries"])
        assert rate[think] == pytest.approx(np.exp(-800 / think), rel=0.12)
    assert rate[4_000] > rate[800] > rate[300]


def test_an_emulated_atomic_on_a_protected_page_is_made_in_the_device() -> None:
    given = scenario(
        ("300/pick protect emulated_atomic unprotect", "gpu-pcie3"), protect={"design": "attachment"}, pages=1
    )
    _, figures, kinds = played(given)
    assert (figures["local_atomics"], figures["link_atomics"], kinds["atomic_retried"]) == (300, 0, 0)


def test_a_device_without_pcie_atomics_cannot_emulate_others() -> None:
    plain = next(name for name, profile in DEVICES.items() if not profile.atomics)
    with pytest.raises(ValidationError, match="issues no PCIe atomics"):
        scenario(("pick emulated_atomic", plain))


@pytest.mark.parametrize(("kind", "size"), [("fetch_add", 4), ("swap", 8), ("cas", 16)])
def test_an_atomic_carries_as_many_bytes_as_its_word_has(kind: str, size: int) -> None:
    given = scenario(("50/pick atomic", "gpu-pcie3")).model_dump()
    given["workload"]["groups"][0]["program"][1] |= {"kind": kind, "bytes": size, "offset": 4096 - size}
    run = open_run(Scenario.model_validate(given))
    told = [
        TRANSFER.unpack(a, b).bytes
        for batch in run.batches()
        for kind, a, b in zip(batch.kind.tolist(), batch.a.tolist(), batch.b.tolist(), strict=True)
        if kind == Kind.device_atomic
    ]
    assert told == [size] * 50


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"offset": 4092}, "a word of 8 bytes is naturally aligned, and so never crosses 4 KiB"),
        ({"bytes": 16}, "PCIe has fetch_add of 4 and 8 bytes"),
        ({"bytes": 256}, "Input should be 4, 8 or 16"),
        ({"offset": 4096}, "less than 4096"),
    ],
)
def test_atomics_that_pcie_does_not_have_are_refused(changed: dict[str, Any], says: str) -> None:
    given = scenario(("pick atomic", "gpu-pcie3")).model_dump()
    given["workload"]["groups"][0]["program"][1] |= changed
    with pytest.raises(ValidationError, match=says):
        Scenario.model_validate(given)


def test_a_prefetch_is_not_waited_for_and_a_read_waits_for_what_is_left_of_it() -> None:
    profile = DEVICES["gpu-pcie3"]
    whole = profile.link_ns.value + link_ns("gpu-pcie3")
    own = profile.local_ns.value + PAGE * 1e3 / profile.local_mb_s.value
    took = {}
    for pause in ("", "think:100000"):
        given = scenario(
            (f"prefetch {pause} device_read", "gpu-pcie3"), copies=True, protect={"design": "attachment"}, pages=1
        )
        _, figures, kinds = played(given)
        assert (figures["link_bytes"], figures["local_bytes"], kinds["copy_made"]) == (PAGE, PAGE, 1)
        reads = [
            TRANSFER.unpack(a, b)
            for batch in open_run(given).batches()
            for kind, a, b in zip(batch.kind.tolist(), batch.a.tolist(), batch.b.tolist(), strict=True)
            if kind == Kind.device_read
        ]
        (took[pause],) = [read.took_ns for read in reads if read.local]
    assert took[""] == pytest.approx(whole + own, rel=0.02)
    assert took["think:100000"] == pytest.approx(own, rel=0.02)
