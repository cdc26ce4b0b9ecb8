"""Faults at full figures, each on a real server: killed workers, a locked database, clients that never read or vanish,
uploads that fall silent, a large run deleted.

    python -m benchmarks.soak_faults [--only NAME] [--events N] [--kills N]

Prints a table of what was done, what is promised and what was seen; exit code 1 if a promise was not kept.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.soak import MIB, ROOT, SCENARIO, read_proc, resident_mib

V1 = "/api/v1"
LOCKED_S, WRITERS = 30.0, 100
READERS, RESETS, SILENT = 100, 1_000, 4


class Row(NamedTuple):
    """What was done, what is promised, what was seen, and whether that is enough."""

    what: str
    wanted: str
    seen: str
    good: bool


class Up(NamedTuple):
    """A server under way."""

    port: int
    pid: int
    folder: Path

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and JSON of a request."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)) as client:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            client.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = client.getresponse()
            text = answer.read()
            return answer.status, dict(answer.getheaders()), json.loads(text) if text else None

    def start(self, events: int, **more: Any) -> str:
        scenario = SCENARIO | {"limits": {"events": events}}
        return str(self.ask("POST", f"{V1}/runs", {"scenario": scenario, **more})[2]["id"])

    def until(self, run: str, true: Callable[[Any], bool], seconds: float) -> tuple[Any, float]:
        """Wait until a run is as wanted; return it and the seconds that took."""
        began, pause = time.monotonic(), threading.Event()
        while not true(found := self.ask("GET", f"{V1}/runs/{run}")[2]):
            assert time.monotonic() - began < seconds, found
            pause.wait(0.05)
        return found, time.monotonic() - began

    @property
    def workers(self) -> list[int]:
        children = [int(pid) for pid in read_proc(self.pid, "task", str(self.pid), "children").split()]
        return [pid for pid in children if "app.runner" in read_proc(pid, "cmdline")]

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    @property
    def cpu_s(self) -> float:
        fields = read_proc(self.pid, "stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def silent(self, request: str) -> socket.socket:
        """Send a request and do no more with the connection."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        client.sendall(request.encode())
        return client


@contextlib.contextmanager
def server(**variables: str) -> Iterator[Up]:
    """Start a server in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="folioscope-faults-") as folder:
        command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data", folder, "--json"]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | variables, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            port = int(json.loads(process.stdout.readline())["address"].rpartition(":")[2])
            yield Up(port, process.pid, Path(folder))
        finally:
            process.terminate()
            process.wait(timeout=30)


def killed_workers(chosen: argparse.Namespace) -> list[Row]:
    seals, slowest = set(), 0.0
    with server() as up:
        for _ in range(chosen.kills):
            run = up.start(100_000, pace_ms_per_s=4)
            up.until(run, lambda found: found["events"] > 1_000, 120)
            os.kill(up.workers[0], signal.SIGKILL)
            _, seconds = up.until(run, lambda found: found["attempt"] == 2, 60)
            slowest = max(slowest, seconds)
            seals.add(up.until(run, lambda found: found["state"] not in ("queued", "running"), 300)[0]["seal"])
    seen = f"at most {slowest:.1f} s, {len(seals)} seal(s)"
    what = f"{chosen.kills} workers killed"
    return [
        Row(what, "out of running within 10 s, one seal", seen, slowest <= 10 and len(seals) == 1 and None not in seals)
    ]


def locked_database(_: argparse.Namespace) -> list[Row]:
    with (
        server() as up,
        contextlib.closing(sqlite3.connect(up.folder / "folioscope.db", isolation_level=None)) as other,
    ):
        over = time.monotonic() + LOCKED_S

        def write(_: int) -> list[tuple[int, bool, float]]:
            seen = []
            while time.monotonic() < over - 8:
                began = time.monotonic()
                status, headers, _ = up.ask("POST", f"{V1}/runs", {"preset": "w1"})
                seen.append((status, "retry-after" in {name.lower() for name in headers}, time.monotonic() - began))
            return seen

        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(WRITERS) as pool:
            answers = [one for each in pool.map(write, range(WRITERS)) for one in each]
        other.execute("ROLLBACK")
        after = up.ask("POST", f"{V1}/runs", {"preset": "w1"})[0]
    slowest = max(seconds for _, _, seconds in answers)
    good = slowest <= 6 and all(status == 503 and later for status, later, _ in answers) and after == 201
    seen = (
        f"{len(answers)} answers, {sorted({status for status, *_ in answers})}, at most {slowest:.1f} s; then {after}"
    )
    return [Row(f"write lock held {LOCKED_S:g} s, {WRITERS} writers", "503, Retry-After, within 6 s", seen, good)]


def never_reading(chosen: argparse.Namespace) -> list[Row]:
    with server(FOLIOSCOPE_STREAMS_PER_ADDRESS="500") as up:
        run = up.start(1_000_000)
        up.until(run, lambda found: found["state"] == "done", 300)
        request = f"GET {V1}/runs/{run}/stream?events=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        before, files, cpu = resident_mib(up.pid), up.descriptors, up.cpu_s
        stuck = [up.silent(request) for _ in range(READERS)]
        began, waits, most = time.monotonic(), [0.0], before
        while up.descriptors < files + READERS and time.monotonic() - began < 20:
            time.sleep(0.02)
        while up.descriptors > files + 5 and time.monotonic() - began < 120:
            asked = time.monotonic()
            up.ask("GET", "/health")
            waits.append(time.monotonic() - asked)
            most = max(most, resident_mib(up.pid))
            time.sleep(0.1)
        took, used = time.monotonic() - began, up.cpu_s - cpu
        for client in stuck:
            client.close()
    each = (most - before) / READERS
    seen = f"dropped after {took:.0f} s, {each:.2f} MiB each, health at most {max(waits):.2f} s, {used:.1f} s of CPU"
    good = took <= 40 and each <= 1 and max(waits) <= 1
    return [
        Row(f"{READERS} clients that never read events", "dropped within 30 s of the last byte, 1 MiB each", seen, good)
    ]


def resets(_: argparse.Namespace) -> list[Row]:
    with server() as up:
        run = up.start(400_000, pace_ms_per_s=1)
        up.until(run, lambda found: found["state"] == "running", 120)
        request = f"GET {V1}/runs/{run}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

        def cycle(times: int) -> None:
            for _ in range(times):
                client = up.silent(request)
                client.recv(100)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()

        cycle(20)
        time.sleep(5)
        files, memory = up.descriptors, resident_mib(up.pid)
        cycle(RESETS)
        time.sleep(20)
        left, grown = up.descriptors - files, resident_mib(up.pid) - memory
    seen = f"{left:+d} descriptors, {grown:+.1f} MiB"
    return [
        Row(
            f"{RESETS:,} streams connected and reset",
            "+0 descriptors, +5 MiB after 20 s",
            seen,
            left <= 0 and grown <= 5,
        )
    ]


def silent_uploads(_: argparse.Namespace) -> list[Row]:
    head = (
        f"POST {V1}/recordings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nx"
    )
    with server() as up:
        clients = [up.silent(head) for _ in range(SILENT)]
        began, status = time.monotonic(), 429
        while status == 429 and time.monotonic() - began < 120:
            time.sleep(0.5)
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", up.port, timeout=60)) as client:
                client.request("POST", f"{V1}/recordings", "nothing", {"Content-Type": "text/plain"})
                status = client.getresponse().status
        took = time.monotonic() - began
        for one in clients:
            one.close()
    seen = f"after {took:.0f} s"
    return [
        Row(f"{SILENT} uploads that fall silent", "others let in within a minute", seen, status != 429 and took <= 60)
    ]


def large_deletion(chosen: argparse.Namespace) -> list[Row]:
    with server() as up:
        run = up.start(chosen.events)
        up.until(run, lambda found: found["state"] not in ("queued", "running"), 1_800)
        log, over, most = up.folder / "folioscope.db-wal", threading.Event(), [0]
        size = (up.folder / "folioscope.db").stat().st_size

        def watch() -> None:
            while not over.wait(0.02):
                with contextlib.suppress(FileNotFoundError):
                    most[0] = max(most[0], log.stat().st_size)

        watching = threading.Thread(target=watch)
        watching.start()
        began = time.monotonic()
        status = up.ask("DELETE", f"{V1}/runs/{run}")[0]
        took = time.monotonic() - began
        over.set()
        watching.join()
        left = (up.folder / "folioscope.db").stat().st_size
    seen = f"{most[0] / MIB:.0f} MiB, {size / MIB:.0f} -> {left / MIB:.0f} MiB in {took:.0f} s"
    good = status == 204 and most[0] <= 64 * MIB and left < size / 10
    return [Row(f"a run of {chosen.events:,} events deleted", "log at most 64 MiB", seen, good)]


TRIALS = {
    "workers": killed_workers,
    "lock": locked_database,
    "readers": never_reading,
    "resets": resets,
    "uploads": silent_uploads,
    "deletion": large_deletion,
}


def main() -> int:
    options = argparse.ArgumentParser(prog="benchmarks.soak_faults", description=__doc__.splitlines()[0])
    options.add_argument("--only", choices=TRIALS, action="append")
    options.add_argument("--events", type=int, default=60_000_000)
    options.add_argument("--kills", type=int, default=20)
    chosen = options.parse_args()
    subprocess.run([sys.executable, "-m", "engine.warm"], cwd=ROOT, check=True)
    rows = []
    for name in chosen.only or TRIALS:
        for row in TRIALS[name](chosen):
            rows.append(row)
            print(f"| {row.what} | {row.wanted} | {row.seen} | {'kept' if row.good else 'NOT KEPT'} |", flush=True)
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
