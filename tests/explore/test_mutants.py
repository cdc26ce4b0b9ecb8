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

import pytest

from tests.explore import plain
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
        "native.py",
        "        new.write(self.layout.places[step.process], 0, _I64(step.to))",
        "        behind = [other for other in self.table.processes[step.process].steps if other.at == step.to]\n"
        "        alone = len(behind) == 1 and behind[0].asked.guard == '1'\n"
        "        for effect in behind[0].effects if alone else ():\n"
        "            self._effect(new, effect)\n"
        "        new.write(self.layout.places[step.process], 0, _I64(behind[0].to if alone else step.to))",
    ),
    "a counter that is not in the state's key": (
        "memory.py",
        "    number = memory.counters[FOUND]\n    memory.slots[slot]",
        "    for known in range(memory.counters[FOUND]):\n"
        "        if width == 1 and not (flat[known] ^ words[at]) & ~(np.uint64(1) << np.uint64(7)):\n"
        "            return known, False\n"
        "    number = memory.counters[FOUND]\n    memory.slots[slot]",
    ),
    "an unsound reduction": (
        "search.py",
        "    r = reduction\n",
        "    return True\n    r = reduction\n",
    ),
    "ignored asserts": ("native.py", "(state.failed, FAILED), ", ""),
    "a hash of 12 bits": (
        "memory.py",
        "            if flat[number * width + i] != words[at + i]:",
        "            if (hashed(flat, number * width, width) ^ hashed(words, at, width)) & np.uint64(0xFFF):",
    ),
    "a depth limit": ("search.py", "(c[NEXT] == c[FOUND]):", "(c[NEXT] == c[FOUND] or c[DEPTH] == 7):"),
    "a deadlock only where nobody has ended": (
        "native.py",
        "        ended = b.and_(ended, b.icmp_unsigned",
        "        ended = b.or_(b.not_(ended) if process is table.processes[0] else ended, b.icmp_unsigned",
    ),
    "a guard that is not looked at": (
        "native.py",
        "        b.cbranch(enabled, block, after)",
        "        b.cbranch(_I1(1), block, after)",
    ),
    "effects but for the first forgotten": (
        "native.py",
        "        for effect in step.effects:\n            self._effect(new, effect)",
        "        for effect in step.effects[:1]:\n            self._effect(new, effect)",
    ),
}
RUN = """
import json, sys
from engine.explore.answers import answer
from engine.explore.explorer import Explorer, Limits, Plan
from engine.explore.table import checked
found = []
for told, reduction in json.load(sys.stdin):
    explorer = Explorer(checked(told), Plan(reduction=reduction))
    found.append(answer(explorer, explorer.run(Limits(states=20_000)), Limits()))
json.dump(found, sys.stdout)
"""
EXACT = ("states", "edges", "deadlock_states", "assert_failures", "final_states", "final_violations", "depth")
KEPT = ("deadlock_states", "final_states")


def disagreements(source: Path, names: tuple[str, ...]) -> list[str]:
    """Return what an explorer, run from this copy of the sources, counts otherwise than the plain search."""
    asked = [(name, reduction) for name in names for reduction in ("none", "por")]
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps([(table(name), reduction) for name, reduction in asked]),
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
    for (name, reduction), found in zip(asked, json.loads(done.stdout), strict=True):
        true = plain.explore(table(name))
        keys = EXACT if reduction == "none" else KEPT
        wrong += [f"{name} {reduction} {key}" for key in keys if found[key] != getattr(true, key)]
        if found["verdict"] != ("Never" if true.shortest_error is None else "Sometimes"):
            wrong.append(f"{name} {reduction} verdict")
    return wrong


@pytest.fixture
def source(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_explorer_as_it_is_counts_right_interpreted_too(source: Path) -> None:
    assert disagreements(source, NAMES + WIDE) == []


@pytest.mark.parametrize("fault", MUTANTS)
def test_given_a_fault_in_the_explorer_then_the_counts_show_it(source: Path, fault: str) -> None:
    file, sound, broken = MUTANTS[fault]
    path = source / "engine" / "explore" / file
    text = path.read_text()
    assert text.count(sound) == 1, "the fault has lost its place: the source has changed"
    path.write_text(text.replace(sound, broken))
    wrong = disagreements(source, NAMES if "hash" not in fault else NAMES + WIDE)
    assert wrong, f"nobody notices {fault}"
    assert all(" " in one and "Error" not in one for one in wrong), wrong
