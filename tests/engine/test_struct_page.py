"""Layouts of struct page: offsets as the kernel's headers have them, what is computed from them, and damaged files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.designs import DESIGNS
from engine.mm.mapping import PAGE_MAPPING_ANON, PAGE_MAPPING_KSM, PAGE_MAPPING_MOVABLE
from engine.struct_page import FOLDER, LAYOUTS, read_layout

TYPES = [(layout.name, one.name) for layout in LAYOUTS.values() for one in layout.type]


@pytest.mark.parametrize(
    ("layout", "field", "at"),
    [
        ("4.16", "flags", 0),
        ("4.16", "mapping", 8),
        ("4.16", "index", 16),
        ("4.16", "_mapcount", 24),
        ("4.16", "_refcount", 28),
        ("4.16", "lru", 32),
        ("4.16", "private", 48),
        ("4.16", "mem_cgroup", 56),
        ("4.18", "lru", 8),
        ("4.18", "mapping", 24),
        ("4.18", "index", 32),
        ("4.18", "private", 40),
        ("4.18", "_mapcount", 48),
        ("4.18", "_refcount", 52),
        ("folio", "lru", 8),
        ("folio", "mapping", 24),
        ("folio", "index", 32),
        ("folio", "private", 40),
        ("folio", "_mapcount", 48),
        ("folio", "memcg_data", 56),
    ],
)
def test_a_page_of_a_file_has_its_fields_where_the_kernel_has_them(layout: str, field: str, at: int) -> None:
    found = LAYOUTS[layout]
    file = next(one for one in found.type if one.name == "file")
    assert {member.name: member.at for member in found.members(file)}[field] == at
    assert found.unused(file) == 0


@pytest.mark.parametrize(("layout", "name"), TYPES)
def test_the_fields_of_a_type_of_page_and_its_unused_bytes_make_up_the_structure(layout: str, name: str) -> None:
    found = LAYOUTS[layout]
    one = next(one for one in found.type if one.name == name)
    assert sum(member.bytes for member in found.members(one)) + found.unused(one) == found.bytes
    assert all(member.at % min(member.bytes, 8) == 0 for member in found.members(one)), "aligned"


def test_the_tags_are_those_of_the_model() -> None:
    for name in ("4.16", "4.18"):
        tags = {one.name: one.tag for one in LAYOUTS[name].type}
        assert (tags["file"], tags["anon"], tags["movable"], tags["ksm"]) == (
            0,
            PAGE_MAPPING_ANON,
            PAGE_MAPPING_MOVABLE,
            PAGE_MAPPING_KSM,
        )


def test_the_bit_that_no_tag_uses_is_that_of_encoding_e3() -> None:
    card = DESIGNS["page_wait"]
    e1, e3 = (card.tag_bits(card.options.model_validate({"design": "page_wait", "encoding": e})) for e in ("E1", "E3"))
    for name in ("4.16", "4.18", "folio"):
        layout = LAYOUTS[name]
        assert (layout.free_bits(), layout.confused(e3)) == (e3, [])
        assert layout.confused(e1) == ["anon", "ksm"]


def test_the_types_that_keep_something_else_in_the_word_of_mapping() -> None:
    assert LAYOUTS["4.16"].overlaid() == ["slab", "tail 1", "tail 2"]
    assert LAYOUTS["4.18"].overlaid() == ["slab", "tail 2"]
    assert LAYOUTS["folio"].overlaid() == LAYOUTS["memdesc"].overlaid() == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            'at = 16, bytes = 8, name = "index"',
            'at = 12, bytes = 8, name = "index"',
            "index overlaps the field before it",
        ),
        ("bytes = 64", "bytes = 56", "ends at byte 64; the structure has 56"),
        ("tag = 3", "tag = 7", "tag 7 is not listed"),
        ("at = 0, bytes = 8", "at = -1, bytes = 8", "common.0.at: Input should be greater than or equal to 0"),
        ('structure = "struct page"', "", "structure: Field required"),
        ('name = "4.16"', 'name = "4.17"', "the name '4.17' is not that of the file"),
        ("common = [", "common = ", "Invalid value"),
    ],
)
def test_given_a_damaged_layout_when_read_then_one_line_names_the_file_and_what_is_wrong(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    text = (FOLDER / "4.16.toml").read_text()
    assert old in text
    path = tmp_path / "4.16.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=re.escape(says)) as refused:
        read_layout(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)
