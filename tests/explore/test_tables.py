"""Tables that cannot be explored: each is refused in one line that says where and why, before anything is tried."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from engine.errors import UserError
from engine.explore.schedules import read, written
from engine.explore.search.explorer import Explorer
from engine.explore.tables.checking import checked, read_table
from engine.explore.tables.wording import BadTable
from tests.explore.shelf import table


def told(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = [{"at": "s", "to": "-", **step} for step in steps] or [{"at": "s", "to": "-"}]
    process = {"name": "p", "start": "s", "steps": given}
    return {"format": "protocol-table/1", "name": "bad", "vars": {"x": 0, "a": [0, 0]}, "procs": [process], **more}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (told({"guard": "y == 1"}), "line 19, procs[0].steps[0].guard: there is no variable 'y'"),
        (told({"guard": "x / 0 == 1"}), "a division by zero in 'x / 0 == 1'"),
        (told({"guard": "x % (2 - 2)"}), "a division by zero"),
        (told({"guard": "1 / x"}), "a division by zero in '1 / x', with the initial values of vars"),
        (told({"guard": "a[x - 1]"}), "a[-1] does not exist in 'a[x - 1]'"),
        (told({"guard": "x << 64"}), "a shift by 64 bits"),
        (told({"guard": "a[2] == 0"}), "a has elements 0 to 1"),
        (told({"guard": "a == 0"}), "a is an array: write a[i]"),
        (told({"guard": "x[0] == 0"}), "x is not an array: write it without [ ]"),
        (told({"guard": "x =="}), "a number, a name or a bracket is missing before the end"),
        (told({"guard": "(x"}), "')' is missing"),
        (told({"guard": "x ? 1 : 0"}), "'?' is not allowed in an expression"),
        (told({"guard": "(" * 100 + "x" + ")" * 100}), "more than 60 nested brackets and signs"),
        (told({"guard": "9223372036854775808"}), "does not fit into 64 bits (signed)"),
        (told({"do": ["x + 1"]}), "neither an assignment nor assert"),
        (told({"do": ["1 = x"]}), "cannot be assigned to"),
        (told({"to": "nowhere"}), "no step starts at 'nowhere': name a label, or '-' to end"),
        (told({"at": "-"}), "no step can start at '-'"),
        (told(procs=[{"name": "p", "start": "t", "steps": [{"at": "s", "to": "-"}]}]), "no step starts at 't'"),
        (told(final="z"), "final: there is no variable 'z'"),
        (told(outcomes=["z"]), "outcomes[0]: there is no variable 'z'"),
        (told(ranges={"z": [0, 1]}), "ranges.z: there is no such variable"),
        (told(ranges={"x": [1, 2]}), "the initial value is out of range"),
        (told(symmetric=[["p", "q"]]), "there is no process 'q'"),
        (told(eventually="x"), 'add fair = "weak"'),
        (told(colour="red"), "line 23, colour: is not a known key: the keys are format, name, why, vars, procs"),
        (told({"gard": "1"}), "line 19, procs[0].steps[0].gard: is not a known key: did you mean 'guard'?"),
        (told({"guard": True}), "line 19, procs[0].steps[0].guard: must be a string: put it in quotation marks"),
        (told({}, {"guard": "y"}), "line 23, procs[0].steps[1].guard: there is no variable 'y'"),
        (told({"do": "x = 1"}), "line 19, procs[0].steps[0].do: is not a list: put it in [ ]"),
        (told({"do": ["x += 1"]}), "'+=' is not supported in 'x += 1': write x = x + 1"),
        (told({"do": ["x++"]}), "'++' is not supported"),
        (told(vars={"x": 1 << 63}), "line 5, vars.x: does not fit into a signed 64-bit integer"),
        (told(vars={"x": 0.5}), "line 5, vars.x: is neither a 64-bit integer nor a list of them"),
        (told(vars={"x": float("nan")}), "line 5, vars.x: is neither a 64-bit integer nor a list of them"),
        (told(vars={"2x": 1}), "line 5, vars.2x: is not a valid name"),
        (told(vars=None), "line 4, vars: is not an object"),
        (told(vars={"x": [0] * 600}), "vars.x: has more than 512 items: 600"),
        (told(ranges={"x": [3, 1]}), "line 24, ranges.x: 3 is more than 1: give the lower bound first"),
        (told(procs=[{"name": "p", "start": "-", "steps": [{"at": "s", "to": "-"}]}] * 2), "line 23, procs[1].name"),
        (
            told(procs=[{"name": f"p{i}", "start": "s", "steps": [{"at": "s", "to": "-"}]} for i in range(65)]),
            "procs: has more than 64 items: 65",
        ),
    ],
)
def test_given_a_bad_table_when_read_then_the_refusal_names_place_and_reason(bad: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError) as refused:
        read_table(json.dumps(bad, indent=1))
    said = str(refused.value)
    assert "\n" not in said
    assert reason in said
    assert reason.startswith("line") <= said.startswith(reason)


def test_given_a_million_processes_then_the_refusal_comes_at_once() -> None:
    one = {"name": "p", "start": "s", "steps": [{"at": "s", "to": "-"}]}
    began = time.process_time()
    with pytest.raises(UserError, match="more than 64 items"):
        checked(told(procs=[one] * 1_000_000))
    with pytest.raises(UserError, match="larger than 1048576 bytes: use a smaller one"):
        read_table(json.dumps(told(procs=[one] * 100_000)))
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "null", "\x00", '{"format": "x"}', "a = 1\na = 2", '{"a": 1, "a": 2}', "{" * 10_000]
)
def test_given_what_is_no_table_then_it_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as refused:
        read_table(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("effect", ["x = x + 1", "x = x - 1", "x = x * 2 + 1", "a[0] = a[0] + 3"])
def test_given_a_counter_without_bounds_then_it_is_refused_with_its_name_before_the_search(effect: str) -> None:
    name = effect[0]
    with pytest.raises(
        BadTable, match=rf"vars\.{name}: it reached .* bound it by a guard, wrap it with %, or give it a range"
    ):
        Explorer(checked(told({"do": [effect], "to": "s"})))


def test_given_a_wide_but_bounded_counter_then_it_is_explored() -> None:
    explorer = Explorer(checked(told({"do": ["x = (x + 1) % 5000"], "to": "s"}, ranges={"x": [0, 4999]})))
    assert (explorer.run(), explorer.found("").states) == ("", 5000)


def test_given_faults_while_searching_then_each_is_a_find_and_nothing_stops() -> None:
    bad = told({"guard": "x == 0", "do": ["x = 1"], "to": "s"}, {"guard": "x == 1", "do": ["a[x + 1] = 1 / (x - 1)"]})
    explorer = Explorer(checked(bad))
    explorer.run()
    found = explorer.found("")
    assert (found.faults, found.error, found.schedule and len(found.schedule)) == (1, "no value", 2)


def test_given_a_variable_that_leaves_its_range_then_that_is_an_error_found() -> None:
    explorer = Explorer(checked(told({"do": ["x = 7"]}, ranges={"x": [0, 3]})))
    explorer.run()
    found = explorer.found("")
    assert (found.range_failures, found.error, found.final_states) == (1, "range", 1)


def test_a_schedule_is_read_as_it_was_written() -> None:
    asked = checked(table("w1_wait_once"))
    word = "a.b3.c.c/1.a.c/1.c2"
    assert written(asked, read(asked, word)) == word


@pytest.mark.parametrize("word", ["z", "a/9", "a.b.!!", "a999999", "A", "a" * (1 << 21)])
def test_given_a_word_that_names_no_schedule_then_it_is_refused(word: str) -> None:
    with pytest.raises(UserError, match="schedule"):
        read(checked(table("w1_wait_once")), word)
