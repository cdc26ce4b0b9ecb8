"""Runs and viewers for a while: memory, open files and the write-ahead log must stay level, and every run end alike.

    python -m benchmarks.soak [--minutes M] [--viewers N]

A server of its own, in a folder of its own. One run after the other is started, watched by viewers, read at several
zooms, and deleted when five newer ones are there. All are of one scenario, so all must have one seal. Each figure is
judged by its median over the second quarter of the time against that over the last.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
KEPT = 5
SAMPLE_S = 2.0
MIB = 1 << 20

SCENARIO: dict[str, Any] = {
    "name": "soak",
    "workload": {
        "kind": "tasks",
        "pages": 512,
        "groups": [
            {
                "name": "locker",
                "tasks": 300,
                "program": [
                    {"op": "think", "mean_ns": 400_000},
                    {"op": "pick"},
                    {"op": "lock"},
                    {"op": "hold", "mean_ns": 10_000},
                    {"op": "unlock"},
                ],
            }
        ],
    },
    "limits": {"events": 400_000},
}

# What a figure may grow by between the second quarter and the last: a share of it, and an amount.
ALLOWED = {"server_mib": (0.10, 16), "workers_mib": (0.10, 32), "server_files": (0.0, 12), "log_mib": (0.10, 16)}


@dataclass
class Soak:
    """One server under way, and what was seen of it."""

    address: str
    server: int
    folder: Path
    over: threading.Event = field(default_factory=threading.Event)
    newest: str = ""
    samples: list[dict[str, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seals: set[str] = field(default_factory=set)
    runs: int = 0
    messages: int = 0

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON that the server answers; note what is no success."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=60)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 400:
                self.faults.append(f"{method} {path}: {answer.status} {text[:200]!r}")
            return json.loads(text) if text else None
        finally:
            connection.close()

    def play(self) -> None:
        """Start runs, one after the other, until it is over."""
        stored: list[str] = []
        while not self.over.is_set():
            run = self.ask("POST", "/api/v1/runs", {"scenario": SCENARIO})["id"]
            self.newest = run
            while (row := self.ask("GET", f"/api/v1/runs/{run}"))["state"] in {"queued", "running"}:
                if self.over.wait(0.2):
                    return
            if row["state"] != "done":
                self.faults.append(f"run {run}: {row['state']}")
            self.seals.add(row["seal"])
            self.runs += 1
            end = row["time_ns"]
            for t0, t1 in ((0, end), (end // 3, end // 2), (end // 2, end // 2 + end // 1000)):
                self.ask("GET", f"/api/v1/runs/{run}/window?t0={t0}&t1={t1}&px=1200&parts=series,heat,lanes")
            self.ask("GET", f"/api/v1/runs/{run}/events?t0={end // 2}&_size=200")
            stored.append(run)
            while len(stored) > KEPT:
                self.ask("DELETE", f"/api/v1/runs/{stored.pop(0)}")

    def watch(self) -> None:
        """Follow the newest run to its end, again and again, as a page does."""
        while not self.over.is_set():
            run = self.newest
            if not run:
                self.over.wait(0.2)
                continue
            connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=20)
            try:
                connection.request("GET", f"/api/v1/runs/{run}/stream")
                answer = connection.getresponse()
                while not self.over.is_set() and (line := answer.readline()):
                    self.messages += line.startswith(b"data:")
                    if line.startswith(b"event: end"):
                        break
            except TimeoutError:
                self.faults.append("a stream was silent for 20 s")
            finally:
                connection.close()
            self.over.wait(0.2)

    def sample(self) -> None:
        """Look at the processes and the files, every few seconds."""
        while not self.over.wait(SAMPLE_S):
            children = [int(pid) for pid in read_proc(self.server, "task", str(self.server), "children").split()]
            log = self.folder / "folioscope.db-wal"
            self.samples.append(
                {
                    "server_mib": resident_mib(self.server),
                    "workers_mib": sum(resident_mib(pid) for pid in children),
                    "server_files": len(os.listdir(f"/proc/{self.server}/fd")),
                    "log_mib": log.stat().st_size / MIB if log.exists() else 0.0,
                }
            )


def read_proc(pid: int, *names: str) -> str:
    try:
        return Path("/proc", str(pid), *names).read_text()
    except OSError:  # it ended just now
        return ""


def resident_mib(pid: int) -> float:
    for line in read_proc(pid, "status").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def judge(soak: Soak) -> bool:
    """Print what was seen, and tell whether all of it stayed within what is allowed."""
    level = True
    quarter = len(soak.samples) // 4
    print(
        f"{soak.runs} runs, {len(soak.seals)} seal(s), {soak.messages} messages to viewers, {len(soak.samples)} samples"
    )
    print("                early      late   allowed   course, by eighths")
    for name, (share, amount) in ALLOWED.items():
        seen = [sample[name] for sample in soak.samples]
        early, late = statistics.median(seen[quarter : 2 * quarter]), statistics.median(seen[-quarter:])
        allowed = early * (1 + share) + amount
        level = level and late <= allowed
        eighth = max(1, len(seen) // 8)
        course = " ".join(f"{statistics.median(seen[at : at + eighth]):.0f}" for at in range(0, 8 * eighth, eighth))
        print(f"{name:12}{early:9.1f}{late:10.1f}{allowed:10.1f}   {course}  {'' if late <= allowed else 'GROWS'}")
    for fault in soak.faults[:10]:
        print(f"fault: {fault}")
    if soak.runs <= KEPT:
        print("too few runs to tell: give it more minutes")
    return level and not soak.faults and len(soak.seals) == 1 and soak.runs > KEPT


def main() -> int:
    options = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--viewers", type=int, default=20)
    chosen = options.parse_args()
    subprocess.run([sys.executable, "-m", "engine.warm"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="folioscope-soak-") as folder:
        command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data", folder, "--json"]
        # A small cache of decoded chunks is full long before the second quarter.
        variables = os.environ | {"FOLIOSCOPE_CACHE_BYTES": str(32 * MIB)}
        server = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            soak = Soak(json.loads(server.stdout.readline())["address"], server.pid, Path(folder))
            print(f"{chosen.minutes:g} minutes on {soak.address}, {chosen.viewers} viewers", flush=True)
            threads = [
                threading.Thread(target=work) for work in (soak.play, soak.sample, *[soak.watch] * chosen.viewers)
            ]
            for thread in threads:
                thread.start()
            end = time.monotonic() + chosen.minutes * 60
            soak.over.wait(max(0.0, end - time.monotonic()))
            soak.over.set()
            for thread in threads:
                thread.join(timeout=30)
        finally:
            server.terminate()
            server.wait(timeout=30)
        return 0 if judge(soak) else 1


if __name__ == "__main__":
    sys.exit(main())
