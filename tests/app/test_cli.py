"""The command line: what each subcommand prints, and how it refuses: one line, an exit code, no traceback."""

from __future__ import annotations

import io
import itertools
import json
import logging
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

from app import cli
from app.commands.exploring import subject_of
from engine.explore.search.explorer import Explorer
from engine.explore.search.saving import save
from engine.recordings.shipped import shipped_recordings

SCENARIO = """
name = "two tasks on one page"
[workload]
kind = "tasks"
pages = 2
[[workload.groups]]
name = "locker"
tasks = 2
program = [
  { op = "think", mean_ns = 500 }, { op = "pick" }, { op = "lock" }, { op = "hold", mean_ns = 900 }, { op = "unlock" }
]
[limits]
events = 2000
"""

TABLES = Path(__file__).parents[1] / "explore" / "tables"
PETERSON = TABLES / "peterson.toml"
DEMO = shipped_recordings()["demo"]


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value


Folio = Callable[..., Said]


@pytest.fixture
def folio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Folio]:
    """Call the command in this process, on a data folder of its own."""
    monkeypatch.setenv("FOLIOSCOPE_DATA", str(tmp_path / "data"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    root = logging.getLogger()
    logs = (list(root.handlers), root.level)

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["folioscope", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return Said(int(left.value.code or 0), said.out, said.err)

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)
    root.handlers[:], root.level = logs


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(SCENARIO)
    return path


def test_given_the_command_when_imported_then_neither_engine_nor_server_is_loaded() -> None:
    program = "import sys, app.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numba", "numpy", "fastapi", "sqlalchemy", "uvicorn", "pydantic", "rich"} & set(loaded)


def test_given_any_subcommand_when_its_options_are_read_then_json_is_one_of_them() -> None:
    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    assert set(commands) == {
        "serve",
        "run",
        "import",
        "replay",
        "explore",
        "matrix",
        "list",
        "verify",
        "version",
        "warm",
    }
    for name, command in commands.items():
        assert "--json" in [option for parameter in command.params for option in parameter.opts], name


def test_given_a_scenario_when_run_twice_then_both_have_the_same_seal(folio: Folio, scenario: Path) -> None:
    first, second = folio("run", scenario, "--json", "--tag", "a"), folio("run", scenario)
    assert (first.code, first.json["state"], first.json["events"]) == (0, "done", 2000)
    assert second.code == 0
    assert f"seal {first.json['seal']}" in second.out.splitlines()
    listed = folio("list", "--json").json["runs"]
    assert [run["seal"] for run in listed] == [first.json["seal"]] * 2
    assert listed[1]["tags"] == ["a"]
    assert first.json["id"] in folio("list").out


def test_given_a_scenario_as_json_when_read_from_standard_input_then_it_is_played(
    folio: Folio, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tomllib

    class Input:
        buffer = io.BytesIO(json.dumps(tomllib.loads(SCENARIO)).encode())

    monkeypatch.setattr(sys, "stdin", Input)
    assert folio("run", "-", "--json").json["seal"] == folio("run", scenario, "--json").json["seal"]


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = inf", "name must be a string"),
        ('name = "a"\nname = "b"\n', "line 2"),
        ("= 1", "line 1"),
        ('name = "a"\n[workload]\nkind = "tasks"\npages = nan', "workload.pages must be an integer"),
        ('name = "a"\n[workload]\nkind = "tasks"\npags = 1', "did you mean 'pages'"),
        ("name = 1979-05-27", "name must be a string"),
        ("[[a]]\n" * 100_000, "a is not a known field"),
        ("#" * (1 << 20) + "\n#", "1048576 bytes"),
        ("__proto__ = 1\n__class__ = 2", "__proto__ is not a known field"),
        ("a = " + "[" * 5_000, "too deep"),
        ('name = "a"\n[wait]\ndesign = "foo"', "wait.design is 'foo'"),
    ],
    ids=range(11),
)
def test_given_a_file_that_is_no_scenario_when_run_then_it_is_refused_in_one_line(
    folio: Folio, tmp_path: Path, text: str, words: str, as_json: bool
) -> None:
    (tmp_path / "bad.toml").write_text(text)
    said = folio("run", tmp_path / "bad.toml", *(["--json"] if as_json else []))
    assert (said.code, said.out) == (2, "")
    assert len(said.err.splitlines()) == 1
    told = json.loads(said.err)["detail"] if as_json else said.err
    assert words in told
    assert not (tmp_path / "data").exists()


def test_given_a_table_when_explored_then_the_answer_is_never_or_a_schedule_that_replays(folio: Folio) -> None:
    never = folio("explore", PETERSON, "--json").json
    assert (never["verdict"], never["states"], never["edges"], never["schedule"]) == ("Never", 26, 44, None)
    assert never["bounds"]["complete"]
    said = folio("explore", PETERSON).out
    assert "peterson: Never" in said
    assert "search bfs, reduction none, processes 2" in said
    race = TABLES / "w1_wait_once.toml"
    broken = folio("explore", race, "--json").json
    assert (broken["verdict"], broken["error"]) == ("Sometimes", "assertion")
    assert f"schedule: {broken['schedule']}" in folio("explore", race).out
    played = folio("replay", race, "--schedule", broken["schedule"], "--json").json
    assert (played["steps"], len(played["broken"])) == (broken["shortest_error"], 1)
    assert "assert(wb == 0) does not hold" in folio("replay", race, "--schedule", broken["schedule"]).out
    assert "active proctype p0_p0()" in folio("explore", PETERSON, "--export", "promela").out
    assert folio("explore", PETERSON, "--export", "dot").out.startswith('digraph "peterson" {')
    for form, begins in {"text": "w1_wait_once", "itf": '{"#meta"', "shiviz": 'cpu1 {"', "dot": "digraph"}.items():
        assert folio("replay", race, "--schedule", broken["schedule"], "--export", form).out.startswith(begins)


def test_given_a_search_cut_by_a_limit_when_asked_again_then_it_goes_on_from_its_checkpoint(
    folio: Folio, tmp_path: Path
) -> None:
    asked = ("explore", TABLES / "naive_attach_two.toml", "--checkpoint", tmp_path / "search", "--json")
    cut = folio(*asked, "--states", "50000").json
    assert (cut["bounds"]["stopped_by"], cut["bounds"]["complete"]) == ("states", False)
    assert (tmp_path / "search").exists()
    whole = folio(*asked).json
    straight = folio(*asked).json
    assert whole["states"] == 168_700
    for found in (whole, straight):
        found["bounds"] |= {"seconds": 0, "memory_bytes": 0}
    assert whole == straight
    assert not (tmp_path / "search").exists()
    (tmp_path / "search").write_text("something else")
    assert folio(*asked).code == 2
    assert (tmp_path / "search").read_text() == "something else"


def test_given_a_checkpoint_older_than_the_limit_of_time_when_taken_up_then_promises_are_looked_at(
    folio: Folio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.explore.search.liveness.TURN", 2)  # such a table is done within one turn
    table = TABLES / "ticket_lock_turns.toml"
    before = Explorer(subject_of(cli.to_explore(table)))
    before.run()
    before.seconds = 1_000.0
    save(before, tmp_path / "search")
    found = folio("explore", table, "--checkpoint", tmp_path / "search", "--seconds", "100", "--json").json
    assert (found["verdict"], found["liveness"]["holds"]) == ("Never", True)


def test_given_a_limit_of_time_when_it_is_over_before_shrinking_then_that_says_so(
    folio: Folio, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0, 1_000_000)
    monkeypatch.setattr("app.commands.exploring.time.monotonic", lambda: float(next(clock)))
    found = folio("explore", TABLES / "w1_wait_once.toml", "--shrink", "--json").json
    assert (found["error"], found["shrunk"]["stopped_by"], found["shrunk"]["dropped"]) == ("assertion", "time", [])


def test_given_states_known_by_their_hash_then_the_bounds_say_so(folio: Folio) -> None:
    said = folio("explore", PETERSON, "--compact").out
    assert "hash compaction (64-bit hash): a state missed with probability 2e-17" in said
    assert folio("explore", PETERSON, "--compact", "--search", "dfs").code == 2


def test_given_a_promise_that_is_broken_then_the_lasso_is_told(folio: Folio) -> None:
    said = folio("explore", TABLES / "after_you.toml").out
    assert "after_you: Sometimes (starvation)" in said
    assert "schedule: a, then forever b.a/" in said


def test_given_a_finding_when_shrunk_then_what_it_does_not_need_is_left_out(folio: Folio, tmp_path: Path) -> None:
    race = tmp_path / "race.toml"
    away = '[[procs]]\nname = "away"\nstart = "s"\nsteps = [{ at = "s", to = "-" }]\n'
    race.write_text((TABLES / "w1_wait_once.toml").read_text() + away)
    small = folio("explore", race, "--shrink", "--json").json["shrunk"]
    assert small["states"] > small["tries"] > len(small["dropped"])
    assert "process away" in small["dropped"]
    assert "away" not in [process["name"] for process in small["subject"]["procs"]]
    assert "assert(wb == 0) does not hold" in folio("replay", race, "--schedule", small["schedule"]).out
    assert f"schedule: {small['schedule']}" in folio("explore", race, "--shrink").out
    assert folio("explore", PETERSON, "--shrink", "--json").json["shrunk"] is None


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", "no-such-preset"), 2, "known presets: demo"),
        (("run",), 2, "Missing argument"),
        (("nope",), 2, "No such command"),
        (("list", "--state", "gone"), 2, "known states: queued"),
        (("list", "--size", "0"), 2, "size"),
        (("import", "/nowhere"), 2, "there is no file"),
        (("import", sys.executable), 2, "program"),
        (("replay", "ffffffffffff"), 2, "no file or recording"),
        (("replay", "demo", "--design", "foo"), 2, "known: hashed, page_wait"),
        (("replay", "demo", "--kernel", "2.6"), 2, "known: 4.13"),
        (("replay", "demo", "--bits", "21"), 2, "bits"),
        (("replay", "demo", "--truth", "/nowhere"), 2, "there is no file"),
        (("explore", "/nowhere"), 2, "there is no file"),
        (("explore", sys.executable), 2, "a table"),
        (("explore", PETERSON, "--search", "wide"), 2, "--search must be one of bfs, dfs, random, pct"),
        (("explore", PETERSON, "--reduction", "half"), 2, "--reduction must be one of none, por, symmetry, all"),
        (("explore", PETERSON, "--preemptions", "2", "--reduction", "por"), 2, "preemptions"),
        (("explore", PETERSON, "--export", "tla"), 2, "--export must be one of promela"),
        (("replay", PETERSON, "--schedule", "z"), 2, "names no process"),
        (("replay", PETERSON, "--schedule", "a", "--export", "pdf"), 2, "must be one of text, itf, shiviz, dot"),
        (("replay", "demo", "--export", "itf"), 2, "add --schedule"),
        (("replay", PETERSON, "--schedule", "a2.b2.a.b9"), 2, "schedule: step 5, p0 at"),
        (("serve", "--host", "0.0.0.0"), 2, "FOLIOSCOPE_TOKEN"),
        (("serve", "--host", "::"), 2, "FOLIOSCOPE_TOKEN"),
        (("serve", "--port", "70000"), 2, "port"),
        (("serve", "--host", "no.such.host.invalid"), 2, "FOLIOSCOPE_TOKEN"),
        (("serve", "--workers", "-1"), 2, "workers"),
    ],
)
def test_given_a_wrong_call_when_made_then_one_line_says_what_would_be_right(
    folio: Folio, words: tuple[str, ...], code: int, told: str
) -> None:
    said = folio(*words)
    assert said.code == code
    assert told in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("FOLIOSCOPE_PROT", "1", "did you mean FOLIOSCOPE_PORT"),
        ("FOLIOSCOPE_PORT", "many", "FOLIOSCOPE_PORT"),
        ("FOLIOSCOPE_TOKEN", "short", "FOLIOSCOPE_TOKEN"),
    ],
)
def test_given_a_setting_that_does_not_fit_when_started_then_it_is_named(
    folio: Folio, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    said = folio("list")
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert told in said.err
    assert variable == "FOLIOSCOPE_PORT" or value not in said.err


def test_given_a_port_that_is_taken_when_served_then_one_line_says_so(folio: Folio) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = folio("serve", "--port", taken.getsockname()[1])
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "is taken" in said.err
    assert "--port" in said.err


def _foreign(folder: Path) -> None:
    (folder / "folioscope.db").write_text("a diary, not a database\n" * 100)


def _of_another_program(folder: Path) -> None:
    with sqlite3.connect(folder / "folioscope.db") as connection:
        connection.execute("CREATE TABLE diary (day TEXT)")
    connection.close()


def _a_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("no folder")


@pytest.mark.parametrize("spoil", [_foreign, _of_another_program, _a_file])
def test_given_a_data_folder_that_is_not_ours_when_served_then_one_line_names_it_and_the_remedy(
    folio: Folio, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    (tmp_path / "data").mkdir()
    spoil(tmp_path / "data")
    said = folio("serve", "--port", "0")
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "FOLIOSCOPE_DATA" in said.err
    assert "Traceback" not in said.err


def test_given_a_database_of_a_newer_version_when_served_then_one_line_says_so(folio: Folio, tmp_path: Path) -> None:
    folio("list")
    with sqlite3.connect(tmp_path / "data" / "folioscope.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    said = folio("serve", "--port", "0")
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "newer schema" in said.err


def test_given_a_recording_when_imported_then_its_report_is_told_and_it_can_be_played(
    folio: Folio, tmp_path: Path, scenario: Path
) -> None:
    told = folio("import", DEMO.trace, "--json").json
    assert told["id"] == told["sha256"][:12]
    assert told["report"]["bad_lines"] == 0
    assert f"recording {told['id']}" in folio("import", DEMO.trace).out
    workload = {"kind": "recording", "recording": told["id"]}
    (tmp_path / "it.json").write_text(json.dumps({"name": "it", "workload": workload}))
    (tmp_path / "demo.json").write_text(json.dumps({"name": "it", "workload": {**workload, "recording": "demo"}}))
    seals = {folio("run", tmp_path / name, "--json").json["seal"] for name in ("it.json", "demo.json")}
    assert len(seals) == 1


def test_given_stored_runs_when_verified_then_damage_is_told_by_exit_code_and_place(
    folio: Folio, tmp_path: Path, scenario: Path
) -> None:
    ids = [folio("run", scenario, "--json").json["id"] for _ in range(2)]
    sound = folio("verify", "all", "--json")
    assert (sound.code, [run["sound"] for run in sound.json["runs"]]) == (0, [True, True])
    with sqlite3.connect(tmp_path / "data" / "folioscope.db") as connection:
        connection.execute("UPDATE chunks SET data = substr(data, 2) WHERE run_id = ?", ids[:1])
    connection.close()
    damaged = folio("verify", ids[0])
    assert damaged.code == 1
    assert f"chunk 0 of run {ids[0]}" in damaged.out
    assert folio("verify", ids[1]).code == 0
    assert folio("verify", "0" * 12).code == 2


def test_given_the_demo_and_its_truth_when_replayed_then_every_wake_is_foretold(folio: Folio) -> None:
    told = folio("replay", DEMO.trace, "--truth", DEMO.truth, "--json").json
    figures = ("walked", "passes", "matched", "woken", "stop", "order")
    assert told["wakes"] > 100
    assert [told[f"{figure}_equal"] for figure in figures] == [told["wakes"]] * 6


def test_given_another_design_when_replayed_then_its_own_walks_are_told(folio: Folio) -> None:
    few, many, own = (
        folio("replay", "demo", *words, "--json").json
        for words in (("--bits", "1"), ("--bits", "12"), ("--design", "page_wait"))
    )
    assert few["strangers"] > many["strangers"] >= own["strangers"] == 0
    assert few["woken"] == many["woken"] == own["woken"]


@pytest.mark.parametrize(
    ("threshold", "code"),
    [("nonsense>0", 3), ("woken>=0", 0), ("walked/woken<=1000", 0), ("longest_walk<0", 3), ("walked/broken<=1", 3)],
)
def test_given_a_threshold_when_a_run_crosses_it_then_the_exit_code_says_so(
    folio: Folio, scenario: Path, threshold: str, code: int
) -> None:
    said = folio("run", str(scenario), "--threshold", "woken>=0", "--threshold", threshold, "--json")
    if threshold == "nonsense>0":
        assert (said.code, "no figure is called 'nonsense'" in said.err) == (2, True)
        return
    assert said.code == code, said.err
    assert said.json["state"] == "done"
    assert (f"threshold crossed: {threshold}: it is " in said.err) == (code == 3)


def test_given_a_threshold_that_is_none_when_asked_for_then_nothing_is_run(folio: Folio, scenario: Path) -> None:
    said = folio("run", str(scenario), "--threshold", "woken is many")
    assert (said.code, said.out) == (2, "")
    assert "is no threshold" in said.err
    assert folio("list", "--json").json == {"runs": []}


def test_given_a_change_when_run_then_it_is_the_changed_scenario_that_is_run(folio: Folio, scenario: Path) -> None:
    said = folio("run", str(scenario), "--set", "wait.design=page_wait", "--set", "limits.events=500", "--json")
    assert said.json["events"] <= 500
    assert folio("list", "--json").json["runs"][0]["design"] == "page_wait"
    refused = folio("run", str(scenario), "--set", "wait.desing=page_wait")
    assert (refused.code, "did you mean 'design'?" in refused.err) == (2, True)
    assert folio("run", str(scenario), "--tag", "two words").code == 2


@pytest.mark.parametrize(
    ("asked", "code"),
    [(["peterson"], 0), (["lost_increment"], 3), (["peterson", "--states", "3"], 4)],
)
def test_given_a_search_when_its_verdict_is_wanted_as_exit_code_then_it_is(
    folio: Folio, asked: list[str], code: int
) -> None:
    assert folio("explore", *asked, "--exit-code", "--json").code == code
    assert folio("explore", *asked).code == 0, "without the option, a finding is no failure"


def test_given_versions_when_asked_for_then_all_are_told(folio: Folio) -> None:
    assert set(folio("version", "--json").json) == {"folioscope", "engine", "event_format", "python"}
    assert folio("version").out.startswith("folioscope ")


def test_given_a_reader_that_has_left_when_told_something_then_there_is_no_traceback() -> None:
    command = f"{sys.executable} -m app.cli version --json | true"
    left = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in left.stderr
