"""What the pages of designs tell, against the cards and the steps."""

from __future__ import annotations

import pytest

from engine.designs import AXES
from engine.designs.about import About, about
from engine.designs.card import Card
from engine.mm.steps import NUMBERS
from engine.struct_page import LAYOUTS
from engine.toml_file import parse_toml

CARDS = [card for cards in AXES.values() for card in cards.values()]
each = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)


@each
def test_given_a_design_when_its_page_is_read_then_it_tells_of_bytes_paths_and_arguments(card: Card) -> None:
    told = about(card.axis, card.name)
    assert told.costs
    assert told.path
    assert told.voice


def test_given_all_designs_when_their_names_are_compared_then_each_has_an_address_of_its_own() -> None:
    assert len({card.name for card in CARDS}) == len(CARDS)


@each
def test_given_a_path_when_its_steps_are_looked_up_then_they_are_steps_of_the_model(card: Card) -> None:
    steps = [step.step for path in about(card.axis, card.name).path for step in path.steps]
    assert set(steps) <= {*NUMBERS, ""}
    own = set(card.steps) - {"RECORDED_GRANT"}
    assert own <= set(steps), "the design's own steps are in one of its paths"


@each
def test_given_the_structures_when_compared_with_the_card_then_names_and_sizes_agree(card: Card) -> None:
    drawn = {one.name: one.bytes for one in about(card.axis, card.name).structure}
    listed = dict(card.structures)
    assert {name: listed.get(name, drawn[name]) for name in drawn} == drawn
    assert set(listed) - set(drawn) <= {"bucket_table", "bucket"}, "arrays, which are not drawn"


@each
def test_given_bits_that_the_card_claims_when_the_page_is_read_then_it_names_the_word(card: Card) -> None:
    fields = {claim.field for claim in about(card.axis, card.name).claims}
    assert ("mapping" in fields) == bool(card.tag_bits(card.options()))
    for layout in ("4.16", "4.18", "folio"):
        (file,) = (one for one in LAYOUTS[layout].type if one.name == "file")
        assert fields <= {member.name for member in LAYOUTS[layout].members(file)}


def test_given_a_structure_whose_fields_overlap_when_read_then_the_line_names_file_and_structure() -> None:
    field = '{ at = 0, bytes = 8, name = "a", holds = "" }'
    text = f'[[structure]]\nname = "s"\nbytes = 16\nfields = [{field}, {field}]'
    with pytest.raises(ValueError, match=r"^mine/about\.toml: structure\.0: .*a overlaps the field before it$"):
        parse_toml(text, About, "mine/about.toml")
