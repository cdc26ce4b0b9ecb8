"""The tables agree with each other, with the code behind them, and with what README.md and ARCHITECTURE.md say."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from engine.designs import AXES, BUILT_IN, DESIGNS
from engine.designs.card import Card
from engine.designs.loading import problems
from engine.events import COLUMNS, EVENTS, FLAG_LETTERS, LANES, RECORD, Kind
from engine.kernels import KERNELS
from engine.page_state import NUMBERS, PAGE_STATE_COLOURS, SEVERITIES, SEVERITY, PageState, PageWait
from engine.scenario import Kernel, Scenario

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


# --- events ---------------------------------------------------------------------------------------------------------


def test_given_the_kinds_when_compared_with_the_table_then_each_has_one_row_in_their_order() -> None:
    assert list(EVENTS) == list(Kind)


def test_given_the_kinds_when_numbered_then_no_number_is_used_twice_and_all_fit_a_byte() -> None:
    numbers = [kind.value for kind in Kind.__members__.values()]
    assert len(set(numbers)) == len(Kind.__members__)
    assert min(numbers) >= 1
    assert max(numbers) <= 255


def test_given_the_events_when_grouped_then_every_lane_is_known_and_none_is_empty() -> None:
    assert {event.lane for event in EVENTS.values()} == set(LANES)


@pytest.mark.parametrize("kind", Kind)
def test_given_an_event_when_read_then_its_words_sentence_and_colour_are_there(kind: Kind) -> None:
    event = EVENTS[kind]
    named = {field for _, field, _, _ in Formatter().parse(event.says) if field is not None}
    assert named <= {"task", "page", *event.words.fields}
    assert all(field.label for field in event.words.fields.values())
    assert re.fullmatch(r"#[0-9a-f]{6}", event.colour)


def test_given_the_columns_when_packed_then_a_record_is_as_long_as_they_are_together() -> None:
    assert RECORD.itemsize == 35
    assert tuple(RECORD.names or ()) == tuple(name for name, _ in COLUMNS)


def test_given_the_page_states_when_coloured_then_each_has_a_colour_of_its_own() -> None:
    assert set(PAGE_STATE_COLOURS) == set(PageState)
    assert len(set(PAGE_STATE_COLOURS.values())) == len(PageState)
    assert len(set(FLAG_LETTERS.values())) == len(FLAG_LETTERS)


def test_given_the_page_states_when_ordered_by_severity_then_each_has_its_place_and_its_stored_number() -> None:
    assert {sight.state for sight in SEVERITY} == set(PageState)
    assert len(set(NUMBERS.tolist())) == len(SEVERITY) == len(set(SEVERITY))
    assert NUMBERS[SEVERITIES[NUMBERS]].tolist() == NUMBERS.tolist()
    assert [SEVERITY[SEVERITIES[number]].state for number in PageState] == list(PageState)
    hid = {PageState.writeback, PageState.truncated}
    unknown = {number for number in PageState if SEVERITY[SEVERITIES[number]].wait is PageWait.unknown}
    assert unknown == hid, "what 0.1.0 stored as these does not say whether tasks waited"
    stored = {"free": 0, "clean": 1, "dirty": 2, "locked": 3, "waited_on": 4, "swapped": 5, "writeback": 6}
    stored |= {"truncated": 7}  # as version 0.1.0 wrote them
    assert {name: PageState[name].value for name in stored} == stored


# --- designs --------------------------------------------------------------------------------------------------------

CARDS = [card for cards in AXES.values() for card in cards.values()]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: f"{card.axis}-{card.name}")
def test_given_a_design_when_its_folder_is_read_then_nothing_is_missing(card: Card) -> None:
    assert not list(problems(card, tuple(AXES)))
    assert all((card.title, card.stands))


def test_given_the_designs_when_listed_then_folders_registry_and_scenario_agree() -> None:
    for axis, names in BUILT_IN.items():
        folder = ROOT / "engine" / "designs" / axis
        assert {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(names)
        assert list(AXES[axis])[: len(names)] == list(names)
        for name in AXES[axis]:
            asked = {"name": "n", axis: {"design": name}, "workload": {"kind": "recording", "recording": "demo"}}
            assert Scenario.model_validate(asked).designs[axis] == name
    assert get_args(Kernel) == tuple(KERNELS)


@pytest.mark.parametrize("name", DESIGNS)
def test_given_a_design_when_shown_then_its_card_is_filled_in(name: str) -> None:
    card: Card = DESIGNS[name]
    assert all((card.title, card.stands, card.needs, card.structures))
    assert f"`{name}`" in README


# --- commands, settings, answers ------------------------------------------------------------------------------------


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))


def test_given_the_readme_when_it_names_a_make_command_then_the_makefile_has_it() -> None:
    named = set(re.findall(r"(?:^ +|`)make ([a-z][a-z-]+)\b", README, re.M))
    assert {"run", "test", "bench"} <= named
    assert named - targets() == set()


def test_given_the_makefile_when_it_has_a_command_then_its_help_tells_of_it() -> None:
    told = set(re.findall(r'@echo "make ([a-z-]+) ', MAKEFILE))
    assert told == targets() - {"help", "browser", "spin", "warm"}


def test_given_the_makefile_when_a_command_runs_a_module_of_ours_then_the_module_exists() -> None:
    modules = re.findall(r"-m ((?:benchmarks|app|engine)\.\w+)", MAKEFILE)
    assert "benchmarks.bench" in modules
    assert [name for name in modules if not (ROOT / (name.replace(".", "/") + ".py")).is_file()] == []


def test_given_the_readme_when_it_names_a_folioscope_command_then_the_program_has_it() -> None:
    from typer.main import get_command

    from app.cli import app

    known = set(getattr(get_command(app), "commands", {}))
    named = set(re.findall(r"^ *\$? ?folioscope ([a-z]+)", README, re.M)) | set(
        re.findall(r"`folioscope ([a-z]+)", README)
    )
    assert {"serve", "run", "import", "replay", "list", "version"} <= named & known
    assert named - known == set()


def test_given_the_settings_when_compared_with_the_readme_then_each_has_its_line() -> None:
    from app.settings import PREFIX, Settings

    told = set(re.findall(rf"^\| `{PREFIX}([A-Z_]+)`", README, re.M))
    assert {name.upper() for name in Settings.model_fields} <= told


def test_given_architecture_when_it_answers_where_something_is_then_it_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    answers = text.split("## Where is")[1]
    paths = re.findall(r"`((?:app|engine|migrations|static|templates|tests|benchmarks)/[\w./*-]*)`", answers)
    assert len(paths) >= 5
    assert [path for path in paths if not list(ROOT.glob(path.rstrip("/")))] == []


def test_given_the_decisions_when_numbered_then_they_are_consecutive_dated_and_those_named_in_code_exist() -> None:
    text = (ROOT / "DECISIONS.md").read_text()
    headings = re.findall(r"^## (\d+)\. .+ \((\d{4}-\d\d-\d\d)\)$", text, re.M)
    numbers = [int(number) for number, _ in headings]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [date for _, date in headings] == sorted(date for _, date in headings)
    named = set()
    for top in ("app", "engine", "benchmarks", "migrations", "tests"):
        for path in (ROOT / top).rglob("*.py"):
            named |= {int(number) for number in re.findall(r"DECISIONS (\d+)", path.read_text())}
    assert named <= set(numbers)


# --- the page -------------------------------------------------------------------------------------------------------


def test_given_the_tracks_when_compared_with_the_script_then_each_line_track_is_drawn_and_no_other() -> None:
    from app.tracks import TRACKS

    series = (ROOT / "static" / "js" / "series.js").read_text().split("export const SERIES = {")[1]
    drawn = re.findall(r"^  (\w+): (?:\{|\w+\(.*\),)$", series.split("\n};")[0], re.M)
    assert drawn == [track.id for track in TRACKS if not track.raster]


def test_given_the_page_states_when_drawn_then_words_and_colours_come_from_the_tables_alone() -> None:
    from app.tracks import STATE_WORDS, states, waits

    assert list(STATE_WORDS) == list(PageState)
    assert {state["number"]: state["colour"] for state in states()} == PAGE_STATE_COLOURS
    assert {wait["number"] for wait in waits()} == {PageWait.waited_on, PageWait.swapped}
    scripts = "".join(path.read_text() for path in (ROOT / "static" / "js").glob("*.js")).lower()
    assert [colour for colour in PAGE_STATE_COLOURS.values() if colour in scripts] == []


def test_given_the_readme_when_it_shows_a_picture_then_the_file_is_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert [name for name in pictures if not (ROOT / name).is_file()] == []


def inline(text: str) -> list[str]:
    """Return what a template has inline, or from elsewhere, that the page's security policy would refuse."""
    tags = re.findall(r"<script\b[^>]*>", text)
    return [
        *(tag for tag in tags if not re.search(r"\ssrc=", tag)),
        *re.findall(r"\son[a-z]+=|\sstyle=|javascript:|<style", text),
        *re.findall(r"(?:src|href)=\"(?:https?:)?//", text),
    ]


def test_given_the_templates_when_read_then_nothing_is_inline_or_from_elsewhere() -> None:
    found = {path.name: inline(path.read_text()) for path in (ROOT / "templates").rglob("*.html")}
    assert len(found) > 10
    assert {name: parts for name, parts in found.items() if parts} == {}


@pytest.mark.parametrize(
    "text",
    [
        '<script src="/a.js"></script><script>alert(1)</script>',
        '<script type="application/json">{}</script>',
        '<p onclick="x()">',
        '<a href="//elsewhere">',
    ],
)
def test_given_a_template_with_something_inline_when_read_then_it_is_found(text: str) -> None:
    assert len(inline(text)) == 1
