"""The explorer beside SPIN on the same models: states/s, bytes a state, what reductions spare, small tables' starts.

    python -m benchmarks.bench_explore [--rounds R] [--long] [--without-starts]

SPIN searches what `--export promela` writes, compiled with -O2 -DNOREDUCE -DSAFETY, with hash table and stack sized to
the model (a first search tells how large it is). Both must come to the same counts of states and edges, or the
measurement ends. In every round each model is searched by both, one after the other. A rate is states per second of
CPU time of the search alone: neither the code made for a table nor gcc's time is in it, both are told beside it. A
ratio is taken within a round; medians count.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.commands.exploring import promela_of, subject_of
from benchmarks.m1 import m1
from engine.explore.plan import Plan
from engine.explore.search.explorer import Explorer
from engine.explore.tables.checking import checked
from engine.explore.tables.table import Table
from engine.scenario import Scenario

HERE = Path(__file__).parent
TABLES = HERE.parent / "tests" / "explore" / "tables"
LAST = HERE / "last-explore.json"

SPEED_GATE, SPEED_AIM = 2.0, 5.0
SPARED_GATE, SPARED_AIM = 3.0, 5.0
START_GATE_S, START_AIM_S = 2.0, 1.0
SMALL_TABLES, LAST_STARTS = 60, 10
M1_COUNTS = {(1, 2, 2, 2): (903_836, 2_576_416), (1, 2, 2, 3): (6_671_696, 19_599_809)}
"""Truncaters, writers, waiters, rounds -> states and edges that everybody comes to."""

WORLD: dict[str, Any] = {
    "name": "truncation, writeback and waits",
    "kernel": "4.16",
    "wait": {"design": "page_wait"},
    "workload": {
        "kind": "tasks",
        "pages": 1,
        "groups": [
            {"name": "truncate", "tasks": 1, "repeat": 1, "program": ["truncate_page", "lock", "insert", "unlock"]},
            {
                "name": "write",
                "tasks": 1,
                "repeat": 2,
                "program": ["lock", "writeback_begin", "unlock", "writeback_end"],
            },
            {"name": "wait", "tasks": 1, "repeat": 1, "program": ["wait_locked"]},
        ],
    },
}
"""The engine's own steps in the shape of M1; an operation is its name alone."""


class Failed(Exception):
    """The measurement cannot be made, or two searches do not agree; the text says which."""


@dataclass
class Model:
    """What both search: name, subject, counts if they are known; then what was measured, one entry a round."""

    name: str
    subject: Table | Scenario
    counts: tuple[int, int] | None = None
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    our_bytes: float = 0.0
    their_bytes: float = 0.0
    sizes: tuple[str, ...] = ("-w20", "-m10000000")
    our_making_s: float = 0.0
    their_making_s: float = 0.0


def world() -> Scenario:
    """Return the engine's scenario."""
    told = json.loads(json.dumps(WORLD))
    for group in told["workload"]["groups"]:
        group["program"] = [{"op": name} for name in group["program"]]
    return Scenario.model_validate(told)


def dining(philosophers: int) -> dict[str, Any]:
    """Return the table of philosophers who take the left fork first, again and again."""
    procs = []
    for i in range(philosophers):
        left, right = f"fork[{i}]", f"fork[{(i + 1) % philosophers}]"
        rows = [
            ("think", f"{left} == 0", [f"{left} = 1"], "one"),
            ("one", f"{right} == 0", [f"{right} = 1"], "both"),
            ("both", "1", [f"{right} = 0"], "down"),
            ("down", "1", [f"{left} = 0"], "think"),
        ]
        steps = [{"at": at, "guard": guard, "do": do, "to": to} for at, guard, do, to in rows]
        procs.append({"name": f"p{i}", "start": "think", "steps": steps})
    return {
        "format": "protocol-table/1",
        "name": f"dining_{philosophers}",
        "vars": {"fork": [0] * philosophers},
        "procs": procs,
    }


def small(number: int) -> dict[str, Any]:
    """Return a table of a few hundred states that differs from all others."""
    rows = [
        {"at": "in", "guard": "lock == 0", "do": ["lock = 1"], "to": "add"},
        {"at": "add", "guard": "1", "do": [f"x = (x + 1) % {41 + number}"], "to": "out"},
        {"at": "out", "guard": "1", "do": ["lock = 0"], "to": "in"},
    ]
    procs = [{"name": f"p{i}", "start": "in", "steps": rows} for i in range(2 + number % 3)]
    return {"format": "protocol-table/1", "name": f"small_{number}", "vars": {"lock": 0, "x": 0}, "procs": procs}


def models(long: bool) -> list[Model]:
    """Return what is searched in each round."""
    found = []
    for sizes, counts in M1_COUNTS.items():
        if long or sizes != (1, 2, 2, 3):
            found.append(Model(f"M1 {','.join(map(str, sizes))}", checked(m1(*sizes)), counts))
    for name in ("naive_attach_two", "filter_lock_5"):
        found.append(Model(name, checked(tomllib.loads((TABLES / f"{name}.toml").read_text()))))
    found.append(Model("dining 9", checked(dining(9))))
    found.append(Model("engine: page_wait", world()))
    return found


# --- the two searches -----------------------------------------------------------------------------------------------


def explored(model: Model) -> tuple[int, int]:
    """Search with the explorer, note what it took, return states and edges."""
    before = time.process_time()
    explorer = Explorer(subject_of(model.subject), Plan())
    made = time.process_time()
    stopped_by = explorer.run()
    done = time.process_time()
    found = explorer.found(stopped_by)
    if stopped_by:
        raise Failed(f"{model.name}: the explorer was stopped by {stopped_by}")
    model.our_making_s = made - before
    model.our_bytes = found.memory / found.states
    model.ours.append(found.states / (done - made))
    return found.states, found.edges


def cpu_of_child(command: list[str], folder: Path) -> tuple[str, float]:
    """Run a program to its end; return what it said and its CPU seconds. Raises Failed where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.stdout[-1_000:]}{done.stderr[-1_000:]}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_pan(model: Model, folder: Path) -> None:
    """Write the model and compile SPIN's search of it."""
    text = promela_of(model.subject)
    folder.mkdir()
    (folder / "model.pml").write_text(text)
    flags = ["-O2", "-w", "-DNOREDUCE", "-DSAFETY", "-DMEMLIM=4000", *re.findall(r"-DVECTORSZ=\d+", text)]
    _, spin_s = cpu_of_child(["spin", "-a", "model.pml"], folder)
    _, gcc_s = cpu_of_child(["gcc", *flags, "-o", "pan", "pan.c"], folder)
    model.their_making_s = spin_s + gcc_s
    spun(model, folder)
    model.theirs.clear()


def spun(model: Model, folder: Path) -> tuple[int, int]:
    """Search with SPIN, note what it took, return states and edges (it counts one transition more)."""
    told, cpu = cpu_of_child(["./pan", "-A", "-E", "-n", *model.sizes], folder)
    if "max search depth too small" in told or "Search not completed" in told:
        raise Failed(f"{model.name}: SPIN did not search all of it:\n{told[-1_000:]}")
    found, transitions = (int(number(pattern, told)) for pattern in (r"(\d+) states, stored", r"(\d+) transitions"))
    depth = int(number(r"depth reached (\d+)", told))
    model.sizes = (f"-w{max(16, (found - 1).bit_length())}", f"-m{depth + 100}")
    model.their_bytes = number(r"^\s*([\d.]+)\s+total actual memory usage", told) * (1 << 20) / found
    model.theirs.append(found / cpu)
    return found, transitions - 1


def number(pattern: str, text: str) -> float:
    """Return the number that a report tells."""
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise Failed(f"SPIN's report does not tell {pattern!r}")
    return float(found[1])


def one_round(model: Model, folder: Path) -> None:
    """Search a model with both. Raises Failed where they do not agree."""
    ours = explored(model)
    theirs = spun(model, folder)
    if ours != theirs or model.counts not in (None, ours):
        raise Failed(f"{model.name}: explorer {ours}, SPIN {theirs}, expected {model.counts or 'the same'}")
    model.counts = ours


# --- what else is measured ------------------------------------------------------------------------------------------


def spared() -> float:
    """Return how many times fewer states M1 has with reductions on than without."""
    table = checked(m1(1, 2, 2, 2))
    counts = []
    for plan in (Plan(), Plan(reduction="all")):
        explorer = Explorer(subject_of(table), plan)
        counts.append(explorer.found(explorer.run()).states)
    return counts[0] / counts[1]


def starts(folder: Path) -> list[float]:
    """Return the wall seconds of `folioscope explore` on each of sixty small tables, no two of them equal.

    Python may keep what it compiles of its modules, as an installed one does.
    """
    kept = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "pyc")}
    taken = []
    for i in range(SMALL_TABLES):
        path = folder / f"small_{i}.json"
        path.write_text(json.dumps(small(i)))
        before = time.monotonic()
        command = [sys.executable, "-m", "app.cli", "explore", str(path), "--json"]
        done = subprocess.run(command, cwd=HERE.parent, env=kept, capture_output=True, text=True, check=True)
        taken.append(time.monotonic() - before)
        if not json.loads(done.stdout)["bounds"]["complete"]:
            raise Failed(f"{path.name}: not searched whole")
    return taken


def report(measured: list[Model]) -> tuple[dict[str, Any], bool]:
    """Print the table; return what last-explore.json holds and whether every gate was met."""
    last: dict[str, Any] = {}
    met = True
    print(
        f"\n{'model':22}{'states':>11}{'edges':>12}{'ours M/s':>10}{'SPIN M/s':>10}{'ratio':>7}"
        f"{'B/state':>9}{'SPIN':>6}{'made s':>8}{'SPIN':>6}"
    )
    for model in measured:
        ratio = statistics.median(ours / theirs for ours, theirs in zip(model.ours, model.theirs, strict=True))
        ours, theirs = statistics.median(model.ours), statistics.median(model.theirs)
        states, edges = model.counts or (0, 0)
        met = met and ratio >= SPEED_GATE
        print(
            f"{model.name:22}{states:11,}{edges:12,}{ours / 1e6:10.2f}{theirs / 1e6:10.2f}{ratio:6.2f}x"
            f"{model.our_bytes:9.1f}{model.their_bytes:6.0f}{model.our_making_s:8.2f}{model.their_making_s:6.2f}"
            f"  {word(ratio >= SPEED_AIM, ratio >= SPEED_GATE)}"
        )
        last[model.name] = {
            "states": states,
            "edges": edges,
            "states_per_s": round(ours),
            "spin_states_per_s": round(theirs),
            "ratio": round(ratio, 3),
            "bytes_per_state": round(model.our_bytes, 1),
            "spin_bytes_per_state": round(model.their_bytes, 1),
        }
    print(f"gate {SPEED_GATE}x, aim {SPEED_AIM}x")
    return last, met


def word(aim: bool, gate: bool) -> str:
    return "aim met" if aim else "gate met" if gate else "BELOW THE GATE"


def measure(rounds: int, long: bool, with_starts: bool, folder: Path) -> tuple[dict[str, Any], bool]:
    """Make all measurements. Raises Failed where two searches do not agree."""
    searched = models(long)
    for at, model in enumerate(searched):
        make_pan(model, folder / str(at))
    explored(Model("", checked(dining(3))))  # loads the compiled search
    explored(Model("", world()))
    for i in range(rounds):
        for at, model in enumerate(searched):
            one_round(model, folder / str(at))
        load = ", ".join(f"{average:.1f}" for average in os.getloadavg()[:2])
        print(f"round {i + 1}/{rounds}  load {load}", flush=True)
    last, met = report(searched)
    fewer = spared()
    last["reductions"] = round(fewer, 2)
    met = met and fewer >= SPARED_GATE
    told = word(fewer >= SPARED_AIM, fewer >= SPARED_GATE)
    print(f"M1 1,2,2,2 with all reductions: {fewer:.2f} x fewer states (gate {SPARED_GATE}, aim {SPARED_AIM})  {told}")
    if with_starts:
        taken = starts(folder)
        latest = statistics.median(taken[-LAST_STARTS:])  # one alone tells more of the machine than of the program
        last["small_table_s"] = {
            "last": round(latest, 3),
            "shortest": round(min(taken), 3),
            "longest": round(max(taken), 3),
        }
        met = met and latest <= START_GATE_S
        told = word(latest <= START_AIM_S, latest <= START_GATE_S)
        print(
            f"{SMALL_TABLES} small tables by the command line: the last {LAST_STARTS} take {latest:.2f} s, the median "
            f"(all: {min(taken):.2f} to {max(taken):.2f} s; gate {START_GATE_S} s, aim {START_AIM_S} s)  {told}"
        )
    return last, met


def main() -> int:
    options = argparse.ArgumentParser(prog="benchmarks.bench_explore", description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--long", action="store_true", help="M1 1,2,2,3 too: 6.7 million states")
    options.add_argument("--without-starts", action="store_true", help="leave the sixty small tables out")
    chosen = options.parse_args()
    missing = [program for program in ("spin", "gcc") if shutil.which(program) is None]
    if missing:
        print(
            f"bench-explore: {' and '.join(missing)} not installed (Debian: apt-get install spin gcc)", file=sys.stderr
        )
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="folioscope-explore-") as folder:
            last, met = measure(chosen.rounds, chosen.long, not chosen.without_starts, Path(folder))
    except Failed as failure:
        print(f"bench-explore: {failure}", file=sys.stderr)
        return 1
    LAST.write_text(json.dumps(last, indent=2) + "\n")
    print(f"written to {LAST.relative_to(HERE.parent)}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
