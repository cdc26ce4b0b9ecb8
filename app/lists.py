"""Other formats of the pages that list something: JSON, CSV and plain text, at the page's address with a suffix.

/runs.csv?state=done    /x.json    /recordings.txt    /designs.json    /matrix.txt?kernel=6.1
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from app import cells
from app.api.catalogue import list_designs
from app.api.exploration_models import ExplorationLine
from app.api.models import Recording, RunLine
from app.formats import span
from app.pages import store_of
from app.plain import listed
from app.rendering import PageRoute
from app.representations import csv_answer, csv_line
from app.verdicts import bounds_words
from engine.recordings.moves import Report

router = APIRouter(include_in_schema=False, route_class=PageRoute)

Suffix = Literal["json", "csv", "txt"]
ROWS_MAX = 1_000
"""Max. rows of one file; its last line names the address of the rest."""
Words = Annotated[str, Query(max_length=200)]
Short = Annotated[str, Query(max_length=60)]
Next = Annotated[str, Query(max_length=20)]
FIGURES = ("wakes", "walked", "matched", "woken", "other_bit", "strangers", "longest_walk", "longest_queue")


class Listing(NamedTuple):
    """A list in all its formats. lines: for plain text, facts and a title each; rest: the address of what follows;
    address: that of the page, if it is not /NAME."""

    name: str
    title: str
    data: Any
    columns: Sequence[str]
    rows: Iterable[Sequence[object]]
    lines: Iterable[tuple[str, str]]
    rest: str = ""
    address: str = ""


def answered(request: Request, suffix: str, listing: Listing) -> Response:
    """Return a list in the format of a suffix."""
    link = {"Link": f'<{listing.rest}>; rel="next"'} if listing.rest else {}
    if suffix == "json":
        return JSONResponse(listing.data, headers=link)
    base = str(request.base_url).rstrip("/")
    if suffix == "txt":
        query = f"?{request.url.query}" if request.url.query else ""
        path = listing.address or f"/{listing.name}"
        more = f"More: {base}{listing.rest}" if listing.rest else ""
        return PlainTextResponse(listed(listing.title, listing.lines, f"{base}{path}{query}", more), headers=link)
    answer = csv_answer(_csv(listing, base), f"{listing.name}.csv")
    answer.headers.update(link)
    return answer


def _csv(listing: Listing, base: str) -> Iterator[str]:
    yield csv_line(listing.columns)
    for row in listing.rows:
        yield csv_line(row)
    if listing.rest:
        yield f"# more: {base}{listing.rest}\n"


def _rest(request: Request, token: str | None) -> str:
    """Return the address of the next part of a list, "" for the last."""
    if token is None:
        return ""
    url = request.url.include_query_params(_next=token)
    return f"{url.path}?{url.query}"


@router.get("/runs.{suffix}")
def runs(
    request: Request,
    suffix: Suffix,
    q: Words = "",
    state: Short = "",
    design: Short = "",
    tag: Short = "",
    _next: Next = "",
) -> Response:
    """Return the list of runs, filtered as its page."""
    given = {name: value or None for name, value in {"q": q, "state": state, "design": design, "tag": tag}.items()}
    found, token = store_of(request).runs(ROWS_MAX, _next or None, **given)
    names = [name for name in RunLine.model_fields if name not in ("reason", "detail", "number", "progress")]
    figures = [json.loads(row.figures_json) if row.figures_json else {} for row in found]
    data = [RunLine.of(row).model_dump() | {"figures": known} for row, known in zip(found, figures, strict=True)]
    rows = [[_cell(one[name]) for name in names] + [one["figures"].get(name) for name in FIGURES] for one in data]
    lines = [
        (f"{row.id}  {row.state:<9}  {row.design:<11}  {row.events:>12,} events  {span(row.time_ns):>9}", row.name)
        for row in found
    ]
    rest = _rest(request, token)
    return answered(
        request,
        suffix,
        Listing("runs", "Runs", {"runs": data, "next": token}, [*names, *FIGURES], rows, lines, rest, "/"),
    )


@router.get("/x.{suffix}")
def explorations(request: Request, suffix: Suffix, q: Words = "", state: Short = "", _next: Next = "") -> Response:
    """Return the list of explorations, filtered as its page."""
    found, token = store_of(request).explorations(ROWS_MAX, _next or None, state=state or None, q=q or None)
    names = ["id", "name", "kind", "state", "verdict", "created_ns", "started_ns", "ended_ns"]
    bounds = [bounds_words(json.loads(row.answer_json)) if row.answer_json else "" for row in found]
    rows = [[*(getattr(row, name) for name in names), words] for row, words in zip(found, bounds, strict=True)]
    lines = [(f"{row.id}  {row.state:<9}  {row.verdict or '-':<12}  {row.kind}", row.name) for row in found]
    data = {"explorations": [ExplorationLine.of(row).model_dump() for row in found], "next": token}
    return answered(
        request, suffix, Listing("x", "Explorations", data, [*names, "bounds"], rows, lines, _rest(request, token))
    )


@router.get("/recordings.{suffix}")
def recordings(request: Request, suffix: Suffix) -> Response:
    """Return the recordings with their import reports."""
    found = store_of(request).recordings()
    reports = [Report.model_validate_json(row.report_json) for row in found]
    names = ["id", "name", "sha256", "bytes", "moves", "kernel", "created_ns"]
    counts = ["form", "lines", "used", "skipped", "bad_lines", "lost_events", "first_time_ns", "last_time_ns"]
    rows, lines = [], []
    for row, report in zip(found, reports, strict=True):
        used, skipped = sum(report.used.values()), sum(report.skipped.values())
        sums = {"used": used, "skipped": skipped}
        rows.append(
            [*(getattr(row, name) for name in names), *(sums.get(name, getattr(report, name)) for name in counts)]
        )
        long = span(max(0, report.last_time_ns - report.first_time_ns))
        lines.append((f"{row.id}  kernel {row.kernel or '-':<7}  {report.lines:>11,} lines  {long:>9}", row.name))
    data = {"recordings": [Recording.of(row).model_dump() for row in found]}
    return answered(request, suffix, Listing("recordings", "Recordings", data, [*names, *counts], rows, lines))


@router.get("/designs.{suffix}")
async def designs(request: Request, suffix: Suffix) -> Response:
    """Return the cards of the designs."""
    found = [card.model_dump() for card in await list_designs()]
    names = ["axis", "name", "title", "stands", "structures", "tag_bits", "needs"]
    sizes = [" ".join(f"{part['name']}:{part['bytes']}" for part in one["structures"]) for one in found]
    rows = [
        [*(size if name == "structures" else one[name] for name in names)]
        for one, size in zip(found, sizes, strict=True)
    ]
    lines = [
        (f"{one['axis']}: {one['name']:<14}  bits {one['tag_bits']:#x}  {size}", f"{one['title']}. {one['stands']}")
        for one, size in zip(found, sizes, strict=True)
    ]
    return answered(request, suffix, Listing("designs", "Designs", {"designs": found}, names, rows, lines))


@router.get("/matrix.{suffix}")
def matrix(request: Request, suffix: Suffix, kernel: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Return the matrix of a kernel profile, one cell a row."""
    return matrix_in(request, suffix, cells.known_kernel(kernel), "/matrix")


def matrix_in(request: Request, suffix: str, name: str, address: str) -> Response:
    """Return the matrix of a kernel profile in the format of a suffix; address: that of its page."""
    table = cells.table(store_of(request), name)
    titles = {one["name"]: one["title"] for one in (*table["rows"], *table["columns"])}
    names = ["row", "column", "word", "expected", "against", "why", "bounds", "state", "exploration", "schedule"]
    rows = [[cell[name] for name in names] for cell in table["cells"]]
    lines = []
    for cell in table["cells"]:
        against = f" (expected {cell['expected']})" if cell["against"] else ""
        said = cell["schedule"] or cell["why"]
        words = f"{titles[cell['column']]}{against}" + (f": {said}" if said else "")
        lines.append((f"{cell['word']:<12}  {cell['row']}", words))
    return answered(
        request, suffix, Listing("matrix", f"Matrix, kernel {name}", table, names, rows, lines, address=address)
    )


def _cell(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, list) else value
