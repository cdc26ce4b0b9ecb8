"""Anatomy: the union of struct page by type of page and layout, and what each design takes of page->mapping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field

from app.refusals import Refusal
from app.rendering import PageRoute, render
from app.representations import csv_answer, csv_line
from app.settings import MIB
from app.wording import nearest
from engine.designs import AXES
from engine.struct_page import LAYOUTS, PAGE_SIZE, WORD, Layout, Member, PageType, Tag

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)

GIB = 1 << 30


class Cell(NamedTuple):
    """Consecutive words of a type of page. members: the fields that begin there; unused: bytes of them without one."""

    at: int
    words: int
    members: tuple[Member, ...]
    unused: int


class Claim(BaseModel):
    """What a design of the wait or protect axis takes of page->mapping under a layout."""

    design: str
    title: str
    options: str
    bits: int
    confused: list[str] = Field(description="types of page whose tag has one of the bits")
    structures: list[tuple[str, int]] = Field(description="name and bytes on x86-64")


class TypeOfPage(PageType):
    """What one type of page keeps in the structure, beside the fields that all types have."""

    unused_bytes: int


class PageLayout(BaseModel):
    """A layout of struct page, and what is computed from it."""

    name: str
    title: str
    note: str
    source: str
    structure: str
    bytes: int
    mapping: str | None = Field(description="name of the field that holds the tags; null if there is none")
    mapping_at: int | None = Field(description="its offset in bytes")
    common: list[Member] = Field(description="fields that all types of page have")
    tags: list[Tag]
    types: list[TypeOfPage]
    tag_bits: int = Field(description="bits that the tags use")
    free_bits: int = Field(description="bits that are zero in every pointer and used by no tag")
    overlaid: list[str] = Field(description="types of page that keep something else in the word of page->mapping")
    designs: list[Claim] = Field(description="empty where the layout has no page->mapping")


def known_layout(name: str) -> Layout:
    """Return a layout, the first for an empty name. Raises Refusal for an unknown one."""
    if name and name not in LAYOUTS:
        message = f"unknown layout '{name}'; the layouts are {', '.join(LAYOUTS)}{nearest(name, LAYOUTS)}"
        raise Refusal(404, "no_layout", message, field="layout")
    return LAYOUTS[name] if name else next(iter(LAYOUTS.values()))


def cells(layout: Layout, page_type: PageType) -> list[Cell]:
    """Return the words of a type of page in order; a field of several words is one cell."""
    found: list[Cell] = []
    at = 0
    members = layout.members(page_type)
    while at < layout.bytes:
        here = tuple(member for member in members if at <= member.at < at + WORD)
        end = max([at + WORD, *(-(-member.end // WORD) * WORD for member in here)])
        used = sum(member.bytes for member in here)
        if not here and found and not found[-1].members:
            found[-1] = found[-1]._replace(words=found[-1].words + 1, unused=found[-1].unused + WORD)
        else:
            found.append(Cell(at, (end - at) // WORD, here, end - at - used))
        at = end
    return found


def claims(layout: Layout) -> Iterator[Claim]:
    """Yield what each design takes under a layout that has page->mapping, once for each of its encodings."""
    cards = [card for axis in ("wait", "protect") for card in AXES[axis].values() if card.name != "none"]
    for card in cards if layout.mapping else ():
        encoding = card.options.model_fields.get("encoding")
        for value in (encoding and get_args(encoding.annotation)) or (None,):
            chosen = {} if value is None else {"encoding": value}
            bits = card.tag_bits(card.options.model_validate({"design": card.name, **chosen}))
            label = " ".join(f"{key} {choice}" for key, choice in chosen.items())
            yield Claim(
                design=card.name,
                title=card.title,
                options=label,
                bits=bits,
                confused=layout.confused(bits),
                structures=list(card.structures),
            )


def described(layout: Layout) -> PageLayout:
    """Return a layout as it is served, with what is computed from it."""
    return PageLayout(
        **layout.model_dump(exclude={"tag", "type"}),
        tags=layout.tag,
        types=[TypeOfPage(**one.model_dump(), unused_bytes=layout.unused(one)) for one in layout.type],
        mapping_at=layout.mapping_at,
        tag_bits=layout.tag_bits(),
        free_bits=layout.free_bits(),
        overlaid=layout.overlaid(),
        designs=list(claims(layout)),
    )


@router.get("/anatomy")
def anatomy(request: Request, layout: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Show the union of struct page by type of page, for one layout."""
    chosen = known_layout(layout)
    context = {
        "here": "/anatomy",
        "layouts": LAYOUTS,
        "layout": chosen,
        "rows": [(one, cells(chosen, one), chosen.unused(one)) for one in chosen.type],
        "claims": list(claims(chosen)),
        "mib_per_gib": GIB // PAGE_SIZE * chosen.bytes / MIB,
        "share": chosen.bytes / PAGE_SIZE,
        "titles": {one.name: one.title for one in chosen.type},
    }
    return render(request, "anatomy.html", context)


@router.get("/anatomy.csv")
def anatomy_csv(layout: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Return the fields of every type of page as CSV."""
    chosen = known_layout(layout)

    def lines() -> Iterator[str]:
        yield csv_line(["layout", "type", "offset_bytes", "size_bytes", "field", "holds"])
        for one in chosen.type:
            for member in chosen.members(one):
                yield csv_line([chosen.name, one.name, member.at, member.bytes, member.name, member.holds])

    return csv_answer(lines(), f"struct-page-{chosen.name}.csv")
