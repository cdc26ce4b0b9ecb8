"""The engine beside SimPy, Cimba and a C program on W1 and W2: ratios, gates, benchmarks/last.json.

    python -m benchmarks.bench --peers PYTHON [--rounds N] [--without PEER] [--quick]

In every round each program plays both workloads once, in a process of its own, one after the other, so that whatever
else the machine does falls on all of them. A rate is log records per second of CPU time of the simulation alone; a
ratio is taken within a round; the median over the rounds is what counts. Every log is hashed, and a log that is not
the expected one ends the measurement: who keeps another log has done other work.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "build"
LAST = HERE / "last.json"

HASHES: dict[str, dict[int, str]] = {
    "w1": {
        100_000: "db3be83269d6fe56",
        1_000_000: "4b5c0c06faf3a58b",
        2_000_000: "4c7f4783c08a4df9",
        10_000_000: "eb3c85642d16ff9d",
    },
    "w2": {
        100_000: "9bda5f02ce5f5188",
        1_000_000: "2fffbd7e3ce3c03c",
        2_000_000: "6b979de527136ed8",
        10_000_000: "0c138efe7efadca0",
    },
}
"""Workload -> records asked -> hash of the log; benchmarks/README.md says what is hashed."""


@dataclass(frozen=True)
class Peer:
    """Who is measured beside the engine, how many records it plays in a round, and what ratio is asked."""

    records: int
    gate: float
    aim: float


PEERS = {
    "simpy": Peer(1_000_000, 40, 75),
    "cimba": Peer(2_000_000, 3, 6),
    "c": Peer(10_000_000, 0.5, 0.9),
}
ENGINE_RECORDS = 10_000_000


class Failed(Exception):
    """The measurement cannot be made, or a log is not the expected one; the text says which."""


def compiler() -> str:
    """Return the C compiler's command. Raises Failed where there is none."""
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return name
    raise Failed("no C compiler (cc, gcc or clang): install one, set CC, or leave C out with --without c")


def build_c() -> Path:
    """Compile w1.c and return the program."""
    program = BUILD / "w1"
    subprocess.run([compiler(), "-O3", "-o", str(program), str(HERE / "w1.c")], check=True)
    return program


def measured(command: list[str], workload: str, records: int) -> float:
    """Run one program once and return its log records per CPU second. Raises Failed if its log is another."""
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)} failed:\n{done.stderr.strip()[-2_000:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    wanted = HASHES[workload][records]
    if answer["hash"] != wanted:
        raise Failed(f"{' '.join(command)}: the log's hash is {answer['hash']}, not {wanted}")
    rate: float = answer["records"] / answer["cpu"]
    return rate


def commands(peers_python: str, without: set[str], quick: bool) -> dict[str, tuple[int, Callable[[str], list[str]]]]:
    """Return, by program, the records it plays and the command for "0" (W1) or "1" (W2); the engine comes first."""
    cut = 10 if quick else 1
    names: dict[str, tuple[int, Callable[[str], list[str]]]] = {}
    n = ENGINE_RECORDS // cut
    names["engine"] = n, lambda w2: [sys.executable, "-m", "benchmarks.engine_w1", "--n", str(n), "--w2", w2]
    if "c" not in without:
        program = str(build_c())
        n_c = PEERS["c"].records // cut
        names["c"] = n_c, lambda w2: [program, str(n_c), w2, str(BUILD / "tables.bin")]
    if "simpy" not in without:
        n_simpy = PEERS["simpy"].records // cut
        names["simpy"] = n_simpy, lambda w2: [peers_python, "-m", "benchmarks.peer_simpy", str(n_simpy), w2, str(BUILD)]
    if "cimba" not in without:
        n_cimba = PEERS["cimba"].records // (2 if quick else 1)
        names["cimba"] = n_cimba, lambda w2: [peers_python, "-m", "benchmarks.peer_cimba", str(n_cimba), w2, str(BUILD)]
    return names


def play_rounds(
    rounds: int, programs: dict[str, tuple[int, Callable[[str], list[str]]]]
) -> dict[str, dict[str, list[float]]]:
    """Return workload -> program -> rate in each round, records per CPU second."""
    rates: dict[str, dict[str, list[float]]] = {w: {name: [] for name in programs} for w in HASHES}
    for number in range(rounds):
        for w2, workload in enumerate(HASHES):
            for name, (records, command) in programs.items():
                rate = measured(command(str(w2)), workload, records)
                rates[workload][name].append(rate)
                print(f"round {number + 1}/{rounds}  {workload}  {name:7}{rate / 1e6:8.2f} M records/s", flush=True)
    return rates


def report(rates: dict[str, dict[str, list[float]]]) -> tuple[dict[str, dict[str, float | str]], bool]:
    """Print the table; return what last.json holds and whether every gate was met."""
    last: dict[str, dict[str, float | str]] = {}
    met = True
    print("\nengine against    median    lowest   highest      gate       aim")
    for workload, by_program in rates.items():
        last[workload] = {}
        for name in by_program:
            if name == "engine":
                continue
            ratios = [ours / theirs for ours, theirs in zip(by_program["engine"], by_program[name], strict=True)]
            median, peer = statistics.median(ratios), PEERS[name]
            word = "aim met" if median >= peer.aim else "gate met" if median >= peer.gate else "BELOW THE GATE"
            met = met and median >= peer.gate
            last[workload][name] = round(median, 3)
            print(
                f"{workload}  {name:9}{median:10.2f}{min(ratios):10.2f}{max(ratios):10.2f}"
                f"{peer.gate:9.1f}x{peer.aim:9.1f}x  {word}"
            )
        last[workload]["hash"] = HASHES[workload][ENGINE_RECORDS]
        last[workload]["records_per_s"] = round(statistics.median(by_program["engine"]))
    return last, met


def main() -> int:
    options = argparse.ArgumentParser(prog="benchmarks.bench", description=__doc__.splitlines()[0])
    options.add_argument("--peers", default=sys.executable, help="the Python that has SimPy and Cimba")
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--without", action="append", default=[], choices=sorted(PEERS), help="leave a peer out")
    options.add_argument("--quick", action="store_true", help="a tenth of the records, nothing written: a look only")
    chosen = options.parse_args()
    try:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.inputs", str(BUILD), str(PEERS["simpy"].records)],
            cwd=HERE.parent,
            check=True,
        )
        programs = commands(chosen.peers, set(chosen.without), chosen.quick)
        last, met = report(play_rounds(chosen.rounds, programs))
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    if not chosen.quick:
        LAST.write_text(json.dumps(last, indent=2) + "\n")
        print(f"written to {LAST.relative_to(HERE.parent)}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
