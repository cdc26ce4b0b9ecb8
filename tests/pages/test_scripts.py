"""The page's scripts by themselves: the view in the address, times in words, sums that lose nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.pages.looking import Site


@pytest.fixture
def call(site: Site, page: Page) -> Any:
    """Return a function that calls an exported function of one of the page's scripts."""
    page.goto(f"{site.address}/designs")

    def run(module: str, name: str, *given: Any) -> Any:
        source = "async ([module, name, given]) => (await import(`/static/js/${module}.js`))[name](...given)"
        return page.evaluate(source, [module, name, list(given)])

    return run


@pytest.mark.parametrize(
    "query",
    [
        "v=1",
        "v=1&t0=0&t1=4398046511103",
        "v=1&span=20000000",
        "v=1&t0=5&t1=90&sel=17&q=255&page=3&pages=list:1,2,3&tracks=queue,heat&kinds=wait&find=task:wl-1&side=1",
        "v=1&t0=5&t1=90&q=7&at=44&of=b&figures=run&side=0",
        "v=1&pages=file:0&tracks=",
    ],
)
def test_a_view_survives_being_written_and_read(call: Any, query: str) -> None:
    view, newer = call("view", "read", query)
    assert call("view", "write", view) == query
    assert not newer


def test_an_address_without_a_version_means_what_version_1_means(call: Any) -> None:
    assert call("view", "read", "t0=5&t1=90&q=3") == call("view", "read", "v=1&t0=5&t1=90&q=3")


@pytest.mark.parametrize(
    "query",
    ["t0=9&t1=5", "t0=-1&t1=5", "t0=1e9&t1=2e9", "t0=5", "t0=NaN&t1=Infinity", "span=0", "q=x", "pages=hot:9999,1"],
)
def test_what_makes_no_sense_in_an_address_is_as_if_it_were_not_there(call: Any, query: str) -> None:
    assert call("view", "write", call("view", "read", query)[0]) == "v=1"


@pytest.mark.parametrize(
    ("t0", "t1", "width", "first", "last"),
    [
        (0, 5_000_000_000, 1150, "0.0 s", "5.0 s"),
        (1_500_000_000, 1_500_002_000, 1150, "1.5000000 s", "1.5000020 s"),
        (0, 20_000_000, 300, "0 ms", "20 ms"),
        (0, 20, 1150, "0 ns", "20 ns"),
    ],
)
def test_ticks_are_told_apart_by_their_words(call: Any, t0: int, t1: int, width: int, first: str, last: str) -> None:
    ticks = call("time", "ticks", t0, t1, width)
    assert (ticks["ticktext"][0], ticks["ticktext"][-1]) == (first, last)
    assert len(set(ticks["ticktext"])) == len(ticks["tickvals"]) >= 2
    assert all(t0 <= t <= t1 for t in ticks["tickvals"])
    assert (len(ticks["tickvals"]) - 1) * 70 <= width, "the words need room"


def test_gathering_columns_loses_no_count_and_makes_up_none(call: Any) -> None:
    draw = random.Random(1)
    for _ in range(20):
        reached = draw.randrange(1, 200)
        values = [draw.randrange(9) for _ in range(reached)] + [None] * draw.randrange(100)
        width = draw.randrange(1, 12)
        gathered = call("series", "gather", values, width)
        assert len(gathered) == -(-len(values) // width)
        assert sum(v for v in gathered if v is not None) == sum(v for v in values if v is not None)
        assert [v is None for v in gathered] == [i * width >= reached for i in range(len(gathered))]


def test_a_raster_is_unpacked_as_it_was_packed(call: Any) -> None:
    import base64

    import numpy as np

    cells = np.arange(12, dtype="<u2").reshape(3, 4) * 5000
    packed = {"dtype": "u2", "bdata": base64.b64encode(cells.tobytes()).decode(), "shape": "3, 4"}
    told = call("raster", "unpack", packed)
    assert (told["rows"], told["columns"]) == (3, 4)
    values = told["cells"] if isinstance(told["cells"], list) else [told["cells"][str(n)] for n in range(12)]
    assert values == cells.ravel().tolist()
