"""Anatomy: the union of struct page by type of page and layout, and what each design takes of page->mapping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from app.refusals import Refusal
from app.rendering import PageRoute, render
from app.representations import csv_answer, csv_line
from app.settings import MIB
from app.wording import nearest
from engine.designs import DESIGNS
from engine.struct_page import PAGE_SIZE, WORD, Layout, Member, PageType, layouts

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)

GIB = 1 << 30


class Cell(NamedTuple):
    """Consecutive words of a type of page. members: the fields that begin there; unused: bytes of them without one."""

    at: int
    words: int
    members: tuple[Member, ...]
    unused: int


class Claim(NamedTuple):
    """What a design takes: bits of page->mapping, types of page that they are confused with, structures in bytes."""

    design: str
    title: str
    options: str
    bits: int
    confused: list[str]
    structures: tuple[tuple[str, int], ...]


def known_layout(name: str) -> Layout:
    """Return a layout, the first for an empty name. Raises Refusal for an unknown one."""
    known = layouts()
    if name and name not in known:
        message = f"unknown layout '{name}'; the layouts are {', '.join(known)}{nearest(name, known)}"
        raise Refusal(404, "no_layout", message, field="layout")
    return known[name] if name else next(iter(known.values()))


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
    """Yield what each design of the wait axis takes under a layout, once for each of its encodings."""
    for name, card in DESIGNS.items():
        encoding = card.options.model_fields.get("encoding")
        for value in (encoding and get_args(encoding.annotation)) or (None,):
            chosen = {} if value is None else {"encoding": value}
            bits = card.tag_bits(card.options.model_validate({"design": name, **chosen}))
            label = " ".join(f"{key} {choice}" for key, choice in chosen.items())
            yield Claim(name, card.title, label, bits, layout.confused(bits), card.structures)


def described(layout: Layout) -> dict[str, Any]:
    """Return a layout as JSON has it, with what is computed from it."""
    data = layout.model_dump()
    data["types"] = [one.model_dump() | {"unused_bytes": layout.unused(one)} for one in layout.type]
    data["tags"] = data.pop("tag")
    data.pop("type")
    return data | {
        "mapping_at": layout.mapping_at,
        "tag_bits": layout.tag_bits(),
        "free_bits": layout.free_bits(),
        "overlaid": layout.overlaid(),
        "designs": [claim._asdict() for claim in claims(layout)],
    }


@router.get("/anatomy")
def anatomy(request: Request, layout: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Show the union of struct page by type of page, for one layout."""
    chosen = known_layout(layout)
    context = {
        "here": "/anatomy",
        "layouts": layouts(),
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
