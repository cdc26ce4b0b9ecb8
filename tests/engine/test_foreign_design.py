"""A design from a package outside the project, the one of docs/adding-a-design.md, found by its entry point."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "adding-a-design.md"
CODE = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)

Install = Callable[..., Path]


@pytest.fixture
def installed(tmp_path: Path) -> Install:
    """Return what writes the guide's package, with one text in place of another, and gives the folder that holds it."""

    def install(old: str = "", new: str = "", *, steps: str = "") -> Path:
        card, columns, verbs = CODE
        package, about = tmp_path / "my_design", tmp_path / "my_design-1.dist-info"
        package.mkdir()
        about.mkdir()
        texts = {
            package / "__init__.py": f"{columns}\n{card}",
            package / "verbs.py": verbs,
            package / "steps.py": steps,
            about / "METADATA": "Metadata-Version: 2.1\nName: my_design\nVersion: 1\n",
            about / "entry_points.txt": "[folioscope.designs]\nparity = my_design\n",
        }
        assert not old or sum(text.count(old) for text in texts.values()) == 1, "the guide has changed"
        for path, text in texts.items():
            path.write_text(text.replace(old, new) if old else text)
        return tmp_path

    return install


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(ROOT), str(folder)))
    env = {**os.environ, "PYTHONPATH": path, "FOLIOSCOPE_DATA": str(folder / "data")}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=280, check=False)


THREE = """
import json
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.plan import Limits, Plan
from engine.explore.worlds.subject import WorldSubject
from engine.runs.play import open_run, seal
from engine.recordings.shipped import demo
from engine.runs.replay import predict
from engine.scenario import Scenario
lock = [{"op": "lock"}, {"op": "hold", "mean_ns": 500}, {"op": "unlock"}]
groups = [{"name": "t", "tasks": 3, "repeat": 2, "program": lock}]
asked = Scenario.model_validate({
    "name": "foreign", "kernel": "6.1", "wait": {"design": "parity", "swap": True},
    "workload": {"kind": "tasks", "pages": 2, "groups": groups},
})
batches = list(open_run(asked).batches())
explorer = Explorer(WorldSubject(asked), Plan(promises=False))
found = answer(explorer, explorer.run(), Limits())
wakes, counts = predict(demo(), design="parity")
print(json.dumps({
    "queues": sorted({int(a) for b in batches for a, kind in zip(b.a, b.kind) if kind == 3}),
    "again": seal(open_run(asked).batches()) == seal(iter(batches)),
    "verdict": found["verdict"], "states": found["states"],
    "woken": sum(wake.woken for wake in wakes), "walked": sum(wake.walked for wake in wakes),
    "left": counts["waits_left_unseen"],
}))
"""


def test_given_a_foreign_design_when_timed_explored_and_replayed_then_it_works(
    installed: Install,
) -> None:
    done = run(installed(), THREE)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["queues"] == [1], "page 0, with the queues exchanged"
    assert told["again"]
    assert told["verdict"] == "Never"
    assert told["states"] > 100
    assert told["woken"] == 637, "as many tasks as the recording's kernel woke"
    assert told["walked"] > told["woken"], "strangers share the two queues"
    assert told["left"] == 0


SCANNER = """
from engine.events import PG_LOCKED
from engine.invariants import COUNTS
from engine.world.jit import inlined, jit
from engine.mm.frames import call_on
from engine.mm.steps import BLOCKED, LOCK_PAGE, UNLOCK_PAGE, own_steps
from engine.world.state import ASLEEP, NONE, World
from engine.world.trace import broken

SCAN, SCAN_SECOND, SCAN_BOTH, SCAN_HALF, SCAN_DONE = own_steps("wait", "parity")


@inlined
def _check(w: World, task: int, first: int, second: int) -> None:
    own = w.tasks.page[task] == 0 and w.tasks.second[task] == NONE and w.tasks.argument[task] == 0
    if not own or w.tasks.depth[task] or (w.pages.owner[0] == task) != first or (w.pages.owner[1] == task) != second:
        broken(w, task, 0, COUNTS)


@jit
def scan(w: World, task: int) -> int:
    call_on(w, task, LOCK_PAGE, SCAN_SECOND, 0, 1, 1)
    return 1


@jit
def scan_second(w: World, task: int) -> int:
    _check(w, task, 1, 0)
    call_on(w, task, LOCK_PAGE, SCAN_BOTH, 1, 0, 2)
    return 1


@jit
def scan_both(w: World, task: int) -> int:
    _check(w, task, 1, 1)
    call_on(w, task, UNLOCK_PAGE, SCAN_HALF, 0, NONE, 3)
    return 1


@jit
def scan_half(w: World, task: int) -> int:
    _check(w, task, 0, 1)
    call_on(w, task, UNLOCK_PAGE, SCAN_DONE, 1, NONE, 4)
    return 1


@jit
def scan_done(w: World, task: int) -> int:
    _check(w, task, 0, 0)
    w.tasks.step[task] = SCAN
    w.tasks.state[task] = ASLEEP
    return BLOCKED
"""
THREAD = """steps=("SCAN", "SCAN_SECOND", "SCAN_BOTH", "SCAN_HALF", "SCAN_DONE"),
    actors=(("scanner", "SCAN"),),
    rows=lambda"""
"""A kernel thread that locks two pages, woken whenever a task is about to queue."""
WOKEN = """) -> Any:
    scanner = w.rules.first_actor
    if task != scanner and w.tasks.state[scanner] == ASLEEP:
        make_ready(w, scanner, 1)
    return"""
SCANNED = """
import json
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.plan import Limits, Plan
from engine.explore.worlds.subject import WorldSubject
from engine.runs.play import open_run
from engine.scenario import Scenario
lock = [{"op": "pick"}, {"op": "lock"}, {"op": "unlock"}]
groups = [{"name": "t", "tasks": 2, "repeat": 1, "program": lock}]
asked = {
    "name": "foreign", "kernel": "6.1", "wait": {"design": "parity"},
    "workload": {"kind": "tasks", "pages": 2, "groups": groups},
}
told = {}
for symmetry in (False, True):
    subject = WorldSubject(Scenario.model_validate(asked))
    explorer = Explorer(subject, Plan(promises=False, reduction="symmetry" if symmetry else "none"))
    found = answer(explorer, explorer.run(), Limits())
    told[f"states {symmetry}"], told[f"verdict {symmetry}"] = found["states"], found["verdict"]
    told["columns"] = sorted(column.title for column in subject.columns if column.group == "frames")
groups[0] |= {"tasks": 8, "repeat": 50}
groups[0]["program"] = [lock[0], {"op": "lock"}, {"op": "hold", "mean_ns": 500}, {"op": "unlock"}]
batches = list(open_run(Scenario.model_validate(asked)).batches())
names = open_run(Scenario.model_validate(asked)).cast.tasks
told["locked"] = sum(int(((b.kind == 1) & (b.task == 8)).sum()) for b in batches)
told["broken"] = sum(int((b.kind == 31).sum()) for b in batches)
told["actor"] = names[8].name
print(json.dumps(told))
"""


def test_given_a_kernel_thread_that_locks_two_pages_by_nested_calls_when_timed_and_explored_then_each_call_returns(
    installed: Install,
) -> None:
    folder = installed("rows=lambda", THREAD, steps=SCANNER)
    verbs = folder / "my_design" / "verbs.py"
    text = verbs.read_text().replace(") -> Any:\n    return", WOKEN)
    text = text.replace("import NONE, World", "import ASLEEP, NONE, World\nfrom engine.mm.wait_list import make_ready")
    assert WOKEN in text
    verbs.write_text(text)
    done = run(folder, SCANNED)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["verdict False"] == told["verdict True"] == "Never"
    assert told["states False"] / 2 <= told["states True"] < told["states False"]
    assert told["columns"] == ["frames.argument", "frames.kept", "frames.page", "frames.second", "frames.step"]
    assert told["actor"] == "scanner"
    assert told["broken"] == 0
    assert told["locked"] > 10
    assert told["locked"] % 2 == 0


def test_given_a_design_whose_unlock_calls_unlock_when_compiled_then_one_line_names_it(installed: Install) -> None:
    endless = SCANNER.replace("SCAN, SCAN_SECOND, SCAN_BOTH, SCAN_HALF, SCAN_DONE =", "(SCAN,) =").split("@jit")[:2]
    steps = "@jit".join(endless).replace("LOCK_PAGE, SCAN_SECOND", "UNLOCK_PAGE, SCAN")
    folder = installed("rows=lambda", 'steps=("SCAN",), unlock_step="SCAN", rows=lambda', steps=steps)
    done = run(
        folder, "import sys; sys.argv = ['warm']; import runpy; runpy.run_module('engine.warm', run_name='__main__')"
    )
    assert done.returncode == 1
    line = done.stderr.strip().splitlines()
    assert len(line) == 1, done.stderr
    assert line[0].startswith("folioscope: design 'parity', my_design: calls nest deeper than 8 frames at step ")


PAGE = """
from fastapi.testclient import TestClient
from app.main import create_app
from app.settings import Settings
from app.store import open_store
settings = Settings(workers=0)
client = TestClient(create_app(settings, open_store(settings)), base_url="http://127.0.0.1")
for path in ("/designs", "/"):
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text[:300])
    assert "parity" in answer.text, path
workload = {"kind": "recording", "recording": "demo"}
asked = {"scenario": {"name": "n", "wait": {"design": "parity"}, "workload": workload}}
answer = client.post("/api/v1/runs", json=asked)
assert answer.status_code == 201, answer.text
page = client.get(f"/r/{answer.json()['id']}")
assert page.status_code == 200 and "parity" in page.text
assert "parity" in [one["name"] for one in client.get("/api/v1/designs").json()]
asked["scenario"]["wait"]["bits"] = 8
answer = client.post("/api/v1/runs", json=asked)
assert answer.status_code == 422 and "bits" in answer.json()["field"], answer.text
"""


def test_given_a_foreign_design_when_the_server_starts_then_the_page_and_the_api_have_it(installed: Install) -> None:
    done = run(installed(), PAGE)
    assert done.returncode == 0, done.stderr


COMMAND = "import sys; sys.argv = ['folioscope', 'run', 'w1']; import app.cli; app.cli.main()"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("def flag_stale(", "def flag_stail(", "no function for the verb flag_stale(w, page, list, met)"),
        ("def queue_length(w: World, page: int)", "def queue_length(w: World, pfn: int)", "it must take (w, page)"),
        ('axis="wait"', 'axis="waits"', "no axis 'waits'; the axes are wait, truncate"),
        ("rows=lambda", 'steps=("LOOK",), rows=lambda', "no function look(w, task) in its module steps"),
        ("rows=lambda", 'lock_step="LOOK", rows=lambda', "lock_step is LOOK, which is not one of its steps"),
        ("CARD = Card(", "KARD = Card(", "the package has no CARD"),
        ("class Parity(Options)", "class Parity(Optional)", "cannot be imported: NameError"),
        ('name="parity"', 'name="hashed"', "its options need the field design: Literal['hashed']"),
        ('"parities": Parities', '"lists": Parities', "there is already a table 'lists'"),
        ("swap: I64 = number(0, 1)", "swap: I64", "Parities.swap: say what it holds"),
    ],
)
def test_given_a_damaged_design_when_loaded_then_one_line_names_the_file_and_what_is_missing(
    installed: Install, old: str, new: str, says: str
) -> None:
    done = run(
        installed(old, new), "import sys; sys.argv = ['folioscope', 'run', 'w1']; import app.cli; app.cli.main()"
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr, done.stderr
    line = done.stderr.strip().splitlines()
    assert len(line) == 1, done.stderr
    assert says in line[0]
    assert "my_design" in line[0]
