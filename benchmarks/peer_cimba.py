"""W1 and W2 in Cimba: processes compiled by numba, switched by its C engine.

    python -m benchmarks.peer_cimba RECORDS W2 FOLDER          (FOLDER: where benchmarks.inputs wrote)

Cimba compiles a model at every start and keeps nothing on disk. So that it is not charged for that, the time is what
the second half of a run of 2 x RECORDS costs: a run of 2 x RECORDS less a run of RECORDS.
Prints one line of JSON: those CPU seconds, records, hash of the log of the first run.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import cimba as cb
import numpy as np
from numba import njit

TASKS, PAGES, QUEUES = 1_000, 4_096, 256
SEED, HOLD_NS, WAKE_NS = 1, 10_000, 500
THINK_NS = 120 * HOLD_NS * TASKS // 1_000
LOCK, WAIT, UNLOCK, WAKE, ATTACH, DETACH = range(1, 7)
NOBODY = -1

U = np.uint64
GAMMA, M1, M2, PRIME = U(0x9E3779B97F4A7C15), U(0xBF58476D1CE4E5B9), U(0x94D049BB133111EB), U(0x100000001B3)


# Cimba's words are signed; these reach the unsigned arithmetic of generator and hashes through numba.
@njit
def next_state(state):
    return np.int64(U(state) + GAMMA)


@njit
def mixed(state):
    z = U(state)
    z = (z ^ (z >> U(30))) * M1
    z = (z ^ (z >> U(27))) * M2
    return z ^ (z >> U(31))


@njit
def bits(state, shift, mask):
    return np.int64((mixed(state) >> U(shift)) & U(mask))


@njit
def hashed_queue(page):
    return np.int64(((U(0xFFFFEA0000000000) + U(page) * U(64)) * U(0x61C8864680B583EB)) >> U(56))


@njit
def folded(value, word):
    return np.int64((U(value) ^ U(word)) * PRIME)


class Pages(cb.Model):
    """Tasks that think, lock a page, hold it, unlock it; queue 0..255 by hash, or one of a page's own (own = 1)."""

    own: cb.Param[int] = 0
    stop: cb.Param[int] = 1_000
    threshold: cb.Array[int]
    alias: cb.Array[int]
    exponential: cb.Array[int]
    random: cb.Array[int]
    handle: cb.Array[int]
    wants: cb.Array[int]
    behind: cb.Array[int]
    locked: cb.Array[int]
    mapping: cb.Array[int]
    first: cb.Array[int]
    last: cb.Array[int]
    length: cb.Array[int]
    spare: cb.Array[int]
    count: cb.Array[int]  # records, tasks started, spare wait structures
    log_time: cb.Array[int]
    log_kind: cb.Array[int]
    log_task: cb.Array[int]
    log_page: cb.Array[int]
    log_length: cb.Array[int]
    hash_high: cb.Output[float]
    hash_low: cb.Output[float]

    @cb.function
    def draw_exponential(self, task: int, mean: int) -> float:
        state = next_state(self.random[task])
        self.random[task] = state
        step = bits(state, 52, 0xFFF)
        low = self.exponential[step]
        height = low + (((self.exponential[step + 1] - low) * bits(state, 20, 0xFFFFFFFF)) >> 32)
        return float(1 + ((height * mean) >> 20))

    @cb.function
    def draw_page(self, task: int) -> int:
        state = next_state(self.random[task])
        self.random[task] = state
        column = (bits(state, 32, 0xFFFFFFFF) * len(self.threshold)) >> 32
        if bits(state, 0, 0xFFFFFFFF) < self.threshold[column]:
            return column
        return self.alias[column]

    @cb.function
    def note(self, kind: int, task: int, page: int, length: int) -> None:
        at = self.count[0]
        self.log_time[at] = int(cb.now())
        self.log_kind[at] = kind
        self.log_task[at] = task
        self.log_page[at] = page
        self.log_length[at] = length
        self.count[0] = at + 1

    @cb.function
    def queue_of(self, page: int) -> int:
        if self.own == 0:
            return hashed_queue(page)
        word = self.mapping[page]
        if word & 1 == 1:
            return word >> 1
        return -1

    @cb.function
    def enqueue(self, task: int, page: int) -> None:
        queue = self.queue_of(page)
        if queue < 0:
            self.count[2] -= 1
            queue = self.spare[self.count[2]]
            self.mapping[page] = (queue << 1) | 1
            self.note(5, task, page, 0)
        self.behind[task] = -1
        if self.first[queue] < 0:
            self.first[queue] = task
        else:
            self.behind[self.last[queue]] = task
        self.last[queue] = task
        self.length[queue] += 1
        self.note(2, task, page, self.length[queue])

    @cb.function
    def dequeue(self, queue: int, page: int) -> int:
        before = -1
        task = self.first[queue]
        while task >= 0 and self.wants[task] != page:
            before = task
            task = self.behind[task]
        if task >= 0:
            if before < 0:
                self.first[queue] = self.behind[task]
            else:
                self.behind[before] = self.behind[task]
            if self.behind[task] < 0:
                self.last[queue] = before
            self.length[queue] -= 1
        return task

    @cb.process(copies=TASKS)
    def task(self) -> None:
        me = self.count[1]
        self.count[1] = me + 1
        this = cb.this_process()
        self.handle[me] = this.pointer
        this.priority_set(-me)  # ties: the smaller task first
        cb.hold(self.draw_exponential(me, THINK_NS))
        while True:
            page = self.draw_page(me)
            self.wants[me] = page
            while self.locked[page] == 1:
                self.enqueue(me, page)
                cb.suspend()
            self.locked[page] = 1
            queue = self.queue_of(page)
            length = 0
            if queue >= 0:
                length = self.length[queue]
            self.note(1, me, page, length)
            cb.hold(self.draw_exponential(me, HOLD_NS))
            self.locked[page] = 0
            queue = self.queue_of(page)
            woken = -1
            length = 0
            if queue >= 0:
                woken = self.dequeue(queue, page)
                length = self.length[queue]
            self.note(3, me, page, length)
            if woken >= 0:
                self.note(4, woken, page, length)
                if self.own == 1 and length == 0:
                    self.spare[self.count[2]] = queue
                    self.count[2] += 1
                    self.mapping[page] = 4096 + 16 * page
                    self.note(6, woken, page, 0)
                cb.Process(self.handle[woken]).timer_set(float(WAKE_NS), 1)
            if self.count[0] >= self.stop:
                cb.end_trial()
            cb.hold(self.draw_exponential(me, THINK_NS))

    @cb.on_end
    def finish(self) -> None:
        value = np.int64(-3750763034362895579)  # 0xCBF29CE484222325
        for at in range(self.stop):
            value = folded(value, self.log_time[at])
            value = folded(value, (self.log_page[at] << 32) | self.log_task[at])
            value = folded(value, (self.log_kind[at] << 32) | self.log_length[at])
        self.hash_high = float((value >> 32) & 0xFFFFFFFF)
        self.hash_low = float(value & 0xFFFFFFFF)


def first_state(task: int) -> int:
    """Return where the task's random stream begins, as a signed word."""
    word = (1 << 64) - 1
    z = (SEED + (task + 1) * 0x9E3779B97F4A7C15) & word
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & word
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & word
    z ^= z >> 31
    return z - (1 << 64) if z >> 63 else z


def play(records: int, own: int, folder: Path) -> tuple[float, Any]:
    """Return the CPU seconds of one run, with what Cimba does around it, and its results."""
    table = np.fromfile(folder / "tables.bin", np.uint32)
    queues = TASKS if own else QUEUES
    model = Pages()
    model.own, model.stop = own, records
    model.threshold = cb.Array(table[:PAGES].tolist())
    model.alias = cb.Array(table[PAGES : 2 * PAGES].tolist())
    model.exponential = cb.Array(table[2 * PAGES :].view(np.uint64).tolist())
    model.random = cb.Array([first_state(task) for task in range(TASKS)])
    model.handle, model.wants, model.behind = cb.Array(TASKS), cb.Array(TASKS), cb.Array(TASKS)
    model.locked = cb.Array(PAGES)
    model.mapping = cb.Array([4096 + 16 * page for page in range(PAGES)])
    model.first, model.last = cb.Array([NOBODY] * queues), cb.Array([NOBODY] * queues)
    model.length = cb.Array(queues)
    model.spare = cb.Array(list(range(queues))[::-1])
    model.count = cb.Array([0, 0, queues])
    for column in ("time", "kind", "task", "page", "length"):
        setattr(model, f"log_{column}", cb.Array(records + 2 * TASKS))  # it looks for the end only after an unlock
    experiment = cb.Experiment(model, replications=1, window=cb.Window(warmup=0, duration=1e15), seed=1)
    before = time.process_time()
    result = experiment.run()[model]
    return time.process_time() - before, result


def main() -> None:
    records, own, folder = int(float(sys.argv[1])), int(sys.argv[2]), Path(sys.argv[3])
    play(1_000, own, folder)  # compiles
    once, result = play(records, own, folder)
    twice, _ = play(2 * records, own, folder)
    high, low = (int(np.asarray(half.values).ravel()[0]) for half in (result.hash_high, result.hash_low))
    digest = f"{high << 32 | low:016x}"
    print(json.dumps({"peer": "cimba", "w2": own, "records": records, "cpu": twice - once, "hash": digest}))


if __name__ == "__main__":
    main()
