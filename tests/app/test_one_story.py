"""One story for each fact: zoomed out, zoomed in and folded event by event, a run says the same.

Logs are drawn at random and hold every kind of event; plain stores over a swapped mapping are among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from app import windows
from app.settings import load_settings
from app.store import RunRow, Store, open_store
from app.windows.states import pages_before
from app.windows.tree import Run
from engine.events import NONE, WALK, Kind
from engine.fold import Folded
from engine.nodes import GAUGES, heat_fold
from engine.page_state import MARK_SWAPPED, severity_at
from tests.app.stored import play_log
from tests.app.synthetic import Log
from tests.app.test_windows import cells_of, severities
from tests.worlds import start_of

IN_QUEUES = (Kind.waiter_queued, Kind.waiter_woken, Kind.waiter_left)
SLICE_NS = 1_000
"""A window this long has a column for each ns: chunks of more than a few events are read event by event."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(load_settings(data=tmp_path_factory.mktemp("story"), free_bytes_min=0, ballast_bytes=0))
    yield opened
    opened.close()


logs = st.builds(
    Log,
    st.integers(0, 2**20),
    st.integers(150, 300),
    pages=st.integers(2, 12),
    tasks=st.integers(3, 20),
    queues=st.sampled_from((None, None, 2, 8)),
    gap=st.just(200),
    truth=st.just(False),
)
sizes = st.lists(st.sampled_from((16, 23, 40)), min_size=1, max_size=3)


class Told:
    """What the plain fold says after each event of a log, and over all of it."""

    def __init__(self, log: Log) -> None:
        self.prefixes: list[dict[int, tuple[int, int, int, int]]] = []
        """Before each event, and after the last: page -> mapping, flags, waiters, marks, if it was named so far."""
        self.after: list[tuple[int, int] | None] = []
        """Mapping and flags of each event's page after it."""
        state = start_of(log.cast)
        rows = range(log.cast.page_count)
        self.worst = {row: state.page(row).severity for row in rows}
        self.gauges = {name: [0] for name in GAUGES}
        lengths = dict.fromkeys(range(log.cast.queues), 0)
        self.longest = dict(lengths)
        for _, kind, _, task, page, a, b in log.rows:
            self.prefixes.append(_pages(state))
            _add(state, kind, task, page, a, b)
            if page != NONE:
                here = state.page(page)
                self.after.append((here.mapping, here.flags))
                self.worst[page] = max(self.worst[page], severity_at(kind, here.severity))
            else:
                self.after.append(None)
            if kind in (Kind.waiter_queued, Kind.waiter_woken, Kind.waiter_left):
                lengths[a] = b & 0xFFFFFFFF
                self.longest[a] = max(self.longest[a], lengths[a])
            for name, value in (
                ("waiters", sum(page.waiters for page in state.pages.values())),
                ("queue_longest", max(lengths.values())),
                ("queues_in_use", sum(length > 0 for length in lengths.values())),
                ("pages_swapped", sum(page.marks & MARK_SWAPPED for page in state.pages.values())),
            ):
                self.gauges[name].append(value)
        self.prefixes.append(_pages(state))


def _add(state: Folded, kind: int, task: int, page: int, a: int, b: int) -> None:
    """Fold an event. The log's queues are numbered by page: where a plain store has stranded waiters, two structures
    share a number, which the fold's own queues need not tell apart."""
    if page != NONE:
        state.page(page).add(kind, a, b)


def _pages(state: Folded) -> dict[int, tuple[int, int, int, int]]:
    return {row: (page.mapping, page.flags, page.waiters, page.marks) for row, page in state.pages.items()}


def slices(store: Store, run: RunRow, **asked: Any) -> list[dict[str, Any]]:
    """Return windows side by side over all of the run, a column for each ns."""
    end = run.time_ns + 1
    found = [
        windows.window(store, run, t0, min(t0 + SLICE_NS, end), SLICE_NS, ("series", "heat", "lanes"), **asked)
        for t0 in range(0, end, SLICE_NS)
    ]
    assert -1 in {window["level"] for window in found}
    return found


@settings(max_examples=25, deadline=None, phases=(Phase.generate, Phase.explain))
@given(log=logs, sizes=sizes, queue=st.integers(0, 7))
def test_given_any_log_then_zoomed_out_zoomed_in_and_folded_answers_agree(
    store: Store, log: Log, sizes: list[int], queue: int
) -> None:
    run, told = play_log(store, log, sizes), Told(log)
    pages, queue = list(range(log.cast.page_count)), queue % log.cast.queues
    asked: dict[str, Any] = {"queue": queue, "pages": "list:" + ",".join(map(str, pages))}
    parts = ("series", "heat", "lanes")
    out, fine = windows.window(store, run, 0, run.time_ns + 1, 1, parts, **asked), slices(store, run, **asked)
    assert out["gaps"] == []

    for name in ("waiters", "queue_longest", "pages_swapped"):
        highest = max(max(window["series"][name]["max"]) for window in fine)
        lowest = min(min(window["series"][name]["min"]) for window in fine)
        assert (lowest, highest) == (min(told.gauges[name]), max(told.gauges[name])), name
        assert (out["series"][name]["min"], out["series"][name]["max"]) == ([lowest], [highest]), name
        mean = area(log, told.gauges[name]) / max(run.time_ns, 1)
        assert out["series"][name]["mean"] == [pytest.approx(mean if run.time_ns else highest, abs=1e-3)], name
    in_use = area(log, told.gauges["queues_in_use"])
    ratio = area(log, told.gauges["waiters"]) / in_use if in_use else None
    assert out["series"]["queue_mean"]["mean"] == [None if ratio is None else pytest.approx(ratio, abs=1e-3)]

    walks = [WALK.unpack(row[5], row[6]) for row in log.rows if row[1] == Kind.walk_ended]
    for name in ("walked", "matched", "woken", "strangers"):
        total = sum(getattr(walk, name) for walk in walks)
        assert out["series"][name]["sum"] == [total]
        assert sum(sum(window["series"][name]["sum"]) for window in fine) == total

    worst = np.concatenate([severities(window["lanes"]) for window in fine], axis=1).max(axis=1)
    assert worst.tolist() == [told.worst[page] for page in pages]
    assert severities(out["lanes"])[:, 0].tolist() == worst.tolist()

    longest = np.zeros(len(cells_of(out["heat"])), int)
    np.maximum.at(longest, [row // heat_fold(log.cast.queues) for row in told.longest], list(told.longest.values()))
    assert cells_of(out["heat"])[:, 0].tolist() == longest.tolist()
    assert max(cells_of(window["heat"]).max() for window in fine) == longest.max()
    assert out["series"]["queue"]["max"] == [told.longest[queue]]
    assert max(max(window["series"]["queue"]["max"]) for window in fine) == told.longest[queue]


@settings(max_examples=25, deadline=None, phases=(Phase.generate, Phase.explain))
@given(log=logs, sizes=sizes)
def test_given_any_log_then_histories_and_keyframes_hold_the_words_of_the_fold(
    store: Store, log: Log, sizes: list[int]
) -> None:
    run, told = play_log(store, log, sizes), Told(log)
    reader, rows = Run(store, run.id), np.arange(log.cast.page_count)
    start = start_of(log.cast)
    for chunk in range(0, reader.chunks, 3):
        found = pages_before(reader, log.cast, chunk, rows)
        fold = told.prefixes[int(reader.index.first_seq[chunk])]
        for row in rows.tolist():
            stored = tuple(int(column[row]) for column in (found.mapping, found.flags, found.waiters, found.marks))
            page = start.page(row)
            assert stored == fold.get(row, (page.mapping, page.flags, page.waiters, page.marks))
    for row in rows.tolist():
        history = windows.history(store, run.id, row, 0, run.time_ns + 1, 10_000)["events"]
        assert [event["seq"] for event in history] == [seq for seq, each in enumerate(log.rows) if each[4] == row]
        words = [(event["after"]["mapping"]["word"], event["after"]["flags"]["word"]) for event in history]
        folded = [told.after[event["seq"]] for event in history]
        assert words == [tuple(f"0x{word % 2**64:016x}" for word in both or ()) for both in folded]


@settings(max_examples=30, deadline=None, phases=(Phase.generate, Phase.explain))
@given(log=logs, sizes=sizes, begin=st.floats(0, 1), width=st.floats(0, 1.2), queue=st.integers(0, 7))
def test_given_any_window_then_its_figures_are_those_of_its_events_at_five_widths(
    store: Store, log: Log, sizes: list[int], begin: float, width: float, queue: int
) -> None:
    """What a legend says must not depend on how many pixels the picture has."""
    run, told, queue = play_log(store, log, sizes), Told(log), queue % log.cast.queues
    t0 = int(begin * run.time_ns)
    t1 = t0 + 1 + int(width * run.time_ns)
    first, stop = (sum(row[0] < time for row in log.rows) for time in (t0, t1))
    expected: dict[str, dict[str, Any]] = {}
    for name in ("waiters", "queue_longest", "pages_swapped"):
        values = told.gauges[name][first : stop + 1]
        covered = min(t1, run.time_ns) - t0
        mean = cut_area(log, told.gauges[name], t0, t1) / covered if covered else max(values)
        expected[name] = {"min": min(values), "max": max(values), "mean": pytest.approx(mean, abs=1e-3)}
    in_use = cut_area(log, told.gauges["queues_in_use"], t0, t1)
    ratio = cut_area(log, told.gauges["waiters"], t0, t1) / in_use if in_use else None
    expected["queue_mean"] = {"mean": None if ratio is None else pytest.approx(ratio, abs=1e-3)}
    walks = [WALK.unpack(row[5], row[6]) for row in log.rows[first:stop] if row[1] == Kind.walk_ended]
    for name in ("walked", "matched", "woken", "strangers"):
        expected[name] = {"sum": sum(getattr(walk, name) for walk in walks)}
    kinds = [row[1] for row in log.rows[first:stop]]
    for name, kind in (("wakes", Kind.walk_ended), ("swaps_in", Kind.mapping_swapped)):
        expected[name] = {"sum": kinds.count(kind)}
    expected["swaps_out"] = {"sum": kinds.count(Kind.mapping_restored)}
    expected["events"] = {"sum": stop - first}
    changes = [(row[5], row[6] & 0xFFFFFFFF) for row in log.rows[:stop] if row[1] in IN_QUEUES]
    before = [row[5] for row in log.rows[:first] if row[1] in IN_QUEUES].count(queue)
    lengths = [0, *(length for number, length in changes if number == queue)][before:]
    expected["queue"] = {"min": min(lengths), "max": max(lengths)}
    for px in (1, 37, 400, 1_111, 5_000):
        answer = windows.window(store, run, t0, t1, px, ("series", "totals"), queue)
        assert answer["totals"] == expected
    assert windows.window_figures(store, run, t0, t1)["walked"] == expected["walked"]["sum"]


def cut_area(log: Log, values: list[int], t0: int, t1: int) -> int:
    """Return the integral of a gauge over t0..t1, as far as the run goes."""
    times = [0, *(row[0] for row in log.rows)]
    return sum(
        value * max(0, min(after, t1) - max(before, t0))
        for value, before, after in zip(values, times, times[1:], strict=False)
    )


def area(log: Log, values: list[int]) -> int:
    """Return the integral of a gauge over the run; values[0] holds before the first event."""
    times = [0, *(row[0] for row in log.rows)]
    return sum(value * (after - before) for value, before, after in zip(values, times, times[1:], strict=False))


@pytest.mark.parametrize("queues", [8, None])
def test_such_logs_hold_every_kind_of_event(queues: int | None) -> None:
    swaps = {Kind.mapping_swapped, Kind.mapping_restored, Kind.saved_mapping_cleared}
    kinds = {row[1] for row in Log(1, 6_000, queues=queues).rows}
    assert kinds == set(Kind) - (swaps if queues else set())


def test_given_a_plain_store_over_a_swapped_mapping_then_the_summary_and_the_events_count_the_same(
    store: Store,
) -> None:
    """A swap that no mapping_restored ends: the gauge was one too high when read from the events."""
    logs = (Log(seed, 300, queues=None, gap=5) for seed in range(100))
    log = next(log for log in logs if stored_over(log) >= 3)
    run = play_log(store, log, [40])
    assert windows.window(store, run, 0, run.time_ns + 1, 1)["level"] >= 0
    last = windows.window(store, run, run.time_ns, run.time_ns + 1, 1)
    assert last["level"] == -1
    first = next(i for i, row in enumerate(log.rows) if row[0] == run.time_ns)
    values = [after.gauges[GAUGES.index("pages_swapped")] for after in log.after[max(first - 1, 0) :]]
    assert last["series"]["pages_swapped"]["min"] == [min(values)]
    assert last["series"]["pages_swapped"]["max"] == [max(values)]


def stored_over(log: Log) -> int:
    """Return how many swaps ended without a mapping_restored."""
    kinds = [row[1] for row in log.rows]
    return kinds.count(Kind.mapping_swapped) - kinds.count(Kind.mapping_restored) - log.after[-1].gauges[3]
