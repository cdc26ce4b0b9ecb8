"""How the engine's speed holds as runs grow, and how long starts take.

    python -m benchmarks.bench_growth [--rounds R] [--events N]

Events per CPU second of W1 as it is (a thousand tasks, 4,096 pages) against the same run a hundred times as long, and
against a million pages or a hundred thousand tasks, in turn; a ratio is taken within a round. Starts are wall times of
`folioscope version` and of `folioscope serve` up to its first answer, with warm caches, the best of the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from engine.runs.play import open_run
from engine.runs.w1 import scenario
from engine.scenario import Scenario

ROOT = Path(__file__).parent.parent


def rate(asked: Scenario, skip: int = 0) -> float:
    """Return events per CPU second, from event `skip` on (what comes before fills caches and queues)."""
    cpu, events, seen = 0.0, 0, 0
    batches = open_run(asked).batches()
    while True:
        before = time.process_time()
        batch = next(batches, None)
        took = time.process_time() - before
        if batch is None:
            return events / cpu
        seen += len(batch)
        if seen > skip:
            cpu, events = cpu + took, events + len(batch)


def seconds_to_version() -> float:
    """Return the wall seconds of the whole command."""
    before = time.monotonic()
    subprocess.run([sys.executable, "-m", "app.cli", "version"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - before


def seconds_to_answer() -> float:
    """Return the wall seconds from the start of the server to the first whole page of it."""
    with tempfile.TemporaryDirectory(prefix="folioscope-start-") as folder:
        command = [
            sys.executable,
            "-m",
            "app.cli",
            "serve",
            "--port",
            "0",
            "--data",
            folder,
            "--json",
            "--workers",
            "0",
        ]
        before = time.monotonic()
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            assert server.stdout is not None
            try:
                address = json.loads(server.stdout.readline())["address"]
                with urllib.request.urlopen(address, timeout=10) as answer:
                    answer.read()
                return time.monotonic() - before
            finally:
                server.terminate()


def main() -> int:
    options = argparse.ArgumentParser(prog="benchmarks.bench_growth", description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument(
        "--events", type=float, default=1e6, help="of the short run; the long one has a hundred times as many"
    )
    chosen = options.parse_args()
    events = int(chosen.events)
    rate(scenario(events=100_000))
    growths = {
        "a hundred times as long": (scenario(events=100 * events), 0, 0.9, 1.0),
        "a million pages": (scenario(pages=1_000_000, events=4 * events), events, 0.3, 0.5),
        "a hundred thousand tasks": (scenario(tasks=100_000, events=4 * events), events, 0.3, 0.5),
    }
    ratios: dict[str, list[float]] = {name: [] for name in growths}
    starts: dict[str, list[float]] = {"folioscope version": [], "folioscope serve, first answer": []}
    for number in range(chosen.rounds):
        for name, (asked, skip, _, _) in growths.items():
            ratios[name].append(rate(asked, skip) / rate(scenario(events=events)))
        starts["folioscope version"].append(seconds_to_version())
        starts["folioscope serve, first answer"].append(seconds_to_answer())
        print(f"round {number + 1}/{chosen.rounds}", flush=True)
    print("\nspeed against W1 as it is             median      gate       aim")
    met = True
    for name, (_, _, gate, aim) in growths.items():
        median = statistics.median(ratios[name])
        met = met and median >= gate
        print(f"{name:35}{median:9.2f}{gate:9.1f}x{aim:9.1f}x  {'' if median >= gate else 'BELOW THE GATE'}")
    for (name, taken), gate, aim in zip(starts.items(), (0.5, 2.0), (0.2, 1.0), strict=True):
        met = met and min(taken) <= gate
        print(f"{name:35}{min(taken):9.2f}{gate:9.1f}s{aim:9.1f}s  {'' if min(taken) <= gate else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
