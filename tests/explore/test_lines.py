"""Lines of keys: for every value of every table, in JSON and in TOML, the line named is the one that holds it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from engine.explore.tables.lines import line_of
from tests.explore.shelf import HERE, NAMES, table

TOML = """# a comment = 1
title = 'it\\'s' # [not.a.header]
a.b = [1,
  2, # two
  {c = "]", d.e = 3}]
long = \"\"\"
x = 1
[not]
\"\"\"
[t]
x = 2
[[t.u]]
x = 3
[[t.u]]
"x.y" = 4
[t.u.v]
x = 5
""".replace("\\'", "")


def leaves(told: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the path and the value of each number, text and truth in a tree."""
    if isinstance(told, dict):
        for key, value in told.items():
            yield from leaves(value, (*path, key))
    elif isinstance(told, list):
        for place, value in enumerate(told):
            yield from leaves(value, (*path, place))
    else:
        yield path, told


@pytest.mark.parametrize("name", NAMES)
def test_given_a_table_as_json_when_a_value_is_looked_for_then_its_line_holds_just_it(name: str) -> None:
    text = json.dumps(table(name), indent=1)
    lines = text.splitlines()
    for path, value in leaves(table(name)):
        key = f"{json.dumps(path[-1])}: " if isinstance(path[-1], str) else ""
        at = line_of(text, path)
        assert at is not None
        assert lines[at - 1].strip().rstrip(",") == key + json.dumps(value)
    assert len({line_of(text, path) for path, _ in leaves(table(name))}) == len(list(leaves(table(name))))


@pytest.mark.parametrize("name", NAMES)
def test_given_a_table_as_toml_when_a_value_is_looked_for_then_its_line_holds_it(name: str) -> None:
    text = (HERE / "tables" / f"{name}.toml").read_text()
    lines = text.splitlines()
    for path, value in leaves(table(name)):
        at = line_of(text, path)
        assert at is not None
        assert str(value) in lines[at - 1]
        assert not isinstance(path[-1], str) or path[-1] in lines[at - 1]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("a", "b"), 3),
        (("a", "b", 0), 3),
        (("a", "b", 1), 4),
        (("a", "b", 2, "c"), 5),
        (("a", "b", 2, "d", "e"), 5),
        (("long",), 6),
        (("t", "x"), 11),
        (("t", "u", 0, "x"), 13),
        (("t", "u", 1, "x.y"), 15),
        (("t", "u", 1, "v", "x"), 17),
        (("t", "u", 1, "nothing", 3), 14),
        (("nothing",), None),
        ((), None),
    ],
)
def test_given_every_form_of_toml_when_looked_for_then_the_line_is_right(
    path: tuple[str | int, ...], line: int | None
) -> None:
    assert tomllib.loads(TOML)["t"]["u"][1]["v"]["x"] == 5
    assert line_of(TOML, path) == line


@pytest.mark.parametrize("text", ["", "{", "[", "a", "a =", "[[", '{"a": [', "]", "}" * 9, "a.b.", '{"a"', "[" * 5_000])
def test_given_what_cannot_be_read_then_no_line_is_found_and_nothing_breaks(text: str) -> None:
    assert line_of(text, ("a", "b")) in {None, 1}
