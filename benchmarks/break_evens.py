"""Break-evens of claims 13 to 19, computed from runs: when does write protection pay, and what does it cost whom?

    python -m benchmarks.break_evens [--claim N]

Each table varies one thing and plays the shipped scenarios otherwise as they are, with the costs of the preset
`estimate`. The numbers are simulated times: the same on every machine. They are printed, and all tables together go
to benchmarks/last-break-evens.json; those of the release are in tests/golden/break-evens.json.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.designs import AXES
from engine.devices import DEVICES
from engine.events import Batch, Kind
from engine.runs.play import open_run
from engine.scenario import Scenario
from engine.scenarios import shipped
from engine.summaries.summary import Summariser

LAST = Path(__file__).parent / "last-break-evens.json"
PAGES, REQUESTS = 512, 16
CENTRE = {"gpus": 4, "write_ns": 200_000, "reads_per_page": 16, "profile": "gpu-pcie4"}
ATOMICS = (1, 2, 4, 8, 16, 32, 56)
LARGE = 20_000_000


class Table(NamedTuple):
    claim: int
    title: str
    columns: tuple[str, ...]
    rows: list[list[Any]]
    says: str


class Played(NamedTuple):
    """What a run came to when the tasks that count had finished, or at its own end."""

    ns: int
    figures: dict[str, int | float]
    batches: list[Batch]


def play(given: dict[str, Any], until: int = 0) -> Played:
    """Play a scenario until its first `until` tasks have finished; 0: to its end."""
    run = open_run(Scenario.model_validate(given))
    summary, batches, finished, ns = Summariser(run.cast), list[Batch](), 0, 0
    for batch in run.batches():
        summary.leaf(batch)
        batches.append(batch)
        ends = np.flatnonzero((batch.kind == int(Kind.task_finished)) & (batch.task < until))
        finished += len(ends)
        ns = int(batch.time[-1])
        if until and finished == until:
            ns = int(batch.time[ends[-1]])
            break
    return Played(ns, summary.figures(), batches)


def preset(name: str, **changed: Any) -> dict[str, Any]:
    return shipped()[name].model_dump() | changed


def crossing(xs: Sequence[float], ratios: Sequence[float]) -> float | None:
    """Return where a ratio crosses 1 between two neighbours, on logarithmic scales; None if it never does."""
    for (x0, r0), (x1, r1) in zip(zip(xs, ratios, strict=True), zip(xs[1:], ratios[1:], strict=True), strict=False):
        if (r0 - 1) * (r1 - 1) <= 0 and r0 != r1:
            share = math.log(r0) / (math.log(r0) - math.log(r1))
            return float(f"{math.exp(math.log(x0) + share * (math.log(x1) - math.log(x0))):.3g}")
    return None


# --- 13 and 15: copies against links ---------------------------------------------------------------------------------


def reading(*, copies: bool, gpus: int, write_ns: int, reads_per_page: float, profile: str) -> tuple[float, float]:
    """Return aggregate GB/s and ms until all GPUs have read, each every page so many times on average."""
    repeat = max(1, round(reads_per_page * PAGES / REQUESTS))
    program = [{"op": "pick", "zipf": 0.0}, {"op": "device_read"}]
    groups: list[dict[str, Any]] = [
        {"name": f"gpu-{i}", "tasks": REQUESTS, "repeat": repeat, "device": profile, "program": program}
        for i in range(gpus)
    ]
    write = [{"op": "think", "mean_ns": write_ns}, {"op": "pick", "zipf": 0.0}, {"op": "store"}]
    groups.append({"name": "updater", "tasks": 1, "program": write})
    given = preset("training-copies" if copies else "training-link", limits={"events": LARGE})
    given["workload"] |= {"groups": groups, "pages": PAGES}
    done = play(given, until=gpus * REQUESTS)
    return gpus * REQUESTS * repeat * 4096 / done.ns, done.ns / 1e6


def _against(title: str, name: str, values: Sequence[Any], claim: int = 13, words: str = "") -> Table:
    rows, ratios = [], []
    for value in values:
        asked: dict[str, Any] = CENTRE | {name: value}
        (link, link_ms), (own, own_ms) = (reading(copies=copies, **asked) for copies in (False, True))
        ratios.append(link_ms / own_ms)
        rows.append([value, round(link, 2), round(own, 2), round(link_ms, 3), round(own_ms, 3), round(ratios[-1], 2)])
    at = None if isinstance(values[0], str) else crossing(values, ratios)
    between = f"copies are {min(ratios):.2g} to {max(ratios):.2g} times as fast as links"
    says = f"copies pay from {at} {words} on" if at else between
    return Table(claim, title, (words or name, "link GB/s", "copies GB/s", "link ms", "copies ms", "ratio"), rows, says)


def claim_13() -> list[Table]:
    return [
        _against("against the number of GPUs", "gpus", (1, 2, 4, 8), words="GPUs"),
        _against("against the time between CPU writes", "write_ns", (2_000, 5_000, 20_000, 200_000), words="ns"),
        _against("against reuse", "reads_per_page", (0.25, 1, 2, 4, 16, 64), words="reads per page"),
    ]


def claim_15() -> list[Table]:
    able = [name for name, profile in DEVICES.items() if profile.atomics]
    rows = [[name, *_pay(name)] for name in able]
    return [
        _against("copies, per device class", "profile", tuple(DEVICES), claim=15),
        Table(
            15,
            "atomics, per device class",
            ("profile", "atomics per page from which protection pays", "at 16 per page: ratio"),
            rows,
            f"at 16 per page {min(row[2] for row in rows)} to {max(row[2] for row in rows)} times as fast, protected",
        ),
    ]


# --- 14: atomics -----------------------------------------------------------------------------------------------------


def counting(*, protects: bool, atomics: int, write_ns: int = 50_000, profile: str = "gpu-pcie3") -> float:
    """Return ns per atomic and request in flight, eight of these, without thinking in between."""
    rounds = max(20, 4_000 // atomics)
    body = [{"op": "atomic"}] * atomics
    wrapped = [{"op": "protect"}, *body, {"op": "unprotect"}] if protects else body
    program = [{"op": "pick", "zipf": 0.0}, *wrapped]
    write = [{"op": "think", "mean_ns": write_ns}, {"op": "pick", "zipf": 0.0}, {"op": "store"}]
    given = preset("atomics-protected" if protects else "atomics-pcie", limits={"events": LARGE})
    given["workload"]["groups"] = [
        {"name": "gpu", "tasks": 8, "repeat": rounds, "device": profile, "program": program},
        {"name": "program", "tasks": 2, "program": write},
    ]
    return play(given, until=8).ns / (rounds * atomics)


def _pay(profile: str) -> tuple[float | str, float]:
    ratios = [
        counting(protects=False, atomics=n, profile=profile) / counting(protects=True, atomics=n, profile=profile)
        for n in ATOMICS
    ]
    return _from(ratios), round(ratios[ATOMICS.index(16)], 2)


def _from(ratios: Sequence[float]) -> float | str:
    """Return the atomics per page from which protection pays, in words where it does for all or for none."""
    if min(ratios) > 1:
        return 1
    return crossing(ATOMICS, ratios) or f"more than {ATOMICS[-1]}"


def claim_14() -> list[Table]:
    tables = []
    for write_ns in (5_000, 50_000, 1_000_000):
        rows, ratios = [], []
        for n in ATOMICS:
            far, near = (counting(protects=protects, atomics=n, write_ns=write_ns) for protects in (False, True))
            ratios.append(far / near)
            rows.append([n, round(far, 1), round(near, 1), round(far / near, 2)])
        title = f"a CPU writes every {write_ns} ns"
        columns = ("atomics per page", "PCIe, ns each", "protected, ns each", "ratio")
        tables.append(Table(14, title, columns, rows, f"protection pays with {_from(ratios)} per page or more"))
    return tables


# --- 16 and 17: KSM and the designs ----------------------------------------------------------------------------------


def _faults_that_unmerge(batches: Sequence[Batch]) -> float:
    """Return the mean ns from the fault to the write, of writes to merged pages."""
    since, took, breaks = dict[int, int](), list[int](), set[int]()
    for batch in batches:
        for time, kind, task in zip(batch.time.tolist(), batch.kind.tolist(), batch.task.tolist(), strict=True):
            if kind == Kind.fault_taken:
                since[task] = time
            elif kind == Kind.page_unmerged:
                breaks.add(task)
            elif kind == Kind.page_written and task in breaks:
                breaks.remove(task)
                took.append(time - since[task])
    return float(np.mean(took))


def claim_16() -> list[Table]:
    rows: list[list[Any]] = []
    for name, nodes in (("ksm", 64), ("ksm-attachment", 72)):
        done = play(preset(name))
        f = done.figures
        fault = round(_faults_that_unmerge(done.batches), 1)
        rows.append([name, f["merged"], f["unmerged"], f["ksm_shared"], f["ksm_sharing"], fault, nodes])
    columns = ("scenario", "merged", "unmerged", "shared", "sharing", "ns per write to a merged page", "bytes per node")
    same = "the same merges" if rows[0][1:5] == rows[1][1:5] else "other merges"
    says = f"{same}; a write to a merged page takes {rows[1][5] - rows[0][5]:+.1f} ns"
    return [Table(16, "KSM before and after its conversion", columns, rows, says)]


def claim_17() -> list[Table]:
    rows: list[list[Any]] = []
    for design in ("attachment", "page_flag", "exclusive_pte"):
        given = preset("library-break", protect={"design": design}, limits={"events": LARGE})
        body = [{"op": name} for name in ("pick", "store", "protect", "unprotect")]
        given["workload"]["groups"] = [{"name": "alone", "tasks": 1, "repeat": 2_000, "program": body}]
        pair = play(given).ns / 2_000
        met = play(preset("library-break", protect={"design": design}))
        card, blocked = AXES["protect"][design], met.figures["blocked_ns_mean"]
        rows.append([design, round(pair, 1), round(blocked, 1), card.lines[2], card.structures[0][1]])
    columns = ("design", "ns per write, protect, unprotect", "ns per blocked access", "lines to the owner", "bytes")
    says = f"the flag's side table costs {rows[1][1] - rows[0][1]:+.1f} ns for each protection"
    return [Table(17, "flag against attachment", columns, rows, says)]


# --- 18 and 19: what a write meets -----------------------------------------------------------------------------------


def _library(label: Any, protect: dict[str, Any]) -> list[Any]:
    done = play(preset("library-wait", protect=protect, limits={"time_ns": 20_000_000}))
    f = done.figures
    refused = round(100 * f["faults_refused"] / max(f["blocked"], 1), 1)
    held = round(f["protected_ns_sum"] / done.ns, 2)
    return [label, f["blocked"], refused, round(f["blocked_ns_mean"], 0), f["taken_back"], held]


_MET = ("blocked", "% refused", "mean ns delayed", "pages taken back", "pages held on average")


def claim_18() -> list[Table]:
    rows = [_library(policy, {"design": "attachment", "policy": policy}) for policy in ("wait", "break", "refuse")]
    lost = 1 - rows[1][-1] / rows[0][-1]
    says = f"taking pages back costs the devices {lost:.0%} of the time that they hold them under wait"
    return [Table(18, "wait, break, refuse", ("policy", *_MET), rows, says)]


def claim_19() -> list[Table]:
    rows = [
        _library(share, {"design": "attachment", "policy": "refuse", "unmodified": share})
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    says = f"with a quarter unmodified {rows[1][2]} % of the writes that meet a protected page fail"
    return [Table(19, "against the share of unmodified programs", ("unmodified", *_MET), rows, says)]


CLAIMS: dict[int, Callable[[], list[Table]]] = {
    13: claim_13,
    14: claim_14,
    15: claim_15,
    16: claim_16,
    17: claim_17,
    18: claim_18,
    19: claim_19,
}


def show(table: Table) -> None:
    print(f"\nclaim {table.claim}, {table.title}: {table.says}")
    widths = [max(len(str(row[i])) for row in [table.columns, *table.rows]) for i in range(len(table.columns))]
    for row in [table.columns, *table.rows]:
        print("  " + "  ".join(str(value).rjust(width) for value, width in zip(row, widths, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--claim", type=int, choices=list(CLAIMS))
    claim = parser.parse_args().claim
    tables = [table for number, make in CLAIMS.items() if claim in (None, number) for table in make()]
    for table in tables:
        show(table)
    if claim is None:
        LAST.write_text(json.dumps([table._asdict() for table in tables], indent=1) + "\n")


if __name__ == "__main__":
    main()
