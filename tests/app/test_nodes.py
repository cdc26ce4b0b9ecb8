"""Summaries as bytes: today's, those of version 0.1.0, and those with other gauges, counters or states."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from app import nodes, windows
from app.nodes import CellsPart, SeriesPart, encode_cells, encode_series
from app.packing import pack
from app.settings import load_settings
from app.store import Store, open_store
from app.windows.cache import cache_of
from engine.errors import Damaged
from engine.nodes import COUNTERS, GAUGES, Cells, Changes, Node, Series
from engine.page_state import SEVERITIES, PageState
from tests.app.stored import play_log
from tests.app.synthetic import Log

NONE = np.zeros(0, np.int64)


def node(states: list[int] | None = None) -> Node:
    """Return a leaf of two bins, with a page in these severities."""
    states = states or [3, 1]
    rows = np.arange(4, dtype=np.int64)
    both = np.stack((rows, rows + 1), axis=1)
    series = Series(rows, rows + 1, low=both, high=both + 2, area=both * 10, sums=np.arange(16).reshape(8, 2))
    lanes = Cells(np.array([7]), np.array([2]), np.array([0, 1]), NONE, np.array(states), np.array(states))
    changes = {"queue_longest": Changes(np.array([3, 9]), np.array([2, 1]))}
    return Node(100, 200, 5, 30, 2, series, np.ones((1, 2), np.int32), Cells(*[NONE] * 6), lanes, True, changes)


def test_given_a_leaf_when_stored_then_its_parts_come_back() -> None:
    leaf = node()
    part = SeriesPart(encode_series(leaf))
    assert (part.t0, part.t1, part.first_seq, part.events, part.bins) == (100, 200, 5, 30, 2)
    assert part.before.tolist() == leaf.series.before.tolist()
    assert part.after.tolist() == leaf.series.after.tolist()
    assert np.diff(part.counts).tolist() == leaf.series.sums.tolist()
    bins = part.extremes(0)
    assert (bins.low.tolist(), bins.high.tolist()) == (leaf.series.low.tolist(), leaf.series.high.tolist())
    assert [column.tolist() for column in part.changes["queue_longest"]] == [[3, 9], [2, 1]]
    assert (part.lacks, part.dated) == (frozenset(), False)
    assert CellsPart(encode_cells(leaf)).lanes.high.tolist() == [3, 1]


def test_given_a_leaf_of_version_0_1_0_then_it_reads_as_it_did() -> None:
    s, p, q = node().series, node().lanes, node().queues
    head = np.array([100, 200, 5, 30, 2])
    flat = (s.low.ravel(), (s.high - s.low).ravel(), s.area.ravel(), s.sums.ravel())
    steps = (np.array([3, 9]), np.array([2, 1]))
    part = SeriesPart(pack(b"FSER", 1, (head, s.before, s.after, *flat, *steps), (7,)))
    now = SeriesPart(encode_series(node()))
    assert part.areas.tolist() == now.areas.tolist()
    assert part.counts.tolist() == now.counts.tolist()
    assert [column.tolist() for column in part.changes["queue_longest"]] == [[3, 9], [2, 1]]
    assert part.dated
    head = np.array([100, 200, 2, 1, 1])
    numbers = np.array([PageState.locked, PageState.clean])
    lanes = (p.keys, p.counts, p.bins, numbers << 4 | numbers)
    cells = CellsPart(pack(b"FCEL", 1, (head, np.ones(2, np.int64), *q, *lanes), (2, 8)))
    states = SEVERITIES[[PageState.locked, PageState.clean]].tolist()
    assert (cells.lanes.high.tolist(), cells.lanes.last.tolist()) == (states, states)


def test_given_a_later_version_then_it_is_refused_and_named() -> None:
    with pytest.raises(Damaged, match="another kind or version: b'FSER' 3"):
        SeriesPart(pack(b"FSER", 3, [NONE]))


def test_given_more_states_in_another_order_then_a_stored_state_keeps_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stored with today's numbers, read by a version with twenty states, new ones in between."""
    stored = encode_cells(node(SEVERITIES[[PageState.waited_on, PageState.swapped]].tolist()))
    order = np.array([0, 1, 8, 9, 2, 10, 3, 11, 12, 13, 4, 14, 15, 16, 5, 17, 6, 18, 7, 19], np.uint8)
    severities = np.zeros(256, np.uint8)
    severities[order] = np.arange(len(order))
    monkeypatch.setattr(nodes, "NUMBERS", order)
    monkeypatch.setattr(nodes, "SEVERITIES", severities)
    assert CellsPart(stored).lanes.high.tolist() == [10, 14]
    assert CellsPart(encode_cells(node([19, 17]))).lanes.high.tolist() == [19, 17]


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(load_settings(data=tmp_path_factory.mktemp("nodes"), free_bytes_min=0, ballast_bytes=0))
    yield opened
    opened.close()


def test_given_summaries_with_a_gauge_and_a_counter_more_or_less_then_the_run_still_opens(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(3, 2_000)
    run = play_log(store, log, [100])
    asked = (0, run.time_ns + 1, 3)
    before = windows.window(store, run, *asked)
    assert before["level"] >= 0
    with monkeypatch.context() as more:
        more.setattr(nodes, "GAUGES", (*GAUGES[:1], "bios_in_flight", *GAUGES[1:]))
        more.setattr(nodes, "COUNTERS", (*COUNTERS, "bios_ended"))
        part = SeriesPart(stored_series(store, run.id))
        assert part.lacks == {"bios_in_flight", "bios_ended"}
        assert part.extremes(0).high[1].tolist() == [-1] * part.bins, "not known"
        assert part.extremes(0).high[4].max() >= 0
    with monkeypatch.context() as fewer:
        fewer.setattr(nodes, "GAUGES", GAUGES[1:])
        part = SeriesPart(stored_series(store, run.id))
        assert part.after.tolist() == [log.after[99].gauges[which] for which in (1, 2, 3)]
    cache_of(store).clear()
    assert windows.window(store, run, *asked) == before


def test_given_a_counter_that_summaries_lack_then_its_columns_are_unknown_and_not_zero(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(nodes, "COUNTERS", tuple(name for name in COUNTERS if name != "woken"))
        older.setattr(nodes, "GAUGES", tuple(name for name in GAUGES if name != "pages_swapped"))
        older.setattr("app.writing.encode_series", older_series)
        run = play_log(store, Log(3, 2_000), [100])
    told = windows.window(store, run, 0, run.time_ns + 1, 3)
    assert told["level"] >= 0
    assert told["series"]["woken"]["sum"] == [None] * 3
    assert told["series"]["pages_swapped"]["max"] == [None] * 3
    assert sum(told["series"]["walked"]["sum"]) > 0


def older_series(leaf: Node, planes: object = None, more: object = None) -> bytes:
    """Store a node as a program without the counter `woken` and the gauge pages_swapped did."""
    gauges = [which for which, name in enumerate(GAUGES) if name != "pages_swapped"]
    counters = [which for which, name in enumerate(COUNTERS) if name != "woken"]
    s = leaf.series
    kept = {name: getattr(s, name)[gauges] for name in ("before", "after", "low", "high", "area")}
    series = s._replace(**kept, sums=s.sums[counters])
    changes = {name: changed for name, changed in leaf.changes.items() if name != "pages_swapped"}
    return encode_series(leaf._replace(series=series, changes=changes))


def stored_series(store: Store, run_id: str) -> memoryview:
    found = store.nodes(run_id, 0, 0, 0, "series")[0]
    assert isinstance(found, memoryview)
    return found
