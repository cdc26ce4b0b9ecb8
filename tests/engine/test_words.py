"""Layouts of event words: what is packed is read back, in plain Python, in columns and compiled; gaps are refused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import BadLayout
from engine.events import ENTRY, EVENTS, WALK, Event, Kind, check_layouts
from engine.words import Bits, Words, bits, less, word
from engine.world.jit import jit
from engine.world.packers import pack_entry, pack_walk, reader

ROOT = Path(__file__).parents[2]


def values_of(field: Bits) -> st.SearchStrategy[int]:
    return st.integers(-(2**63), 2**63 - 1) if field.whole else st.integers(0, 2**field.size - 1)


@pytest.mark.parametrize("kind", Kind)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_given_any_values_when_packed_then_each_field_reads_back_its_own(kind: Kind, data: st.DataObject) -> None:
    words = EVENTS[kind].words
    values = {name: data.draw(values_of(field)) for name, field in words.stored.items()}
    a, b = words.pack(**values)
    back = words.unpack(a, b)._asdict()
    assert {name: back[name] for name in values} == values
    columns = words.unpack(np.full(3, a), np.full(3, b))._asdict()
    assert {name: columns[name].tolist() for name in back} == {name: [value] * 3 for name, value in back.items()}


def test_given_the_words_of_version_0_1_0_then_they_read_as_ever() -> None:
    assert ENTRY.pack(3, 7, 14, 9, 1) == (3, 7 | 14 << 32 | 9 << 40 | 1 << 48)
    a, b = 200 | 2 << 32 | 1 << 36 | 5 << 40, 100 | 90 << 21 | 80 << 42
    assert WALK.unpack(a, b) == (200, 2, 1, 5, 100, 90, 80, 5)
    assert WALK.unpack(a, b).strangers == 100 - 90 - 5


@jit
def _compiled_walk(queue: int, stop: int, cleared: int, other: int, walked: int, matched: int, woken: int) -> object:
    return pack_walk(queue, stop, cleared, other, walked=walked, matched=matched, woken=woken)


@jit
def _compiled_entry(queue: int, length: int, bit: int, flags: int, unflagged: int) -> object:
    return pack_entry(queue, length, bit, flags, unflagged=unflagged)


_strangers = reader(WALK, "strangers")


@jit
def _compiled_strangers(a: int, b: int) -> object:
    return _strangers(a, b)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_given_any_values_then_compiled_code_packs_and_reads_as_plain_python(data: st.DataObject) -> None:
    walk = [data.draw(values_of(field)) for field in WALK.stored.values()]
    entry = [data.draw(values_of(field)) for field in ENTRY.stored.values()]
    assert _compiled_walk(*walk) == WALK.pack(*walk)
    assert _compiled_entry(*entry) == ENTRY.pack(*entry)
    words = WALK.pack(*walk)
    assert _compiled_strangers(*words) == WALK.unpack(*words).strangers


def test_given_a_value_that_its_field_has_no_room_for_then_plain_python_refuses_it() -> None:
    with pytest.raises(AssertionError, match="stop is 16: it has 4 bits"):
        WALK.pack(queue=0, stop=16, cleared=0, other_bit=0, walked=0, matched=0, woken=0)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"one": bits("a", 0, 8, "x"), "two": bits("a", 7, 2, "x")}, "field two: its bits of word a belong to another"),
        ({"one": word("b", "x"), "two": bits("b", 63, 1, "x")}, "field two: its bits of word b belong to another"),
        ({"one": bits("a", 60, 8, "x")}, "field one: bits 60 to 67 of word a, which has 64"),
        ({"one": bits("a", 0, 0, "x")}, "field one: bits 0 to -1 of word a, which has 64"),
        ({"one": word("a", "x", "colour")}, "field one: no form 'colour'"),
        ({"one": less("two", "three", label="x")}, "field one: it is computed from three, which is not in the words"),
    ],
)
def test_given_a_layout_that_contradicts_itself_then_one_line_names_the_field(
    fields: dict[str, Bits], says: str
) -> None:
    with pytest.raises(BadLayout, match=f"^{re.escape(says)}.*$") as refused:
        Words(**fields)
    assert "\n" not in str(refused.value)


def test_given_a_sentence_that_names_what_its_words_do_not_have_then_it_is_refused() -> None:
    wrong = Event(WALK, "{task} walked {steps}", "wait", "#000000")
    with pytest.raises(BadLayout, match=r"^event walk_ended: its sentence names steps, which its words do not have$"):
        check_layouts({**EVENTS, Kind.walk_ended: wrong})


def test_given_a_kind_without_a_layout_when_imported_then_one_line_names_it(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "engine" / "events.py"
    source, found = re.subn(r"    Kind\.page_mapped: Event\([^\n]*\n", "", path.read_text())
    assert found == 1
    path.write_text(source)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "import engine.events"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "BadLayout: event page_mapped: EVENTS in engine/events.py has no layout of its words"
    )
