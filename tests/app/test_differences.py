"""Two runs compared: what is called better or worse, what is not, and what is folded away."""

from __future__ import annotations

import pytest

from app.differences import Basis, Difference, comparison, differences
from tests.app.test_figures import STORM

RECORDED = Basis(recorded=True)
DESIGNS = ("A (hashed, 256 queues)", "B (page_wait)")


def row(label: str, changed: dict[str, float | None], basis: Basis = RECORDED) -> Difference:
    """Return a row of the comparison of a run with one that has other figures."""
    return {row.label: row for row in differences(STORM, STORM | changed, basis)}[label]


def test_differences_tell_direction_by_sign_and_by_word() -> None:
    strangers = row("entries of other pages (strangers)", {"strangers": 0})
    assert (strangers.change, strangers.ratio, strangers.words) == ("−1,000", "−100 %", "fewer: better in B")
    wait = row("mean wait", {"wait_ns_mean": 3e6}, Basis())
    assert (wait.change, wait.ratio, wait.words) == ("+1.5 ms", "+100 %", "longer: worse in B")
    assert row("wake-ups", {}).words == "the same"


def test_given_fewer_wake_ups_for_the_same_tasks_then_nothing_is_worse() -> None:
    """One wake-up that found nobody made the demo's page_wait the worse design."""
    told = row("entries visited per task woken", {"wakes": 1_999})
    assert (told.a, told.b, told.words, told.same) == ("2.04", "2.04", "the same", True)
    assert row("wake-ups", {"wakes": 1_999}).words == "fewer in B"


def test_given_a_figure_is_missing_in_one_run_no_difference_is_made_up() -> None:
    assert row("p99 wait", {"wait_ns_p99": None}).words == "not in both runs"
    labels = {row.label for row in differences(STORM | {"wait_ns_p99": None}, STORM | {"wait_ns_p99": None})}
    assert "p99 wait" not in labels


@pytest.mark.parametrize("label", ["mean wait", "p99 wait", "max. wait", "max. tasks waiting", "tasks woken"])
def test_given_a_recording_then_what_it_fixes_is_not_called_measured(label: str) -> None:
    told = row(label, {})
    assert (told.words, told.same) == ("given by the recording", True)
    assert row(label, {}, Basis()).words == "the same"


@pytest.mark.parametrize(
    ("label", "changed", "noise"),
    [
        ("entries visited", {"walked": 10_000 + 285}, False),
        ("entries visited", {"walked": 10_000 + 284}, True),
        ("mean wait", {"wait_ns_mean": 1_510_000.0}, True),
        ("mean wait", {"wait_ns_mean": 1_600_000.0}, False),
        ("entries visited per task woken", {"walked": 10_040}, True),
    ],
)
def test_given_a_made_up_workload_then_nothing_is_better_or_worse_below_its_noise(
    label: str, changed: dict[str, float | None], noise: bool
) -> None:
    told = row(label, changed, Basis())
    assert told.same is noise
    assert ("in B" in told.words) is not noise
    assert row(label, changed, RECORDED).same is False, "a recording is replayed exactly: nothing in it is noise"


def test_given_visits_that_cost_nothing_then_times_are_not_called_better() -> None:
    assert row("mean wait", {"wait_ns_mean": 9e6}, Basis(free=True)).words == "visits cost no time in this scenario"


def test_given_runs_of_different_workloads_then_nothing_is_better_or_worse() -> None:
    assert row("entries visited", {"walked": 1}, Basis(comparable=False)).words == "not comparable"


def test_the_comparison_names_both_designs_and_what_each_visited() -> None:
    better = STORM | {"walked": 4_900, "strangers": 0, "other_bit": 0}
    assert comparison(STORM, better, DESIGNS, RECORDED) == (
        "A (hashed, 256 queues) visited 10,000 queue entries to wake 4,900 tasks (2.04 per task woken); B (page_wait) "
        "visited 4,900 queue entries to wake 4,900 tasks (1.00 per task woken): 51 % fewer visits per task woken in B."
    )
    assert comparison(better, better, DESIGNS, RECORDED).endswith("no difference, no visit was wasted.")
    assert comparison({}, STORM, DESIGNS).startswith("Nothing to compare")
