"""The plain search against what is known of every table, and against small cases that can be counted on fingers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.explore.plain import Model, explore
from tests.explore.plain_fair import avoids_eventually
from tests.explore.shelf import KNOWN, NAMES, table

KEYS = {"format", "name", "why", "vars", "procs", "final", "outcomes", "ranges", "symmetric", "fair", "eventually"}


def sums(*effects: str, guard: str = "1", **words: Any) -> dict[str, Any]:
    """Return a table of one process that does one step."""
    return {
        "vars": words,
        "procs": [{"name": "p", "start": "s", "steps": [{"at": "s", "guard": guard, "do": effects, "to": "-"}]}],
    }


def lines(*threads: list[str], **words: Any) -> dict[str, Any]:
    """Return a table where each process does its effects one by one."""
    return {
        "vars": words,
        "procs": [
            {
                "name": f"t{number}",
                "start": "0",
                "steps": [
                    {"at": str(at), "guard": "1", "do": [text], "to": str(at + 1) if at + 1 < len(thread) else "-"}
                    for at, text in enumerate(thread)
                ],
            }
            for number, thread in enumerate(threads)
        ],
    }


# --- the shelf ------------------------------------------------------------------------------------------------------


def test_each_table_is_known_and_each_known_one_is_there() -> None:
    assert len(NAMES) >= 44
    assert sorted(KNOWN) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_table_has_its_file_s_name_a_why_and_only_the_keys_of_the_format(name: str) -> None:
    read = table(name)
    assert (read["format"], read["name"]) == ("protocol-table/1", name)
    assert read["why"]
    assert set(read) <= KEYS
    assert all(set(proc) == {"name", "start", "steps"} for proc in read["procs"])
    assert all(set(step) == {"at", "guard", "do", "to"} for proc in read["procs"] for step in proc["steps"])


@pytest.mark.parametrize("name", [name for name in NAMES if "symmetric" in table(name)])
def test_given_symmetric_processes_when_compared_then_they_differ_in_name_only(name: str) -> None:
    procs = {proc["name"]: (proc["start"], proc["steps"]) for proc in table(name)["procs"]}
    for group in table(name)["symmetric"]:
        assert len(group) > 1
        assert all(procs[one] == procs[group[0]] for one in group)


@pytest.mark.parametrize("name", NAMES)
def test_given_a_table_when_searched_then_it_does_what_is_known(name: str) -> None:
    known, counts = dict(KNOWN[name]), explore(table(name))
    found: dict[str, Any] = {
        "source": known["source"],
        "deadlocks": counts.deadlock_states > 0,
        "asserts": counts.assert_failures > 0,
        "final_broken": counts.final_violations > 0,
    }
    if "outcomes" in table(name):
        known["outcomes"].sort()
        found["outcomes"] = sorted(map(list, counts.outcomes))
        assert sum(counts.outcomes.values()) == counts.final_states
    if "eventually" in table(name):
        found["eventually_broken"] = avoids_eventually(table(name))
    found |= {key: getattr(counts, key) for key in ("states", "schedules", "traces") if key in known}
    assert found == known
    errors = (counts.deadlock_states, counts.assert_failures, counts.final_violations)
    assert (counts.shortest_error is None) == (errors == (0, 0, 0))


# --- counting -------------------------------------------------------------------------------------------------------


def test_given_two_steps_to_the_same_state_when_counted_then_they_are_two_edges_and_two_schedules() -> None:
    twice = sums("x = 1", x=0)
    twice["procs"][0]["steps"] *= 2
    counts = explore(twice)
    assert (counts.states, counts.edges, counts.schedules, counts.traces) == (2, 2, 2, 2)


def test_given_a_way_back_when_counted_then_there_are_no_schedules() -> None:
    loop = sums("x = 1", x=0)
    loop["procs"][0]["steps"][0]["to"] = "s"
    counts = explore(loop)
    assert (counts.states, counts.edges, counts.schedules, counts.traces) == (2, 2, None, None)


def test_given_strangers_when_counted_then_all_their_schedules_are_one_trace() -> None:
    counts = explore(lines(["x = 1", "x = 2"], ["y = 1", "y = 2"], x=0, y=0))
    assert (counts.states, counts.edges, counts.schedules, counts.traces) == (9, 12, 6, 1)


def test_given_readers_only_when_counted_then_they_are_strangers() -> None:
    counts = explore(lines(["a = x"], ["b = x"], a=0, b=0, x=0))
    assert (counts.schedules, counts.traces) == (2, 1)


def test_given_two_elements_of_one_array_when_counted_then_the_grain_decides() -> None:
    pair = lines(["a[0] = 1"], ["a[1] = 1"], a=[0, 0])
    assert explore(pair).traces == 1
    assert explore(pair, grain="variable").traces == 2


def test_given_an_index_set_in_the_same_step_when_counted_then_the_element_it_ends_up_at_is_meant() -> None:
    late = lines(["i = 1"], ["a[1] = 7"], a=[0, 0], i=0)
    late["procs"][0]["steps"][0]["do"] = ["i = 1", "a[i] = 5"]
    assert explore(late).traces == 2


def test_given_a_name_that_is_skipped_when_counted_then_it_is_read_all_the_same() -> None:
    assert explore(lines(["x = 1 || y"], ["y = 1"], x=0, y=0)).traces == 2


def test_given_a_failed_assertion_when_searched_then_it_is_counted_and_the_search_goes_on() -> None:
    counts = explore(lines(["assert(x == 1)", "x = 2"], x=0))
    assert (counts.states, counts.assert_failures, counts.shortest_error, counts.final_states) == (3, 1, 1, 1)


def test_given_two_failed_assertions_in_one_step_when_counted_then_the_edge_counts_once() -> None:
    assert explore(sums("assert(x)", "assert(!1)", x=0)).assert_failures == 1


def test_given_a_process_that_cannot_go_on_when_searched_then_it_is_a_deadlock_though_another_has_ended() -> None:
    counts = explore({"vars": {"x": 0}, "procs": [*sums("x = 0")["procs"], *sums(guard="x")["procs"]]})
    assert (counts.states, counts.deadlock_states, counts.final_states, counts.shortest_error) == (2, 1, 0, 1)


def test_given_a_broken_end_when_searched_then_depth_and_shortest_error_are_its_distance() -> None:
    counts = explore(lines(["x = 1", "x = 2"], x=0) | {"final": "x == 1", "outcomes": ["x"]})
    assert (counts.final_violations, counts.depth, counts.shortest_error, counts.outcomes) == (1, 2, 2, {(2,): 1})


# --- expressions ----------------------------------------------------------------------------------------------------

A, B = -7, 3
GREATEST, LEAST = 2**63 - 1, -(2**63)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a / b", -2),
        ("a % b", -1),
        ("7 / -b", -2),
        ("7 % -b", 1),
        ("-a / b", 2),
        ("1 | 6 ^ 3 & 5", 7),
        ("1 << 2 + 1", 8),
        ("10 - 4 - 3", 3),
        ("2 + 3 * 4 % 5", 4),
        ("3 > 2 > 1", 0),
        ("1 & 2 == 2", 1),
        ("1 || 0 && 0", 1),
        ("5 && -3", 1),
        ("!5 + !0", 1),
        ("!!5", 1),
        ("- -b", 3),
        ("~a", 6),
        ("-8 >> 1", -4),
        ("0x1F & 0xA", 10),
        ("c[c[0] + 1]", 40),
        ("9223372036854775807 + 1", LEAST),
        ("-9223372036854775807 - 2", GREATEST),
        ("9223372036854775807 * 2", -2),
        ("(-9223372036854775807 - 1) / -1", LEAST),
        ("(-9223372036854775807 - 1) % -1", 0),
        ("1 << 63", LEAST),
        ("0xFFFFFFFFFFFFFFFF", -1),
        ("0 && 1 / 0", 0),
        ("1 || c[9]", 1),
    ],
)
def test_given_an_expression_when_evaluated_then_it_is_what_c_gives(text: str, value: int) -> None:
    model = Model(sums(a=A, b=B, c=[1, 20, 40]))
    assert model.expression(text)(model.start) == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1 / x", "division by zero"),
        ("x = 1 % x", "division by zero"),
        ("x = c[2]", "index out of range"),
        ("c[x - 1] = 1", "index out of range"),
        ("x = 1 << 64", "a shift by 64"),
        ("x = y", "no variable 'y'"),
        ("x = c", "c is an array"),
        ("x[0] = 1", "x is no array"),
        ("x = (1", "expected"),
        ("x = 1 2", "left over"),
        ("x = 1 ? 2", "not an expression"),
        ("x = 5", "leaves its range"),
    ],
)
def test_given_an_effect_that_cannot_be_when_searched_then_it_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        explore(sums(text, x=0, c=[0, 0]) | {"ranges": {"x": [0, 4]}})


def test_given_a_step_to_nowhere_when_read_then_it_is_refused() -> None:
    astray = sums("x = 1", x=0)
    astray["procs"][0]["steps"][0]["to"] = "nowhere"
    with pytest.raises(ValueError, match="no step is at 'nowhere'"):
        explore(astray)
