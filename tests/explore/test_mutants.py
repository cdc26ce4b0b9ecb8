"""Broken explorers: each has one fault written into a copy of its source, and each must count something wrong.

The copies run interpreted: nothing has to be compiled for them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.explore import plain, plain_fair
from tests.explore.shelf import table

ROOT = Path(__file__).parents[2]
NAMES = (
    "peterson_broken_order",
    "dining_3",
    "gw2_truncate_stores_null",
    "lost_increment",
    "ticket_lock",
    "dining_once_3",
)
WIDE = ("page_lock_59_hand_off", "barrier_reusable")
"""Enough states for two of them to share 12 bits of hash."""
MUTANTS = {
    "a merged step": (
        "search/native.py",
        "        new.write(self.layout.places[step.process], 0, _I64(step.to))",
        "        behind = [other for other in self.table.processes[step.process].steps if other.at == step.to]\n"
        "        alone = len(behind) == 1 and behind[0].asked.guard == '1'\n"
        "        for effect in behind[0].effects if alone else ():\n"
        "            self._effect(new, effect)\n"
        "        new.write(self.layout.places[step.process], 0, _I64(behind[0].to if alone else step.to))",
    ),
    "a counter that is not in the state's key": (
        "search/memory.py",
        "    number = memory.counters[FOUND]\n    memory.slots[slot]",
        "    for known in range(memory.counters[FOUND]):\n"
        "        if width == 1 and not (flat[known] ^ words[at]) & ~(np.uint64(1) << np.uint64(7)):\n"
        "            return known, False\n"
        "    number = memory.counters[FOUND]\n    memory.slots[slot]",
    ),
    "an unsound reduction": (
        "search/search.py",
        "    r = reduction\n",
        "    return True\n    r = reduction\n",
    ),
    "ignored asserts": ("search/native.py", "(state.failed, FAILED), ", ""),
    "a hash of 12 bits": (
        "search/memory.py",
        "            if flat[number * width + i] != words[at + i]:",
        "            if (hashed(flat, number * width, width) ^ hashed(words, at, width)) & np.uint64(0xFFF):",
    ),
    "a depth limit": ("search/search.py", "(c[NEXT] == c[FOUND]):", "(c[NEXT] == c[FOUND] or c[DEPTH] == 7):"),
    "a deadlock only where nobody has ended": (
        "search/native.py",
        "        ended = b.and_(ended, b.icmp_unsigned",
        "        ended = b.or_(b.not_(ended) if process is table.processes[0] else ended, b.icmp_unsigned",
    ),
    "a guard that is not looked at": (
        "search/native.py",
        "        b.cbranch(enabled, block, after)",
        "        b.cbranch(_I1(1), block, after)",
    ),
    "effects but for the first forgotten": (
        "search/native.py",
        "        for effect in step.effects:\n            self._effect(new, effect)",
        "        for effect in step.effects[:1]:\n            self._effect(new, effect)",
    ),
}
RUN = """
import itertools, json, sys
from pathlib import Path
from engine.explore.search import explorer as e
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.plan import Limits, Plan
from engine.explore.search.saving import resume, save
from engine.explore.tables.checking import checked
found, turn = [], e.TURN_STATES
for told, plan, again in json.load(sys.stdin):
    explorer = Explorer(checked(told), Plan(**plan))
    e.TURN_STATES = 25 if again else turn
    if again:
        turns = itertools.count()
        if explorer.run(stop=lambda: next(turns) == 9):
            save(explorer, Path("search"))
            explorer = resume(Path("search"), explorer.subject, explorer.plan)
    found.append(answer(explorer, explorer.run(Limits(states=20_000)), Limits()))
json.dump(found, sys.stdout)
"""
WATCHED = {
    "format": "protocol-table/1",
    "name": "watched",
    "vars": {"x": 0, "y": 0},
    "procs": [
        {"name": name, "start": "s", "steps": [{"at": "s", "guard": "1", "do": [effect], "to": "-"}]}
        for name, effect in {"p": "x = 1", "q": "y = 1", "r": "assert(x <= y)"}.items()
    ],
}
"""Two processes that a third one tells apart."""
OWN = {
    "format": "protocol-table/1",
    "name": "own",
    "vars": {"x": [0, 0], "t": 0},
    "procs": [
        {
            "name": f"p{i}",
            "start": "a",
            "steps": [
                {"at": "a", "guard": "1", "do": [f"x[{i}] = x[{i}] + 1"], "to": "b"},
                {"at": "b", "guard": "1", "do": [f"t = 2 * t + x[{i}]"], "to": "-"},
            ],
        }
        for i in range(2)
    ],
    "outcomes": ["t"],
}
"""Two processes that each carry a value of their own over a step."""
LATER: dict[str, tuple[tuple[str, str, str], list[tuple[dict[str, Any], dict[str, Any], bool]]]] = {
    "a third process that is not asked whether two are equal": (
        ("symmetry.py", "if number not in {one, other} and cells[number].isdisjoint(swap):", "if True:"),
        [(WATCHED, {"reduction": "symmetry"}, False)],
    ),
    "values of its own that a process leaves behind when it changes place": (
        ("symmetry.py", "return Group(members, tuple(owned))", "return Group(members, tuple(() for _ in owned))"),
        [(OWN, {"reduction": "symmetry"}, False)],
    ),
    "a lasso that is fair to nobody": (
        (
            "search/components.py",
            "g.able[here], g.first[here + 1] = able,",
            "g.able[here], g.first[here + 1] = np.uint64(0),",
        ),
        [(table("spin_until_set"), {}, False), (table("peterson_turns"), {}, False)],
    ),
    "a process that must step though it cannot": (
        ("search/components.py", "(stepping | resting) & everyone == everyone", "stepping & everyone == everyone"),
        [(table("blinker_starves"), {}, False), (table("test_and_set_starves"), {}, False)],
    ),
    "a compacted hash of 12 bits": (
        (
            "search/compact.py",
            "key = hashed(words, at, width)",
            "key = hashed(words, at, width) & np.uint64(0xFFF << 52)",
        ),
        [(table(name), {"compact": True}, False) for name in WIDE],
    ),
    "a checkpoint that forgets the layer that was found last": (
        ("search/explorer.py", "self.layers = compact.Layers(", "compact.Layers("),
        [(table("dining_4"), {"compact": True}, True)],
    ),
    "a checkpoint that forgets what was still to look at": (
        ("search/explorer.py", '"stack": memory.stack[: c[s.STACK]]', '"stack": memory.stack[: c[s.STACK] * 0]'),
        [(table(WIDE[1]), {"search": "dfs"}, True)],
    ),
}
EXACT = ("states", "edges", "deadlock_states", "assert_failures", "final_states", "final_violations", "depth")
KEPT = ("deadlock_states", "final_states")


def disagreements(source: Path, asked: list[tuple[dict[str, Any], dict[str, Any], bool]]) -> list[str]:
    """Return what an explorer, run from this copy of the sources, counts otherwise than the plain search.

    asked: tables, the plan, and whether to save each search in its middle and go on from the file.
    """
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(asked),
        cwd=source,
        env={
            **os.environ,
            "PYTHONPATH": str(source),
            "NUMBA_DISABLE_JIT": "1",
            "FOLIOSCOPE_CACHE": str(source / "cache"),
        },
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return [done.stderr.strip().splitlines()[-1]]
    wrong = []
    for (told, plan, _), found in zip(asked, json.loads(done.stdout), strict=True):
        true, name, reduction = plain.explore(told), told["name"], plan.get("reduction", "none")
        keys = {"none": EXACT, "por": KEPT}.get(reduction, ())
        wrong += [
            f"{name} {reduction} {key}"
            for key in keys
            if found[key] != getattr(true, key) and (key, plan.get("search")) != ("depth", "dfs")
        ]
        starves = "eventually" in told and plain_fair.avoids_eventually(told)
        if found["verdict"] != ("Never" if true.shortest_error is None and not starves else "Sometimes"):
            wrong.append(f"{name} {reduction} verdict")
        if {tuple(one["values"]) for one in found["outcomes"]} != set(true.outcomes):
            wrong.append(f"{name} {reduction} outcomes")
    return wrong


def counted(names: tuple[str, ...]) -> list[tuple[dict[str, Any], dict[str, Any], bool]]:
    return [(table(name), {"reduction": reduction}, False) for name in names for reduction in ("none", "por")]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_explorer_as_it_is_counts_right_interpreted_too(source: Path) -> None:
    assert disagreements(source, counted(NAMES + WIDE)) == []
    assert disagreements(source, [one for _, asked in LATER.values() for one in asked]) == []


@pytest.mark.parametrize("fault", [*MUTANTS, *LATER])
def test_given_a_fault_in_the_explorer_then_the_counts_show_it(source: Path, fault: str) -> None:
    (file, sound, broken), asked = LATER.get(fault) or (
        MUTANTS[fault],
        counted(NAMES if "hash" not in fault else NAMES + WIDE),
    )
    path = source / "engine" / "explore" / file
    text = path.read_text()
    assert text.count(sound) == 1, "the fault has lost its place: the source has changed"
    path.write_text(text.replace(sound, broken))
    wrong = disagreements(source, asked)
    assert wrong, f"nobody notices {fault}"
    assert all(" " in one and "Error" not in one for one in wrong), wrong
