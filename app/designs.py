"""The pages of designs: what each claims, needs and does step by step, who argued for and against it, its verdicts."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from app import cells
from app.anatomy import Cell
from app.anatomy import cells as words_of
from app.pages import store_of
from app.refusals import Refusal
from app.rendering import PageRoute, render
from app.shown import shown
from app.wording import nearest
from engine.designs import AXES
from engine.designs.about import About, about
from engine.designs.card import Card
from engine.explore import cases
from engine.kernel_functions import step_words
from engine.struct_page import LAYOUTS, WORD, Layout, Member

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)

RUNS_SHOWN = 8
LAYOUT_OF = {"4.13": "4.16", "4.16": "4.16", "5.9-rc": "4.18", "5.9": "4.18", "5.10": "4.18"}
"""Kernel profile -> layout of struct page; later ones have folios."""


class Drawn(NamedTuple):
    """A structure as rows of words of 8 bytes. claimed: names of the fields that the design takes."""

    name: str
    bytes: int
    words: list[Cell]
    claimed: frozenset[str]


class Tally(NamedTuple):
    """A row of the matrix in numbers of cells; bad: columns in which it breaks."""

    row: cases.Row
    words: dict[str, int]
    bad: list[tuple[str, str]]


@router.get("/designs")
def designs(request: Request) -> Response:
    """Show the card of each design."""
    return render(request, "designs.html", {"here": "/designs", "axes": AXES})


@router.get("/designs/{name}")
def design(
    request: Request,
    name: Annotated[str, Path(max_length=60)],
    kernel: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Show a design; kernel: the profile whose names the functions have."""
    card, profile, store = known_design(name), cells.known_kernel(kernel), store_of(request)
    tells = about(card.axis, name)
    runs = store.runs(RUNS_SHOWN, None, design=name)[0] if card.axis == "wait" else []
    context = {
        "here": "/designs",
        "card": card,
        "about": tells,
        "tag": card.tag_bits(card.options()),
        "kernel": profile,
        "kernels": list(cases.KERNELS),
        "page": struct_page(tells, profile),
        "structures": [drawn(one.name, one.bytes, one.fields) for one in tells.structure],
        "step_words": lambda step: step_words(step, profile) if step else "",
        "tallies": tallies(cells.shown(store, profile), card),
        "runs": [shown(row) for row in runs],
    }
    return render(request, "design.html", context)


def known_design(name: str) -> Card:
    """Return a design's card, of any axis. Raises Refusal 404 with the known names."""
    known = {one: card for cards in AXES.values() for one, card in cards.items()}
    if name not in known:
        raise Refusal(404, "no_design", f"unknown design{nearest(name, known)}", field="name")
    return known[name]


def struct_page(tells: About, kernel: str) -> tuple[Layout, Drawn]:
    """Return the layout of struct page that a kernel has, and its words for a page of a file."""
    layout = LAYOUTS[LAYOUT_OF.get(kernel, "folio")]
    (kind,) = (one for one in layout.type if one.name == "file")
    claimed = frozenset(one.field for one in tells.claims)
    return layout, Drawn(layout.structure, layout.bytes, words_of(layout, kind), claimed)


def drawn(name: str, size: int, members: list[Member]) -> Drawn:
    """Return a structure as rows of words; a field that spans words is one cell."""
    found: list[Cell] = []
    at = 0
    while at < size:
        here = tuple(one for one in members if at <= one.at < at + WORD)
        end = max([at + WORD, *(-(-one.end // WORD) * WORD for one in here)])
        found.append(Cell(at, (end - at) // WORD, here, min(end, size) - at - sum(one.bytes for one in here)))
        at = end
    return Drawn(name, size, found, frozenset())


def tallies(found: dict[tuple[str, str], cells.Shown], card: Card) -> list[Tally]:
    """Return the design's rows of the matrix: how many cells have which verdict, and which errors were found."""
    rows = []
    for key, row in cases.ROWS.items():
        if row.card.name != card.name and row.axes["truncate"]["design"] != card.name:
            continue
        mine = {column: cell for (name, column), cell in found.items() if name == key}
        words: dict[str, int] = {}
        for cell in mine.values():
            words[cell.word] = words.get(cell.word, 0) + 1
        bad = [
            (column, cases.COLUMNS[column].title)
            for column, cell in mine.items()
            if cell.word == "Sometimes" and cases.COLUMNS[column].error
        ]
        rows.append(Tally(row, words, bad))
    return rows
