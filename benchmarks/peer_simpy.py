"""W1 and W2 in SimPy: a process a task, draws made ahead, ties broken by task as in every other peer.

    python -m benchmarks.peer_simpy RECORDS W2 FOLDER          (FOLDER: where benchmarks.inputs wrote)

Prints one line of JSON: CPU seconds of the simulation alone, records, hash of the log.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import simpy

LOCK, WAIT, UNLOCK, WAKE, ATTACH, DETACH = range(1, 7)
WAKE_NS, PAGES = 500, 4_096
WORD = (1 << 64) - 1

Record = tuple[int, int, int, int, int]
Program = Generator[Any, None, None]


def hashed_queue(page: int) -> int:
    """Return which of the 256 queues the kernel's hash_ptr gives this page (struct page: 64 bytes each)."""
    return ((0xFFFFEA0000000000 + page * 64) * 0x61C8864680B583EB & WORD) >> 56


def log_hash(log: list[Record], records: int) -> str:
    """Return the hash over the first records of (time, kind, task, page, queue length)."""
    value = 0xCBF29CE484222325
    for at, kind, task, page, length in log[:records]:
        for word in (at, page << 32 | task, kind << 32 | length):
            value = (value ^ word) * 0x100000001B3 & WORD
    return f"{value:016x}"


def play(records: int, own: bool, folder: Path) -> tuple[float, list[Record]]:
    """Return CPU seconds and the log, at least records long. own: W2, a queue of the page's own."""
    drawn = np.load(folder / "draws.npz")
    think, pages, hold = (drawn[name].tolist() for name in ("think_ns", "page", "hold_ns"))
    env: Any = simpy.Environment()
    log: list[Record] = []
    note = log.append
    locked = bytearray(PAGES)
    # Entries are (page, task, event). A page's own queue is there only while somebody waits.
    queues: list[list[Any]] = [[] for _ in range(256)]
    own_queues: dict[int, list[Any]] = {}
    queue_number = [hashed_queue(page) for page in range(PAGES)]
    event_of, schedule = simpy.Event, env.schedule

    def after(delay: int, task: int) -> Any:
        """Return what env.timeout() gives, but with the task's number to break ties."""
        event = event_of(env)
        event._ok, event._value = True, None
        schedule(event, task, delay)
        return event

    def unlock_hashed(task: int, page: int) -> None:
        queue = queues[queue_number[page]]
        for place, entry in enumerate(queue):
            if entry[0] == page:
                del queue[place]
                break
        else:
            entry = None
        note((env.now, UNLOCK, task, page, len(queue)))
        if entry is not None:
            note((env.now, WAKE, entry[1], page, len(queue)))
            wake(entry)

    def unlock_own(task: int, page: int) -> None:
        queue = own_queues.get(page)
        if queue is None:
            note((env.now, UNLOCK, task, page, 0))
            return
        entry = queue.pop(0)
        note((env.now, UNLOCK, task, page, len(queue)))
        note((env.now, WAKE, entry[1], page, len(queue)))
        if not queue:
            del own_queues[page]
            note((env.now, DETACH, entry[1], page, 0))
        wake(entry)

    def wake(entry: Any) -> None:
        event = entry[2]
        event._ok, event._value = True, None
        schedule(event, entry[1], WAKE_NS)

    def hashed(task: int) -> Program:
        for think_ns, page, hold_ns in zip(think[task], pages[task], hold[task], strict=True):
            yield after(think_ns, task)
            queue = queues[queue_number[page]]
            while locked[page]:
                event = event_of(env)
                queue.append((page, task, event))
                note((env.now, WAIT, task, page, len(queue)))
                yield event
            locked[page] = 1
            note((env.now, LOCK, task, page, len(queue)))
            yield after(hold_ns, task)
            locked[page] = 0
            unlock_hashed(task, page)
        raise AssertionError("too few draws")

    def with_own_queue(task: int) -> Program:
        for think_ns, page, hold_ns in zip(think[task], pages[task], hold[task], strict=True):
            yield after(think_ns, task)
            while locked[page]:
                event = event_of(env)
                queue = own_queues.get(page)
                if queue is None:
                    queue = own_queues[page] = []
                    note((env.now, ATTACH, task, page, 0))
                queue.append((page, task, event))
                note((env.now, WAIT, task, page, len(queue)))
                yield event
            locked[page] = 1
            note((env.now, LOCK, task, page, len(own_queues.get(page, ()))))
            yield after(hold_ns, task)
            locked[page] = 0
            unlock_own(task, page)
        raise AssertionError("too few draws")

    program: Callable[[int], Program] = with_own_queue if own else hashed
    for task in range(len(think)):
        env.process(program(task))
    step = env.step
    before = time.process_time()
    while len(log) < records:
        for _ in range(1_000):
            step()
    return time.process_time() - before, log


def main() -> None:
    records, own, folder = int(float(sys.argv[1])), sys.argv[2] == "1", Path(sys.argv[3])
    cpu, log = play(records, own, folder)
    # It stops some records late; the rate counts what was played, the hash what was asked.
    print(
        json.dumps({"peer": "simpy", "w2": int(own), "records": len(log), "cpu": cpu, "hash": log_hash(log, records)})
    )


if __name__ == "__main__":
    main()
