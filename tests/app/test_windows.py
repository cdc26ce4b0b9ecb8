"""Windows against the plain way: every event looked at, column by column."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from app import windows
from app.settings import load_settings
from app.store import RunRow, Store, open_store
from app.windows.cache import cache_of
from app.windows.columns import columns_of
from app.writing import Writer
from engine.errors import UserError
from engine.events import Kind
from engine.nodes import GAUGES, heat_fold
from engine.page_state import SEVERITY, PageState
from tests.app.stored import play_log
from tests.app.synthetic import Log, state_at_start

REACH = 3
"""Columns from which a coarse column may show something: no bin of the three levels is longer than a column."""
IN_QUEUES = {
    Kind.waiter_queued, Kind.waiter_woken, Kind.waiter_left, Kind.walk_paused, Kind.walk_ended
}  # fmt: skip
COUNTED = {"swaps_in": Kind.mapping_swapped, "swaps_out": Kind.mapping_restored, "wakes": Kind.walk_ended}


@dataclass
class Case:
    """A stored log, and all that is true of it."""

    log: Log
    run: RunRow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(load_settings(data=tmp_path_factory.mktemp("windows"), free_bytes_min=0, ballast_bytes=0))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def cases(store: Store) -> list[Case]:
    """Logs stored in chunks of odd sizes, so that the tree has three levels and pieces of every kind."""
    cases = []
    for seed, count, queues, gap, sizes in (
        (1, 6_000, 8, 50, [16]),
        (2, 6_000, None, 3, [23, 7, 19]),
        (3, 3_000, 300, 4_000, [700]),
        (4, 2_000, None, 0, [64]),
        (5, 5_000, 8, 20, [1, 90, 300]),
    ):
        log = Log(seed, count, queues=queues, gap=gap)
        cases.append(Case(log, play_log(store, log, sizes)))
    return cases


def spans(log: Log, columns: list[int]) -> Iterator[tuple[int, int, int, list[int]]]:
    """Yield for each column the events before it, those in it, and its edges: first, last, events, times."""
    times = [row[0] for row in log.rows]
    at = 0
    for left, right in itertools.pairwise(columns):
        while at < len(times) and times[at] < left:
            at += 1
        stop = at
        while stop < len(times) and times[stop] < right:
            stop += 1
        yield left, right, at, list(range(at, stop))


def plain_gauge(log: Log, columns: list[int], which: int) -> list[tuple[int, int, float] | None]:
    """Return least, highest and mean value of a gauge in each column, None behind the run's end."""
    times = [row[0] for row in log.rows]
    told: list[tuple[int, int, float] | None] = []
    for left, right, first, inside in spans(log, columns):
        if left > times[-1]:
            told.append(None)
            continue
        value = log.after[first - 1].gauges[which] if first else 0
        values, area, since = [value], 0, left
        for event in inside:
            area += value * (times[event] - since)
            value, since = log.after[event].gauges[which], times[event]
            values.append(value)
        end = min(right, times[-1])
        area += value * max(end - since, 0)
        covered = end - left
        told.append((min(values), max(values), area / covered if covered > 0 else max(values)))
    return told


def cells_of(part: dict[str, Any], name: str = "z") -> np.ndarray[Any, Any]:
    rows, columns = map(int, part[name]["shape"].split(","))
    dtype = {"u1": "<u1", "u2": "<u2"}[part[name]["dtype"]]
    return np.frombuffer(base64.b64decode(part[name]["bdata"]), dtype).reshape(rows, columns)


def severities(lanes: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return the severities of both bands together as the page gets them; 255 stays: no state."""
    places = {(int(sight.state), int(sight.wait)): at for at, sight in enumerate(SEVERITY)} | {(255, 255): 255}
    states, waits = cells_of(lanes), cells_of(lanes, "waits")
    flat = [places[pair] for pair in zip(states.ravel().tolist(), waits.ravel().tolist(), strict=True)]
    return np.array(flat).reshape(states.shape)


def plain_heat(log: Log, columns: list[int]) -> np.ndarray[Any, Any]:
    fold = heat_fold(log.cast.queues)
    z = np.zeros((-(-log.cast.queues // fold), len(columns) - 1), int)
    last = log.rows[-1][0]
    for column, (left, _, first, inside) in enumerate(spans(log, columns)):
        if left > last:
            continue
        for event in ([first - 1] if first else []) + inside:
            for queue, length in log.after[event].queues.items():
                z[queue // fold, column] = max(z[queue // fold, column], length)
    return z


def plain_lanes(log: Log, columns: list[int], pages: list[int]) -> np.ndarray[Any, Any]:
    """Return the worst severity of each page in each column; 255 behind the run's end."""
    z = np.full((len(pages), len(columns) - 1), 255)
    last = log.rows[-1][0]
    state = dict.fromkeys(pages, state_at_start(log.cast))
    at = 0
    for column, (left, _, first, inside) in enumerate(spans(log, columns)):
        if left > last:
            break
        while at < first:
            seen = log.after[at].state
            if seen and seen[0] in state:
                state[seen[0]] = seen[1]
            at += 1
        worst = dict(state)
        for event in inside:
            seen = log.after[event].state
            if seen and seen[0] in state:
                state[seen[0]] = seen[1]
                worst[seen[0]] = max(worst[seen[0]], log.after[event].moment or 0)
        at = first + len(inside)
        z[:, column] = [worst[page] for page in pages]
    return z


@st.composite
def stretches(draw: st.DrawFn, end: int) -> tuple[int, int]:
    """A window of any width, mostly within the run."""
    width = max(1, int((end + 2) * draw(st.sampled_from((1, 0.4, 0.1, 0.02, 0.003)))))
    t0 = draw(st.integers(0, max(0, end - width // 2)))
    return t0, t0 + width


@settings(max_examples=60, deadline=None, phases=(Phase.generate,))
@given(st.data())
def test_given_any_window_when_drawn_then_exact_columns_are_exact_and_coarse_ones_lose_no_peak(
    cases: list[Case], store: Store, data: st.DataObject
) -> None:
    case = cases[data.draw(st.integers(0, len(cases) - 1))]
    log, run = case.log, case.run
    t0, t1 = data.draw(stretches(run.time_ns))
    px = data.draw(st.sampled_from((1, 3, 17, 60, 250, 2_000)))
    if data.draw(st.booleans()):
        cache_of(store).clear()
    pages = list(range(log.cast.page_count))
    queue = data.draw(st.integers(0, log.cast.queues - 1))
    told = windows.window(
        store, run, t0, t1, px, ("series", "heat", "lanes"), queue, "list:" + ",".join(map(str, pages))
    )
    columns, wide = edges_of(t0, t1, px)
    exact = told["level"] == -1
    assert told["gaps"] == []
    assert told["events"] == sum(t0 <= row[0] < t1 for row in log.rows)
    for which, name in enumerate(GAUGES):
        if name != "queues_in_use":
            check_gauge(told["series"][name], plain_gauge(log, wide, which), exact)
    check_queue(told["series"]["queue"], log, columns, queue, exact and px <= windows.CELLS_PX_MAX)
    check_counters(told["series"], log, columns, exact)
    _, coarse = edges_of(t0, t1, min(px, windows.CELLS_PX_MAX))
    check_cells(cells_of(told["heat"]).astype(int), plain_heat(log, coarse), exact)
    check_cells(severities(told["lanes"]), plain_lanes(log, coarse, pages), exact)


def edges_of(t0: int, t1: int, px: int) -> tuple[list[int], list[int]]:
    """Return the window's edges, and those with REACH columns more on both sides."""
    columns = columns_of(t0, t1, px)
    edges, width = columns.edges.tolist(), -int(-columns.width // 1)
    reach = range(1, REACH + 1)
    return edges, [t0 - width * i for i in reversed(reach)] + edges + [t1 + width * i for i in reach]


def check_gauge(told: dict[str, list[Any]], plain: list[tuple[int, int, float] | None], exact: bool) -> None:
    """plain has REACH columns more on both sides: a coarse value may come from as near as that."""
    for i, truth in enumerate(plain[REACH:-REACH]):
        low, high, mean = told["min"][i], told["max"][i], told["mean"][i]
        if truth is None:
            assert (low, high, mean) == (None, None, None)
        elif exact:
            assert (low, high) == truth[:2]
            assert mean == pytest.approx(truth[2], abs=1e-4)
        else:
            near = [other for other in plain[i : i + 2 * REACH + 1] if other is not None]
            assert min(other[0] for other in near) <= low <= truth[0]
            assert max(other[1] for other in near) >= high >= truth[1]
            assert low - 1e-4 <= mean <= high + 1e-4


def check_queue(told: dict[str, list[Any]], log: Log, columns: list[int], queue: int, exact: bool) -> None:
    lengths = [after.queues.get(queue, 0) for after in log.after]
    last = log.rows[-1][0]
    for i, (left, _, first, inside) in enumerate(spans(log, columns)):
        if left > last:
            assert told["max"][i] is None
            continue
        values = [lengths[first - 1] if first else 0, *(lengths[event] for event in inside)]
        if exact:
            assert (told["min"][i], told["max"][i]) == (min(values), max(values))
        else:
            assert told["min"][i] <= min(values)
            assert told["max"][i] >= max(values)


def check_counters(told: dict[str, Any], log: Log, columns: list[int], exact: bool) -> None:
    last = log.rows[-1][0]
    columns_seen = [inside for left, _, _, inside in spans(log, columns) if left <= last]
    for name, kind in COUNTED.items():
        plain = [sum(log.rows[event][1] == kind for event in inside) for inside in columns_seen]
        sums = told[name]["sum"]
        assert sums[len(plain) :] == [None] * (len(sums) - len(plain))
        if exact:
            assert sums[: len(plain)] == plain
    for name in ("walked", "strangers"):
        plain = []
        for inside in columns_seen:
            walks = [log.rows[event] for event in inside if log.rows[event][1] == Kind.walk_ended]
            walked = [row[6] & 0x1FFFFF for row in walks]
            mine = [(row[6] >> 21 & 0x1FFFFF) + (row[5] >> 40 & 0xFFFFF) for row in walks]
            plain.append(sum(walked) - (sum(mine) if name == "strangers" else 0))
        if exact:
            assert told[name]["sum"][: len(plain)] == plain


def check_cells(told: np.ndarray[Any, Any], wide: np.ndarray[Any, Any], exact: bool) -> None:
    """wide has REACH columns more on both sides, as for check_gauge()."""
    plain = wide[:, REACH:-REACH]
    assert told.shape == plain.shape
    if exact:
        assert np.array_equal(told, plain)
        return
    assert (told >= plain).all(), "a worst state or a longest queue was lost"
    width = np.lib.stride_tricks.sliding_window_view(wide, 2 * REACH + 1, axis=1)
    reach = np.where(width == 255, -1, width).max(axis=2)
    assert (np.where(told == 255, -1, told) <= reach).all(), "a state or a length was shown where it never was near"


@pytest.mark.parametrize("whole", [1, 2])
def test_given_all_of_a_run_in_one_column_then_the_sums_are_those_of_all_events(
    cases: list[Case], store: Store, whole: int
) -> None:
    for case in cases:
        told = windows.window(store, case.run, 0, case.run.time_ns + 1, whole)
        for name, kind in COUNTED.items():
            assert sum(told["series"][name]["sum"]) == sum(row[1] == kind for row in case.log.rows)
        assert told["events"] == len(case.log.rows)


def test_a_live_run_shows_what_there_is_and_nothing_behind_it(store: Store) -> None:
    log = Log(6, 900)
    run, _ = store.start_run(_scenario())
    claimed = store.run_jobs.claim("me")
    assert claimed is not None
    assert claimed.id == run.id
    before = windows.window(store, claimed, 0, 1_000, 10, ("series", "heat", "lanes"))
    assert before["series"]["waiters"]["max"] == [None] * 10
    assert before["lanes"]["pages"] == []
    from app.store.events import cast_block

    store.set_cast(run.id, 1, cast_block(run.id, log.cast))
    writer = Writer(store, run.id, 1, log.cast, [])
    batches = log.batches(300)
    writer.add(batches[0], 0.3, flush=True)
    writer.close(0.3)
    live = store.run(run.id)
    assert live is not None
    assert live.events == 300
    end = log.rows[-1][0] + 1
    told = windows.window(store, live, 0, end, 50, ("series", "lanes"), None, "list:0,1")
    reached = log.rows[299][0]
    columns = columns_of(0, end, 50).edges.tolist()
    seen = [value is not None for value in told["series"]["waiters"]["max"]]
    assert seen == [left <= reached for left in columns[:-1]]
    assert ((cells_of(told["lanes"]) != 255) == seen).all()


def test_given_a_recording_then_a_page_is_not_seen_until_an_event_names_it(store: Store) -> None:
    """It says nothing of the state that the page had before: least of all that it was free."""
    log = Log(6, 400, queues=8, gap=30)
    log.cast = log.cast.model_copy(update={"pfns": list(range(0x1000, 0x100C)), "cached_in": -1})
    run = play_log(store, log, [16])
    pages = list(range(12))
    asked = ("lanes",), None, "list:" + ",".join(map(str, pages))
    first = {page: next(row[0] for row in log.rows if row[4] == page) for page in pages}
    for t0 in range(0, run.time_ns, 900):
        told = windows.window(store, run, t0, t0 + 900, 900, *asked)
        assert told["level"] == -1
        unseen = cells_of(told["lanes"]) == PageState.unseen
        for page in pages:
            assert unseen[page].tolist() == [time < first[page] for time in range(t0, t0 + 900)]
    whole = windows.window(store, run, 0, run.time_ns + 1, 1, *asked)
    assert (cells_of(whole["lanes"]) != PageState.unseen).all()
    opened = windows.history(store, run.id, 3, 0, run.time_ns + 1)["events"]
    assert opened[0]["before"]["mapping"]["means"].startswith("not known")
    assert not opened[1]["before"]["mapping"]["means"].startswith("not known")


def test_an_event_is_told_with_names_and_words(cases: list[Case], store: Store) -> None:
    log, run = cases[1].log, cases[1].run
    told = windows.events(store, run.id, limit=10_000)
    assert [event["seq"] for event in told] == list(range(len(log.rows)))
    assert [(event["time_ns"], Kind[event["kind"]].value) for event in told] == [row[:2] for row in log.rows]
    swapped = next(event for event in told if event["kind"] == "mapping_swapped")
    assert swapped["b"].startswith("0xffff8")
    assert len(swapped["b"]) == 18
    assert swapped["says"] == f"mapping of page {swapped['pfn']} was swapped for a wait structure"
    assert json.loads(json.dumps(told)) == told


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_given_any_filter_when_followed_page_by_page_then_all_that_fits_is_told_once(
    cases: list[Case], store: Store, data: st.DataObject
) -> None:
    case = cases[data.draw(st.integers(0, len(cases) - 1))]
    rows, run = case.log.rows, case.run
    t0, t1 = data.draw(stretches(run.time_ns))
    kinds = data.draw(st.none() | st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=3))
    tasks = data.draw(st.none() | st.lists(st.integers(0, 19), min_size=1, max_size=4))
    queue = data.draw(st.none() | st.integers(0, 7))
    wanted = windows.Filter(t0, t1, kinds, tasks, data.draw(st.none() | st.integers(0, 11)), queue)
    fits = [
        seq
        for seq, row in enumerate(rows)
        if t0 <= row[0] < t1
        and (kinds is None or row[1] in kinds)
        and (tasks is None or row[3] in tasks)
        and wanted.page in (None, row[4])
        and (queue is None or (row[1] in IN_QUEUES and row[5] & 0xFFFFFFFF == queue))
    ]
    assert windows.count(store, run.id, wanted) in (len(fits), None)
    told: list[int] = []
    after: int | None = None
    while True:
        found = windows.events(store, run.id, after, wanted, limit=37)
        told += [event["seq"] for event in found]
        after = found.next_after_seq
        if after is None:
            break
    assert told == fits


def test_given_few_fitting_events_then_a_question_reads_so_many_chunks_and_says_where_to_go_on(
    cases: list[Case], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.windows.rows.SCAN_MAX", 3)
    found = windows.events(store, cases[0].run.id, wanted=windows.Filter(kinds=[Kind.task_finished]), limit=5)
    assert list(found) == []
    assert found.next_after_seq == 3 * 16 - 1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_pages_history_tells_its_words_before_and_after(cases: list[Case], store: Store, number: int) -> None:
    case = cases[number]
    t0, t1 = case.run.time_ns // 3, case.run.time_ns // 2
    for page in (0, 5, 11):
        told = windows.history(store, case.run.id, page, t0, t1, 1_000)
        expected = [seq for seq, row in enumerate(case.log.rows) if t0 <= row[0] < t1 and row[4] == page]
        assert [event["seq"] for event in told["events"]] == expected
        for event in told["events"]:
            words = case.log.after[event["seq"]].words
            assert words is not None
            after = event["after"]
            assert int(after["mapping"]["word"], 16) == words[0] % 2**64
            assert int(after["flags"]["word"], 16) == words[1] % 2**64
            assert sum(bit << 63 - place for place, bit in enumerate(after["mapping"]["bits"])) == words[0] % 2**64
            earlier = [seq for seq in range(event["seq"]) if case.log.rows[seq][4] == page]
            if earlier:
                assert int(event["before"]["mapping"]["word"], 16) == case.log.after[earlier[-1]].words[0] % 2**64  # type: ignore[index]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"t0": 5, "t1": 5}, "empty_window"),
        ({"t0": -1}, "empty_window"),
        ({"t1": 2**63}, "empty_window"),
        ({"px": 0}, "too_large"),
        ({"px": 5_001}, "too_large"),
        ({"parts": ("series", "sound")}, "invalid"),
        ({"parts": ("lanes",), "pages": "hot:257"}, "too_many_pages"),
        ({"parts": ("lanes",), "pages": "list:" + ",".join(map(str, range(257)))}, "too_many_pages"),
        ({"parts": ("lanes",), "pages": "list:12"}, "invalid"),
        ({"parts": ("lanes",), "pages": "../etc"}, "bad_pages"),
        ({"queue": 8}, "invalid"),
    ],
)
def test_what_cannot_be_shown_is_refused(cases: list[Case], store: Store, asked: dict[str, Any], code: str) -> None:
    run = cases[0].run
    with pytest.raises(UserError) as refused:
        windows.window(store, run, **({"t0": 0, "t1": run.time_ns} | asked))
    assert refused.value.code == code


def test_the_cache_keeps_to_its_bytes(store: Store, cases: list[Case], tmp_path: Path) -> None:
    from app.windows.cache import Cache

    cache = Cache(1_000)
    for number in range(50):
        cache.put(number, str(number), 100)
    assert cache.held <= 1_000
    assert cache.get(0) is None
    assert cache.get(49) == "49"
    cache.put("large", "x", 251)
    assert cache.get("large") is None


def _scenario() -> Any:
    from engine.runs.w1 import scenario

    return scenario(events=1_000)
