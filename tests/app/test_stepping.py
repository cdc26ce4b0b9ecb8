"""States by hand: in the server for tables, through a child that has the engine for worlds; and when it dies."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import stepping
from app.refusals import Refusal
from app.settings import load_settings
from app.stepping import Stepper
from app.subjects import Subject, read_subject
from engine.errors import UserError
from tests.app.explored import counters, lockers
from tests.explore.shelf import NAMES, table


@pytest.fixture(scope="module")
def stepper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stepper]:
    made = Stepper(load_settings(data=tmp_path_factory.mktemp("data")))
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child may have to compile the engine first."""
    monkeypatch.setattr(stepping, "ANSWER_S", 240.0)
    monkeypatch.setattr(stepping, "CHECK_S", 240.0)


def walked(stepper: Stepper, subject: Subject, most: int) -> list[dict[str, Any]]:
    """Return the states along the last step that can be made in each, from the start."""
    states = [stepper.state_at(subject, "")]
    while states[-1]["enabled"] and len(states) < most:
        states.append(stepper.state_at(subject, states[-1]["enabled"][-1]["word"]))
    return states


@pytest.mark.parametrize("name", NAMES[::12])
def test_given_a_table_when_stepped_then_back_leads_to_where_it_came_from(stepper: Stepper, name: str) -> None:
    states = walked(stepper, read_subject(table(name)), 12)
    for before, after in itertools.pairwise(states):
        assert after["back"] == before["word"]
        assert after["steps"] == before["steps"] + 1
        told = {one["name"]: one["value"] for one in before["values"]}
        changed = {one["name"] for one in after["values"] if one["value"] != told[one["name"]]}
        assert changed == {one["name"] for one in after["values"] if one["changed"]}
        assert sum(one["moved"] for one in after["places"]) == 1


def test_given_a_table_whose_ends_differ_when_stepped_to_them_then_each_is_named(stepper: Stepper) -> None:
    deadlock = walked(stepper, read_subject(counters(1, 2) | {"final": "c[0] == 2"}), 9)[-1]
    assert (deadlock["ending"], deadlock["enabled"]) == ("ended", [])
    final = walked(stepper, read_subject(counters(1, 2) | {"final": "c[0] == 3"}), 9)[-1]
    assert final["ending"] == "final"
    told = counters(1, 2)
    told["procs"][0]["steps"][0]["do"] = ["c[0] = 1 / c[0]"]
    fault = walked(stepper, read_subject(told), 9)[-1]
    assert (fault["ending"], fault["steps"]) == ("fault", 1)
    assert fault["broken"]


def test_given_a_world_when_stepped_then_the_child_tells_it_in_the_kernels_words(stepper: Stepper) -> None:
    states = walked(stepper, read_subject(lockers()), 60)
    assert states[-1]["ending"] == "ended"
    assert all(one["ended"] for one in states[-1]["places"])
    functions = {state["last"]["function"] for state in states[1:]}
    assert any("mm/filemap.c" in function for function in functions)
    flags = [one["value"] for state in states for one in state["values"] if one["name"] == "page 0: flags"]
    assert any("locked" in str(value) for value in flags)


@pytest.mark.parametrize("word", ["z", "a99", "a/7", "a..b", "A", "a" * 3_000])
def test_given_a_word_that_cannot_be_played_when_asked_for_then_it_is_refused(stepper: Stepper, word: str) -> None:
    for told in (table("abba"), lockers()):
        with pytest.raises((UserError, Refusal)):
            stepper.state_at(read_subject(told), word)


def test_given_a_schedule_when_exported_then_each_form_has_it(stepper: Stepper) -> None:
    for told in (table("abba"), lockers()):
        subject = read_subject(told)
        word = walked(stepper, subject, 4)[-1]["word"]
        for form in ("txt", "itf.json", "shiviz", "dot"):
            assert len(stepper.export(subject, form, word)) > 40, form
    assert stepper.export(read_subject(table("abba")), "pml", "").startswith("/* abba")


def test_given_a_child_that_is_killed_when_asked_again_then_another_answers(stepper: Stepper) -> None:
    subject = read_subject(lockers())
    before = stepper.state_at(subject, "a2")
    child = stepper._child
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert stepper.state_at(subject, "a2") == before
    assert stepper._child is not child


def test_given_a_child_that_is_late_when_asked_then_the_server_goes_on_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Stepper(load_settings(data=tmp_path))
    subject = read_subject(lockers())
    try:
        monkeypatch.setattr(stepping, "ANSWER_S", 0.01)
        monkeypatch.setattr(stepping, "CHECK_S", 0.01)
        late.refuse_unbounded(subject)
        with pytest.raises(Refusal) as refused:
            late.state_at(subject, "a")
        assert refused.value.status_code == 503
        monkeypatch.setattr(stepping, "ANSWER_S", 240.0)
        assert late.state_at(subject, "a")["word"] == "a"  # answers to what was given up are passed over
    finally:
        late.stop()


def test_given_a_child_that_reads_nothing_when_sent_more_than_a_pipe_takes_then_the_asker_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe takes 64 KiB: of the question that was given up one part is in it and the other has to follow."""
    stopped, small = Stepper(load_settings(data=tmp_path)), read_subject(lockers())
    told = counters(48, 9)
    for process in told["procs"]:
        process["steps"][0]["guard"] = " && ".join([process["steps"][0]["guard"]] * 150)
    large = read_subject(told)
    assert len(large.json) > 80 << 10
    before = stopped.state_at(small, "a2")
    child = stopped._child
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    try:
        monkeypatch.setattr(stepping, "CHECK_S", 0.3)
        asking = threading.Thread(target=stopped.refuse_unbounded, args=(large,), daemon=True)
        asking.start()
        asking.join(30)
        assert not asking.is_alive(), "the asker still writes"
        os.kill(child.pid, signal.SIGCONT)
        assert stopped.state_at(small, "a2") == before
        assert stopped._child is child
    finally:
        child.kill()
        stopped.stop()
