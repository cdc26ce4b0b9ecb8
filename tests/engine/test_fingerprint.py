"""The compile cache: what changes a function's key, and what does not. Each change is made in a copy of the engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEYS = """
import json
from engine.axes import VERBS
from engine.designs import AXES
from engine.fingerprint import fingerprint
from engine.world.linking import step_function, verb_function
from engine.mm.steps import STEPS
from engine.world.world_type import places
keys = {name: fingerprint(step_function(number), places) for number, (name, _) in enumerate(STEPS)}
for number, (axis, verb) in enumerate(VERBS):
    for design in AXES[axis]:
        if (function := verb_function(number, design)) is not None:
            keys[f"{design}.{verb.name}"] = fingerprint(function, places)
from engine.explore.search import memory
from engine.explore.search.search import search
from engine.runs.replay_steps import replay_batch
from engine.runs.timed import run_batch
for function in (replay_batch, run_batch, memory.rehash, search):
    keys[function.__name__] = fingerprint(function, places)
print(json.dumps(keys))
"""


def keys(source: Path) -> dict[str, str]:
    """Return the key of every step and verb and of some loops, as the engine in this folder has them."""
    done = subprocess.run(
        [sys.executable, "-c", KEYS],
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    return keys(ROOT)


def changed(source: Path, here: dict[str, str], file: str, old: str, new: str) -> set[str]:
    path = source / "engine" / file
    text = path.read_text()
    assert text.count(old) >= 1, "the change has lost its place: the source has changed"
    path.write_text(text.replace(old, new))
    now = keys(source)
    assert now.keys() == here.keys()
    return {name for name in here if now[name] != here[name]}


@pytest.mark.parametrize(
    ("file", "old", "new", "uses", "does_not"),
    [
        (
            "events.py",
            "WQ_EXCLUSIVE, WQ_WOKEN, WQ_BOOKMARK, WQ_CUSTOM, WQ_DONE = 1, 2, 4, 8, 16",
            "WQ_EXCLUSIVE, WQ_WOKEN, WQ_BOOKMARK, WQ_CUSTOM, WQ_DONE = 1, 2, 4, 16, 8",
            "WAKE_ENTRY",
            "THINK",
        ),
        ("events.py", 'unflagged=bits("b", 48, 1', 'unflagged=bits("b", 49, 1', "WAKE_ENTRY", "THINK"),
        (
            "designs/wait/page_wait/words.py",
            "BYTES = 136",
            "BYTES = 144",
            "page_wait.wait_list",
            "WAIT_PREPARE",
        ),
        ("recordings/moves.py", "walk = ", "walk = 40 + ", "replay_batch", "run_batch"),
        (
            "world/state.py",
            "READY, ASLEEP, SPINNING, FINISHED = range(4)",
            "ASLEEP, READY, SPINNING, FINISHED = range(4)",
            "WAIT_SLEEP",
            "UNLOCK_PAGE",
        ),
        (
            "world/state.py",
            "    flags: I64 = number(0, (1 << 15) - 1)  # bit order of engine.events\n    mapping: I64 = word()",
            "    mapping: I64 = word()\n    flags: I64 = number(0, (1 << 15) - 1)  # bit order of engine.events",
            "LOCK_PAGE",
            "THINK",
        ),
        ("world/rng.py", "0x9E3779B97F4A7C15", "0x9E3779B97F4A7C17", "THINK", "WAIT_SLEEP"),
        (
            "mm/wait_list.py",
            "    w.entries.prev[entry] = last\n",
            "    w.entries.prev[entry] = NONE\n",
            "WAIT_ENQUEUE",
            "WAIT_SLEEP",
        ),
        ("mm/wake.py", "WAITQUEUE_WALK_BREAK_CNT = 64", "WAITQUEUE_WALK_BREAK_CNT = 65", "WAKE_ENTRY", "WAKE_BEGIN"),
        ("invariants.py", ") = range(len(WITNESSES))", ") = range(1, len(WITNESSES) + 1)", "WAIT_SLEEP", "THINK"),
        (
            "designs/wait/page_wait/verbs.py",
            "DANGLING = 0x2",
            "DANGLING = 0x4",
            "page_wait.wait_holds",
            "THINK",
        ),
        ("explore/search/memory.py", "AHEAD = 16", "AHEAD = 8", "rehash", "run_batch"),
        (
            "explore/search/memory.py",
            "    states: NDArray[np.uint64]\n    parent: NDArray[np.uint32]\n",
            "    parent: NDArray[np.uint32]\n    states: NDArray[np.uint64]\n",
            "rehash",
            "run_batch",
        ),
    ],
)
def test_given_a_constant_that_compiled_code_uses_when_it_changes_then_the_functions_that_use_it_have_another_key(
    source: Path, here: dict[str, str], file: str, old: str, new: str, uses: str, does_not: str
) -> None:
    moved = changed(source, here, file, old, new)
    assert uses in moved
    assert does_not not in moved


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("events.py", "{task} locked {page}", "{task} took the lock of {page}"),
        ("mm/filemap.py", '    """Try to lock the page, else wait', '    """Take the page lock, or wait'),
        ("mm/filemap.py", "@inlined\ndef lock_page(", "\n# moves all lines below\n@inlined\ndef lock_page("),
        ("designs/wait/hashed/__init__.py", 'title="shared wait queues, found by hash"', 'title="hashed queues"'),
        ("invariants.py", "a queue's length is not the number of tasks linked on it", "a length is wrong"),
    ],
)
def test_given_a_message_a_docstring_or_a_comment_when_it_changes_then_nothing_is_compiled_anew(
    source: Path, here: dict[str, str], file: str, old: str, new: str
) -> None:
    assert not changed(source, here, file, old, new)


def test_given_a_changed_constant_when_run_from_a_full_cache_then_the_new_code_runs(
    source: Path, tmp_path: Path
) -> None:
    """Not only the keys: what a process loads after the change is what the source now says."""
    program = (
        "import numpy as np; from engine.world.build import make_world; from engine.runs.timed_run import TimedRun\n"
        "from engine.runs.w1 import scenario\n"
        "print(sum(int(b.time.sum()) for b in TimedRun(scenario(events=300)).batches()))"
    )

    def total() -> int:
        env = {**os.environ, "PYTHONPATH": str(source), "FOLIOSCOPE_CACHE": str(tmp_path / "cache")}
        done = subprocess.run([sys.executable, "-c", program], cwd=source, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    first = total()
    assert total() == first
    path = source / "engine" / "world" / "rng.py"
    path.write_text(path.read_text().replace("0x9E3779B97F4A7C15", "0x9E3779B97F4A7C17"))
    assert total() != first
