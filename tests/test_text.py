"""Text that users write: names, stories, tags. What cannot be seen is refused wherever it is written."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.asking import read_run_tags
from app.refusals import Refusal, visible
from app.subjects import read_subject
from app.uploads import recording_name
from engine.errors import UserError
from engine.scenario import Scenario
from engine.text import NAME_MAX, UNSEEN, lines, one_line
from tests.app.explored import counters, lockers

UNSEEN_ONES = ["\u202e", "\u2066", "\u200b", "\u0000", "\u001b", "\u2028", "\ue000", "\ufeff"]
ANY = st.text(max_size=300)


@pytest.mark.parametrize("char", UNSEEN_ONES)
@pytest.mark.parametrize("field", ["name", "story", "group"])
def test_given_a_scenario_with_an_unseen_character_then_it_is_refused(char: str, field: str) -> None:
    told = lockers()
    place = told["workload"]["groups"][0] if field == "group" else told
    place["name" if field == "group" else field] = f"a{char}b"
    with pytest.raises(ValidationError, match=f"U\\+{ord(char):04X}"):
        Scenario.model_validate(told)


@pytest.mark.parametrize("char", UNSEEN_ONES)
@pytest.mark.parametrize("place", [("name",), ("why",), ("procs", 0, "name"), ("procs", 1, "steps", 0, "guard")])
def test_given_a_table_with_an_unseen_character_then_it_is_refused_with_its_place(
    char: str, place: tuple[Any, ...]
) -> None:
    told: Any = counters(2, 1) | {"why": "because"}
    node = told
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] += char
    with pytest.raises(Refusal, match=f"U\\+{ord(char):04X}") as refused:
        read_subject(told)
    assert refused.value.status_code == 422
    assert str(place[-1]) in refused.value.field


@pytest.mark.parametrize("tag", [*(f"a{char}b" for char in UNSEEN_ONES), "a b", "a,b", "x" * 51])
def test_given_a_tag_that_no_run_can_have_then_it_is_refused(tag: str) -> None:
    with pytest.raises(UserError):
        read_run_tags([tag])
    with pytest.raises(UserError):
        read_run_tags([f"t{number}" for number in range(11)])
    assert read_run_tags(["b", "a", "b"]) == ["b", "a"]


def test_given_a_story_of_several_lines_then_it_stays_one() -> None:
    assert Scenario.model_validate(lockers(story="first\n\tsecond")).story == "first\n\tsecond"


def test_given_two_groups_of_one_name_then_they_are_refused() -> None:
    told = lockers()
    told["workload"]["groups"] *= 2
    with pytest.raises(ValidationError, match="two groups are named 'locker'"):
        Scenario.model_validate(told)


@given(text=ANY)
def test_given_any_text_when_taken_then_it_is_taken_again_as_it_is(text: str) -> None:
    for take in (one_line, lines):
        try:
            taken = take(text)
        except ValueError:
            continue
        assert take(taken) == taken
    assert len(recording_name(text)) <= NAME_MAX


@given(text=st.text(st.sampled_from("a\u0958\u202e\n/"), max_size=500))
def test_given_any_file_name_then_a_run_can_have_the_recordings_name(text: str) -> None:
    name = recording_name(text)
    assert Scenario.model_validate({"name": name, "workload": {"kind": "recording", "recording": "demo"}}).name == name


@given(text=ANY, most=st.integers(12, 300))
def test_given_any_text_when_shown_then_it_is_short_and_all_of_it_can_be_seen(text: str, most: int) -> None:
    told = visible(text, most)
    assert len(told) <= most
    assert not [char for char in told if unicodedata.category(char) in UNSEEN]
    if len(text) <= most and not [char for char in text if unicodedata.category(char) in UNSEEN]:
        assert told == text
