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

    def install(old: str = "", new: str = "") -> Path:
        card, columns, verbs = CODE
        package, about = tmp_path / "my_design", tmp_path / "my_design-1.dist-info"
        package.mkdir()
        about.mkdir()
        texts = {
            package / "__init__.py": f"{columns}\n{card}",
            package / "verbs.py": verbs,
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
from engine.explore.answers import answer
from engine.explore.explorer import Explorer
from engine.explore.plan import Limits, Plan
from engine.explore.worlds.subject import WorldSubject
from engine.play import open_run, seal
from engine.recordings.demo import demo
from engine.replay import predict
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
    assert told["woken"] == 642, "as many tasks as the recording's kernel woke"
    assert told["walked"] > told["woken"], "strangers share the two queues"
    assert told["left"] == 0


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
        ('axis="wait"', 'axis="waits"', "no axis 'waits'; there are wait, truncate"),
        ("rows=lambda", 'steps=("LOOK",), rows=lambda', "no function look(w, task) in its module steps"),
        ("rows=lambda", 'lock_step="LOOK", rows=lambda', "lock_step is LOOK, which is none of its steps"),
        ("CARD = Card(", "KARD = Card(", "the package has no CARD"),
        ("class Parity(Options)", "class Parity(Optional)", "cannot be imported: NameError"),
        ('name="parity"', 'name="hashed"', "its options need the field design: Literal['hashed']"),
        ('"parities": Parities', '"lists": Parities', "there is a table 'lists' already"),
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
