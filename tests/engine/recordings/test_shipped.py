"""The shipped recordings: their headlines are those of their truth, and of a replay under each design."""

from __future__ import annotations

import re

import pytest

from engine.designs import DESIGNS
from engine.recordings.shipped import FOLDER, ShippedRecording, shipped_recordings
from engine.recordings.truth import read_truth
from engine.runs.replay import predict
from engine.scenario import Scenario

SHIPPED = list(shipped_recordings().values())
each = pytest.mark.parametrize("one", SHIPPED, ids=lambda one: one.name)


def test_given_the_folder_when_listed_then_it_holds_the_files_of_the_list_and_they_are_small() -> None:
    traces = {path.name for path in FOLDER.glob("*.gz")}
    assert traces == {path.name for one in SHIPPED for path in (one.trace, one.truth)}
    assert sum(path.stat().st_size for path in FOLDER.glob("*.gz")) < 400_000
    assert SHIPPED[0].name == "demo"


@each
def test_given_a_shipped_recording_when_its_truth_is_read_then_its_headline_is_the_truths(
    one: ShippedRecording,
) -> None:
    wakes = read_truth(one.truth)
    assert one.visited["hashed"] == sum(wake.walked for wake in wakes)
    assert one.visited["page_wait"] == sum(wake.matched for wake in wakes), "a queue per page and bit holds no other"
    assert one.woken == sum(wake.woken for wake in wakes)


@each
@pytest.mark.parametrize("design", ["hashed", "page_wait"])
def test_given_a_shipped_recording_when_replayed_then_its_headline_is_predicted(
    one: ShippedRecording, design: str
) -> None:
    wakes, _ = predict(one.read(), design=design)
    assert (sum(wake.walked for wake in wakes), sum(wake.woken for wake in wakes)) == (one.visited[design], one.woken)


@each
def test_given_a_shipped_recording_when_told_then_the_sentence_has_the_figures(one: ShippedRecording) -> None:
    figures = [int(word.replace(",", "")) for word in re.findall(r"\d[\d,]*(?![\d.,]*\d*\.)\b", one.result)]
    assert {one.woken, *one.visited.values()} <= set(figures)
    assert set(one.visited) <= set(DESIGNS)


@each
def test_given_a_shipped_recording_when_a_scenario_names_it_then_it_is_valid(one: ShippedRecording) -> None:
    workload = {"kind": "recording", "recording": one.name}
    assert Scenario.model_validate({"name": "n", "workload": workload}).profile == "as recorded"


def test_given_what_each_shows_when_compared_with_its_truth_then_it_is_so() -> None:
    """Strangers in the demo; waiters for another bit in the storm, which no number of queues separates; one page."""
    demo, storm, hot = (read_truth(one.truth) for one in SHIPPED)
    visits = [sum(wake.walked for wake in wakes) for wakes in (demo, storm, hot)]
    assert sum(wake.strangers for wake in demo) > visits[0] / 2
    assert sum(wake.other_bit for wake in storm) > 0.45 * visits[1] > 20 * sum(wake.strangers for wake in storm)
    assert sum(wake.matched for wake in hot) > 0.97 * visits[2]
    many, _ = predict(SHIPPED[1].read(), design="hashed", bits=16)
    assert sum(wake.walked for wake in many) > 0.98 * visits[1], "65,536 queues do not help"
