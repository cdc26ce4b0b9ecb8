"""The litmus tests' files: what they may say, what is expected of which design, and what is refused at start."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from engine.designs import DESIGNS
from engine.designs.card import Expected
from engine.explore.cases import KERNELS, ROWS, Row, cell, expected
from engine.kernels import KERNELS as PROFILES
from engine.litmus import FOLDER, LITMUS, read_litmus
from engine.scenario import Scenario

GOOD = """
name = "X-1"
title = "X-1 an example"
source = "litmus"
asks = "lost_wakeup"
programs = ["lock unlock"]

[[expected]]
verdict = "Sometimes"
designs = ["hashed"]
kernels = ["5.9"]

[[expected]]
verdict = "Never"
designs = ["hashed"]
rows = ["page_wait-early"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "x-1.toml"
    path.write_text(text)
    return path


def test_the_litmus_tests_are_those_that_the_debate_names() -> None:
    names = {name.split()[0] for name, test in LITMUS.items() if test.source.startswith("litmus")}
    assert names == {
        *(f"L-{n}" for n in range(1, 8)),
        "W-1",
        "W-2",
        *(f"GW-{n}" for n in range(1, 7)),
        "T-1",
        "T-2",
        "T-3",
        *(f"P-{n}" for n in range(1, 13)),
        *(f"K-{n}" for n in range(1, 5)),
        "M-1",
        "M-2",
        *(f"S-{n}" for n in range(1, 4)),
        *(f"A-{n}" for n in range(1, 4)),
    }
    assert len(LITMUS) == sum(len(list(read_litmus(path))) for path in FOLDER.glob("*.toml")), "two have one name"


@pytest.mark.parametrize("name", LITMUS)
def test_given_a_litmus_test_when_its_cells_are_built_then_each_is_a_scenario_that_can_be_played(name: str) -> None:
    cells = [cell(row, name, "6.1") for row in ROWS]
    assert any(cells), "it makes sense of no design"
    for one in cells:
        if one is not None:
            Scenario.model_validate(one.subject)


def test_given_what_the_files_expect_when_compared_then_every_design_row_and_kernel_exists() -> None:
    for name, test in LITMUS.items():
        for rule in test.expected:
            assert set(rule.designs) <= set(DESIGNS), name
            assert set(rule.rows) <= set(ROWS), name
            assert rule.verdict in {"Never", "Sometimes", "unknown"}
    for card in DESIGNS.values():
        for rule in card.expected:
            assert set(rule.tests) <= set(LITMUS), card.name
            assert set(rule.kernels) <= set(PROFILES), card.name


def test_given_a_file_when_read_then_the_first_rule_that_names_row_and_kernel_counts(tmp_path: Path) -> None:
    (test,) = read_litmus(written(tmp_path, GOOD))
    told = {(row, kernel): expected(test, ROWS[row], kernel) for row in ROWS for kernel in ("5.9", "6.1")}
    assert {told["hashed", "5.9"], told["hashed-compare", "5.9"]} == {"Sometimes"}
    assert {told["hashed", "6.1"], told["page_wait-early", "5.9"]} == {"Never"}
    named = {"hashed", "hashed-compare", "hashed-raw_null", "page_wait-early"}
    assert {verdict for (row, _), verdict in told.items() if row not in named} == {None}


def test_given_a_design_that_no_file_names_when_asked_then_it_is_unknown_but_for_what_its_card_expects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = replace(DESIGNS["hashed"], name="new", expected=())
    monkeypatch.setitem(DESIGNS, "new", card)
    row = Row("new", "a new design", {"wait": {"design": "new"}, "truncate": {"design": "helper"}}, card)
    assert {expected(test, row, kernel) for test in LITMUS.values() for kernel in KERNELS} == {None}
    rules = (Expected("unknown", tests=("L-1",), kernels=("6.1",)), Expected("Never", tests=("L-1", "L-5")))
    row = row._replace(card=replace(card, expected=rules))
    told = {(name, kernel) for name, test in LITMUS.items() for kernel in KERNELS if expected(test, row, kernel)}
    assert told == {(name, kernel) for name in ("L-1", "L-5") for kernel in KERNELS} - {("L-1", "6.1")}


@pytest.mark.parametrize(
    ("sound", "wrong", "says"),
    [
        ('asks = "lost_wakeup"', 'asks = "lost_wakeups"', "neither an invariant nor a witness"),
        ('title = "X-1 an example"\n', "", "needs a name and a title"),
        ('kernels = ["5.9"]', 'kernels = ["5.99"]', "no kernel profile '5.99'"),
        ('verdict = "Never"', 'verdict = "never"', "'Never', 'Sometimes' or 'unknown'"),
        ('designs = ["hashed"]\nrows = ["page_wait-early"]', "", "names neither designs nor rows"),
        ('source = "litmus"', 'source = "litmus"\nonly = "hashed"', "'swaps', 'shares' or 'woken'"),
        ("programs = [", "program = [", "programs"),
        ('asks = "lost_wakeup"', "asks = ", "Invalid value"),
    ],
)
def test_given_a_file_that_says_something_wrong_when_read_then_it_is_named_with_what_is_wrong(
    tmp_path: Path, sound: str, wrong: str, says: str
) -> None:
    assert GOOD.count(sound) == 1
    path = written(tmp_path, GOOD.replace(sound, wrong))
    with pytest.raises(ValueError, match="^" + re.escape(f"{path}: ")) as refused:
        list(read_litmus(path))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
