"""M1: one page whose mapping word is truncated, written back and waited on at once, as a protocol table of any size.

    python -m benchmarks.m1 1 2 2 2 [explore's options]

Threads of three kinds repeat their round so often; `mapping` is NULL, BASE or TAG (a wait structure stands in front of
what `wbase` keeps); `truncated` is a ghost that only assertions look at. The first waiter attaches its structure and
the last one detaches it with plain stores, without the page lock: a writer can pass its check on a truncated page.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

NULL, BASE, TAG = range(3)

Rows = list[tuple[str, str, list[str], str]]
"""Steps: at, guard, do, to. A step that ends the round leads to AGAIN."""
AGAIN = "again"


def truncater(i: int) -> Rows:
    """Lock, wait for writeback, cut the page off; lock again and put it back."""
    r = f"r[{i}]"
    return [
        ("lock", "locked == 0", ["locked = 1"], "wait_writeback"),
        ("wait_writeback", "writeback == 0", [], "read"),
        ("read", "1", [f"{r} = mapping"], "cut"),
        ("cut", f"{r} == {TAG}", [f"wbase = {NULL}", f"{r} = 0"], "mark"),
        ("cut", f"{r} != {TAG}", [f"mapping = {NULL}", f"{r} = 0"], "mark"),
        ("mark", "1", ["truncated = 1"], "unlock"),
        ("unlock", "1", ["locked = 0"], "lock_again"),
        ("lock_again", "locked == 0", ["locked = 1"], "insert"),
        ("insert", f"mapping == {TAG}", [f"wbase = {BASE}", "truncated = 0"], "unlock_again"),
        ("insert", f"mapping != {TAG}", [f"mapping = {BASE}", "truncated = 0"], "unlock_again"),
        ("unlock_again", "1", ["locked = 0"], AGAIN),
    ]


def writer(i: int) -> Rows:
    """Lock, look through the tag, go away from a page without mapping, else write it back."""
    r = f"r[{i}]"
    return [
        ("lock", "locked == 0", ["locked = 1"], "read"),
        ("read", "1", [f"{r} = mapping"], "look_through"),
        ("look_through", f"{r} == {TAG}", [f"{r} = wbase"], "check"),
        ("look_through", f"{r} != {TAG}", [], "check"),
        ("check", f"{r} != {NULL}", ["assert(truncated == 0)", f"{r} = 0"], "begin"),
        ("check", f"{r} == {NULL}", [f"{r} = 0"], "give_up"),
        ("begin", "1", ["writeback = 1"], "unlock"),
        ("unlock", "1", ["locked = 0"], "end"),
        ("give_up", "1", ["locked = 0"], AGAIN),
        ("end", "1", ["writeback = 0"], AGAIN),
    ]


def waiter(i: int) -> Rows:
    """If the page is locked: attach a wait structure or join it, sleep, and detach it as the last one."""
    return [
        ("look", "locked == 0", [], AGAIN),
        ("look", "locked != 0", [], "take"),
        ("take", "wlock == 0", ["wlock = 1"], "keep"),
        ("keep", f"mapping == {TAG}", [], "join"),
        ("keep", f"mapping != {TAG}", ["wbase = mapping"], "attach"),
        ("attach", "1", [f"mapping = {TAG}"], "join"),
        ("join", "1", ["waiting = waiting + 1"], "drop"),
        ("drop", "1", ["wlock = 0"], "sleep"),
        ("sleep", "locked == 0", [], "take_again"),
        ("take_again", "wlock == 0", ["wlock = 1"], "leave"),
        ("leave", "waiting == 1", ["waiting = waiting - 1"], "detach"),
        ("leave", "waiting != 1", ["waiting = waiting - 1"], "drop_again"),
        ("detach", "1", ["mapping = wbase", f"wbase = {NULL}"], "drop_again"),
        ("drop_again", "1", ["wlock = 0"], AGAIN),
    ]


def _process(name: str, i: int, rows: Rows, rounds: int) -> dict[str, Any]:
    steps = []
    for at, guard, do, to in rows:
        if to != AGAIN:
            steps.append({"at": at, "guard": guard, "do": do, "to": to})
            continue
        more = f"round[{i}] < {rounds - 1}"
        steps.append(
            {"at": at, "guard": f"{guard} && {more}", "do": [*do, f"round[{i}] = round[{i}] + 1"], "to": rows[0][0]}
        )
        steps.append({"at": at, "guard": f"{guard} && !({more})", "do": [*do, f"round[{i}] = 0"], "to": "-"})
    return {"name": name, "start": rows[0][0], "steps": steps}


def m1(truncaters: int, writers: int, waiters: int, rounds: int) -> dict[str, Any]:
    """Return the table of so many threads of each kind, each of which does so many rounds."""
    kinds = [("truncater", truncater)] * truncaters + [("writer", writer)] * writers + [("waiter", waiter)] * waiters
    return {
        "format": "protocol-table/1",
        "name": f"m1_{truncaters}{writers}{waiters}{rounds}",
        "why": "A mapping word that carries a wait structure, attached and detached without the page lock",
        "vars": {
            "mapping": BASE,
            "wbase": NULL,
            "locked": 0,
            "writeback": 0,
            "wlock": 0,
            "truncated": 0,
            "waiting": 0,
            "r": [0] * len(kinds),
            "round": [0] * len(kinds),
        },
        "procs": [_process(f"{name}{i}", i, rows(i), rounds) for i, (name, rows) in enumerate(kinds)],
    }


if __name__ == "__main__":
    from app.cli import app

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m1.json"
        path.write_text(json.dumps(m1(*map(int, sys.argv[1:5]))))
        app(["explore", str(path), *sys.argv[5:]])
