"""A story for others' tools: each form is read back, and says what the story says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from engine.explore.clocks import ordered
from engine.explore.dot import graph_dot, graph_of
from engine.explore.exports import EXPORTS, SHIVIZ_PARSER
from engine.explore.story import Story, story_of_table
from engine.explore.tables.checking import checked
from engine.explore.tables.wording import BadTable
from tests.explore import plain
from tests.explore.shelf import LONG, NAMES, table, walk

BAD = 'a"}\\ {\n\x1b\u202e</script> b'
SOME = ("peterson_broken_order", "dining_4", "c_arithmetic", "bounded_buffer", "naive_attach_two")


def told(name: str, length: int = 40, seed: int = 1) -> Story:
    asked = checked(table(name))
    return story_of_table(asked, walk(asked, length, seed))


def nasty() -> Story:
    """Every word that a user may choose has what means something to some format."""
    steps = [
        {"at": BAD, "do": ["x = 9007199254740993", f"assert(x == 0{' ' * 3})"], "to": BAD + "2"},
        {"at": BAD + "2", "guard": "0", "to": "-"},
    ]
    procs = [{"name": name, "start": BAD, "steps": steps} for name in (BAD, BAD + " ")]
    asked = checked({"format": "protocol-table/1", "name": BAD, "why": BAD, "vars": {"x": 0}, "procs": procs})
    return story_of_table(asked, [asked.processes[0].steps[0], asked.processes[1].steps[0]])


def looping() -> Story:
    asked = checked(
        {
            "format": "protocol-table/1",
            "name": "loop",
            "vars": {"x": 0},
            "procs": [
                {
                    "name": "p",
                    "start": "once",
                    "steps": [
                        {"at": "once", "do": ["x = 1"], "to": "here"},
                        {"at": "here", "do": ["x = 2"], "to": "there"},
                        {"at": "there", "do": ["x = 1"], "to": "here"},
                    ],
                }
            ],
        }
    )
    first, *loop = asked.processes[0].steps
    return story_of_table(asked, [first], loop)


# --- the order of steps ---------------------------------------------------------------------------------------------


def happens_before(story: Story) -> list[set[int]]:
    """Return for each step those that must come before it: dependent ones, and those that these depend on."""
    before: list[set[int]] = []
    for j, second in enumerate(story.steps):
        mine: set[int] = set()
        for i, first in enumerate(story.steps[:j]):
            touch = first.writes & (second.reads | second.writes) or second.writes & first.reads
            if first.process == second.process or touch:
                mine |= {i} | before[i]
        before.append(mine)
    return before


@pytest.mark.parametrize("name", NAMES)
def test_given_any_schedule_when_clocks_are_told_then_their_order_is_that_of_dependent_steps(name: str) -> None:
    for seed in range(3):
        story = told(name, 50, seed)
        order, before = ordered(story), happens_before(story)
        for j, clock in enumerate(order.clocks):
            earlier = {i for i in range(j) if all(a <= b for a, b in zip(order.clocks[i], clock, strict=True))}
            assert earlier == before[j]
            own = [i for i in range(j) if story.steps[i].process == story.steps[j].process]
            assert clock[story.steps[j].process] == len(own) + 1
            assert set(own[-1:]) <= set(order.rests_on[j])
            reached = set(order.rests_on[j]).union(*(before[i] for i in order.rests_on[j]))
            assert reached == before[j]
            for other in set(order.rests_on[j]) - set(own[-1:]):
                assert not any(other in before[i] for i in order.rests_on[j])


# --- ShiViz ---------------------------------------------------------------------------------------------------------


def events(log: str) -> list[tuple[str, dict[str, int], str]]:
    """Return host, clock and text of each event of a ShiViz log, as its parser finds them."""
    pattern = re.compile(SHIVIZ_PARSER.replace("(?<", "(?P<"))
    found = [(m["host"], json.loads(m["clock"]), m["event"]) for m in pattern.finditer(log)]
    assert 2 * len(found) == log.count("\n"), "each event takes two lines, and each line belongs to one"
    return found


@pytest.mark.parametrize("name", NAMES)
def test_given_a_shiviz_log_when_parsed_then_it_tells_each_step_and_its_clock(name: str) -> None:
    story = told(name)
    found = events(EXPORTS["shiviz"](story, ""))
    assert [text.split(":")[0].split(" <--")[0] for _, _, text in found] == [step.label for step in story.steps]
    clocks = ordered(story).clocks
    for number, (host, clock, _) in enumerate(found):
        assert host == story.processes[story.steps[number].process]
        full = tuple(clock.get(process, 0) for process in story.processes)
        assert full == clocks[number]
        assert all(clock.values())


def test_given_names_that_mean_something_when_logged_for_shiviz_then_each_host_stays_one_word() -> None:
    first, second = events(EXPORTS["shiviz"](nasty(), ""))
    assert first[0] != second[0]
    assert set(first[1]) == {first[0]}
    assert set(second[1]) == {first[0], second[0]}
    assert not re.search(r"[\s\"{}\\]", first[0] + second[0])


# --- ITF ------------------------------------------------------------------------------------------------------------


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Integer(Part):
    bigint: str = Field(alias="#bigint", pattern=r"^-?\d+$")


class Trace(BaseModel):
    """What ITF asks of a trace: fields by their names, every state with every variable, an index of its own."""

    model_config = ConfigDict(extra="forbid", strict=True)
    meta: dict[str, str] = Field(alias="#meta")
    params: list[str]
    vars: list[str]
    states: list[dict[str, Any]] = Field(min_length=1)
    loop: int | None = None


def value(given: Any) -> Any:
    """Return what an ITF value means. Nothing but strings, lists, big integers, records and variants is known."""
    if isinstance(given, str):
        return given
    if isinstance(given, list):
        return [value(one) for one in given]
    assert isinstance(given, dict)
    if "#bigint" in given:
        return int(Integer.model_validate(given).bigint)
    assert not [key for key in given if key.startswith("#")]
    return {key: value(one) for key, one in given.items()}


def trace(story: Story) -> Trace:
    text = EXPORTS["itf"](story, "a.b")
    assert text.isascii()
    found = Trace.model_validate(json.loads(text))
    for index, state in enumerate(found.states):
        assert state.pop("#meta") == {"index": index}
        assert set(state) == set(found.vars)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_given_an_itf_trace_when_read_then_its_states_are_those_of_the_story(name: str) -> None:
    story = told(name)
    found = trace(story)
    states = [{key: value(one) for key, one in state.items()} for state in found.states]
    actions = [state.pop("mbt::actionTaken") for state in states]
    picks = [state.pop("mbt::nondetPicks")["process"] for state in states]
    assert states == [story.start, *(step.after for step in story.steps)]
    assert actions == ["init", *(step.label for step in story.steps)]
    assert [pick["value"] for pick in picks[1:]] == [story.processes[step.process] for step in story.steps]
    assert (picks[0]["tag"], {pick["tag"] for pick in picks[1:]}) == ("None", {"Some"})
    assert (found.loop, found.params, found.meta["schedule"]) == (None, [], "a.b")


def test_given_a_lasso_when_told_as_itf_then_what_comes_after_its_last_state_is_where_the_loop_goes_on() -> None:
    story = looping()
    found = trace(story)
    assert found.loop == 2
    states = [{key: value(one) for key, one in state.items()} for state in found.states]
    assert [state["x"] for state in states] == [0, 1, 2, 1]
    assert [state["mbt::actionTaken"] for state in states] == ["init", "once", "here", "there"]
    assert states[found.loop]["x"] == 2, "after there comes here, which sets 2"


def test_given_a_number_beyond_a_double_when_told_as_itf_then_no_digit_is_lost() -> None:
    assert value(trace(nasty()).states[-1]["x"]) == 9007199254740993


# --- DOT ------------------------------------------------------------------------------------------------------------

STRING = r'"(?:[^"\\]|\\.)*"'
LINE = re.compile(
    rf"^\s*(?:digraph {STRING} \{{|subgraph cluster_\d+ \{{|\}}"
    r"|rankdir=TB; node \[shape=box\]; labelloc=t;(?: nslimit=1;)?"
    rf"|label={STRING};|(?P<node>[snf]\d+) \[label=(?P<label>{STRING})[^\"]*\];"
    rf"|(?P<start>[snf]\d+) -> (?P<to>[snf]\d+) \[(?P<style>[^\"]*(?:label={STRING})?[^\"]*)\];)$"
)


class Drawn(BaseModel):
    """A graph as read: node -> label, edges with their attributes."""

    nodes: dict[str, str]
    edges: list[tuple[str, str, str]]


def drawn(text: str) -> Drawn:
    """Read a graph by the little of DOT that is written, and have Graphviz read it (its nop) where it is here."""
    found = [LINE.match(line) for line in text.splitlines()]
    wrong = [line for line, match in zip(text.splitlines(), found, strict=True) if match is None]
    assert wrong == []
    if shutil.which("nop"):
        done = subprocess.run(["nop"], input=text, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    nodes = {m["node"]: m["label"] for m in found if m and m["node"]}
    edges = [(m["start"], m["to"], m["style"]) for m in found if m and m["start"]]
    assert {end for start, to, _ in edges for end in (start, to)} <= set(nodes)
    return Drawn(nodes=nodes, edges=edges)


@pytest.mark.parametrize("name", SOME)
def test_given_the_order_of_steps_when_drawn_then_paths_are_what_happens_before(name: str) -> None:
    story = told(name)
    found = drawn(EXPORTS["dot"](story, ""))
    before: list[set[int]] = []
    for j in range(len(story.steps)):
        ends = {int(start[1:]) - 1 for start, to, _ in found.edges if to == f"s{j + 1}"}
        before.append(ends.union(*(before[i] for i in ends)))
    assert before == happens_before(story)
    for start, to, style in found.edges:
        one, other = story.steps[int(start[1:]) - 1], story.steps[int(to[1:]) - 1]
        assert ("style=bold" in style) == (one.process == other.process)
    assert len(found.nodes) == len(story.steps)


@pytest.mark.parametrize("name", ["peterson", "dining_4", "lost_increment", "sleep_without_recheck", "c_arithmetic"])
def test_given_a_small_table_when_its_states_are_drawn_then_none_is_missing(name: str) -> None:
    found, true = drawn(graph_dot(graph_of(checked(table(name))))), plain.explore(table(name))
    assert (len(found.nodes), len(found.edges)) == (true.states, true.edges)
    assert sum("does not hold" in style for *_, style in found.edges) == true.assert_failures
    assert sum("deadlock" in label for label in found.nodes.values()) == true.deadlock_states


def test_given_a_step_without_a_value_when_drawn_then_it_leads_to_its_fault() -> None:
    steps = [{"at": "s", "do": ["x = 1 / x"], "to": "-"}, {"at": "s", "to": "-"}]
    procs = [{"name": "p", "start": "s", "steps": steps}]
    found = drawn(
        graph_dot(graph_of(checked({"format": "protocol-table/1", "name": "f", "vars": {"x": 0}, "procs": procs})))
    )
    assert [to for _, to, _ in found.edges] == ["f0", "n1"]
    assert "a division by zero" in found.nodes["f0"]


def test_given_many_states_when_drawn_then_it_is_refused_with_the_limit() -> None:
    for name in sorted(LONG):
        with pytest.raises(BadTable, match="more than 500 states"):
            graph_of(checked(table(name)))


def test_given_names_that_mean_something_when_drawn_then_they_stay_labels() -> None:
    found = drawn(EXPORTS["dot"](nasty(), ""))
    assert len(found.nodes) == 2
    assert r"a\"}\\ {\\n\\x1b\\u202e</script> b" in found.nodes["s1"]


# --- mail -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_given_a_story_for_a_mail_then_no_line_has_more_than_72_characters_but_the_schedule(name: str) -> None:
    word = "a.b" * 40
    lines = EXPORTS["text"](told(name), word).splitlines()
    assert lines[-2:] == ["schedule:", word]
    assert max(map(len, lines[:-1])) <= 72
    assert lines[0] == name


@pytest.mark.parametrize("form", sorted(EXPORTS))
def test_given_control_characters_in_names_then_no_form_holds_them(form: str) -> None:
    text = EXPORTS[form](nasty(), "a.b")
    assert all(char.isprintable() or char == "\n" for char in text)
