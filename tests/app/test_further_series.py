"""The further series of runs with page tables: gauges and counters of protection, faults, devices and KSM.

Windows of any width, from summaries and from events, say what a plain fold of all events says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import windows
from app.settings import load_settings
from app.store import Store, open_store
from engine.cast import Cast
from engine.events import TRANSFER, Batch, Kind
from engine.nodes import MAPPED_GAUGES, more_names
from engine.runs.play import open_run
from engine.scenario import Scenario
from engine.scenarios import shipped
from tests.app.stored import play_log
from tests.app.synthetic import Log

EVENTS = 6_000
SCENARIOS = ("training-copies", "atomics-protected", "library-wait", "library-refuse", "fork-during-protection", "ksm")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(load_settings(data=tmp_path, free_bytes_min=0, ballast_bytes=0))) as store:
        yield store


@dataclass
class Played:
    """A run's events, as tests.app.stored.play_log() takes them."""

    cast: Cast
    events: Batch

    @property
    def rows(self) -> range:
        return range(len(self.events))

    def batch(self) -> Batch:
        return self.events


def played(name: str) -> Played:
    given = shipped()[name].model_dump() | {"limits": {"events": EVENTS}}
    run = open_run(Scenario.model_validate(given))
    parts = [batch[1:] for batch in run.batches()]
    columns: Any = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Played(run.cast, Batch(0, *columns))


class Told:
    """What a plain fold says of the gauges after each event, and of the counters in all."""

    def __init__(self, log: Played) -> None:
        protected, merged, copies, blocked = set[int](), set[int](), 0, 0
        mapcounts = dict.fromkeys(range(log.cast.anonymous), 1)
        self.sums = Counter[str]()
        self.after: dict[str, list[int]] = {name: [] for name in MAPPED_GAUGES}
        columns = [getattr(log.events, name).tolist() for name in ("kind", "page", "a", "b")]
        for kind, page, a, b in zip(*columns, strict=True):
            match Kind(kind):
                case Kind.page_protected:
                    protected.add(page)
                case Kind.page_unprotected:
                    protected.discard(page)
                case Kind.copy_made:
                    copies += 1
                case Kind.copy_dropped:
                    copies -= 1
                case Kind.fault_blocked:
                    blocked += 1
                case Kind.fault_resumed:
                    blocked -= 1
                case Kind.fault_refused if a == 3:
                    blocked -= 1
                case Kind.ksm_page_set:
                    merged.add(page)
                case Kind.page_freed:
                    merged.discard(page)
                case Kind.pte_set | Kind.pte_cleared:
                    mapcounts[page] = b
                case Kind.fault_taken:
                    self.sums["faults"] += 1
                case Kind.tlb_flushed:
                    self.sums["flushes"] += 1
                    self.sums["cpus_interrupted"] += b
                case Kind.page_copied:
                    self.sums["pages_copied"] += 1
                case Kind.device_read | Kind.device_atomic:
                    told = TRANSFER.unpack(a, b)
                    self.sums[f"{'local' if told.local else 'link'}_bytes_{told.device}"] += told.bytes
                    if kind == Kind.device_atomic:
                        self.sums["atomics"] += 1
                        self.sums["atomic_ns"] += b
            sharing = sum(max(mapcounts.get(page, 0) - 1, 0) for page in merged)
            values = (len(protected), copies, blocked, len(merged), sharing)
            for gauge, value in zip(MAPPED_GAUGES, values, strict=True):
                self.after[gauge].append(value)


@pytest.mark.parametrize("name", SCENARIOS)
def test_windows_of_every_width_say_what_a_plain_fold_says(store: Store, name: str) -> None:
    log = played(name)
    told, run = Told(log), play_log(store, log, [500, 1_700, 60])  # type: ignore[arg-type]
    end, names = run.time_ns + 1, more_names(log.cast)
    out = windows.window(store, run, 0, end, 1)["series"]
    levels = set[int]()
    for px, pieces in ((1, 1), (7, 1), (500, 1), (300, 40)):
        cuts = [end * i // pieces for i in range(pieces + 1)]
        found = [windows.window(store, run, t0, t1, px) for t0, t1 in pairwise(cuts)]
        levels |= {window["level"] for window in found}
        for gauge in names.gauges:
            lows = [min(window["series"][gauge]["min"]) for window in found]
            highs = [max(window["series"][gauge]["max"]) for window in found]
            assert (min(lows), max(highs)) == (min([0, *told.after[gauge]]), max([0, *told.after[gauge]])), gauge
        for counter in names.counters:
            assert sum(sum(window["series"][counter]["sum"]) for window in found) == told.sums[counter], counter
    assert {-1} < levels, "from events as well as from summaries"
    times = np.append(log.events.time, run.time_ns)
    for gauge in names.gauges:
        area = int((np.diff(times) * np.array(told.after[gauge])).sum())
        assert out[gauge]["mean"] == [pytest.approx(area / run.time_ns, abs=1e-3)], gauge
    seen = {name for name in (*names.gauges, *names.counters) if max(told.after.get(name, [told.sums[name]]))}
    assert len(seen) >= 3, "the scenario has something to say"


def test_the_value_at_each_event_is_the_one_after_it(store: Store) -> None:
    log = played("library-wait")
    told, run = Told(log), play_log(store, log, [1_000])  # type: ignore[arg-type]
    last = {int(time): i for i, time in enumerate(log.events.time.tolist())}
    for time, i in list(last.items())[:: len(last) // 40]:
        window = windows.window(store, run, time, time + 1, 1)["series"]
        for gauge in MAPPED_GAUGES:
            first = i
            while first and log.events.time[first - 1] == time:
                first -= 1
            values = told.after[gauge][max(first - 1, 0) : i + 1]
            assert window[gauge]["max"] == [max(values)], (gauge, time)


def test_a_run_without_page_tables_has_no_such_series_and_stores_none(store: Store) -> None:
    run = play_log(store, Log(1, 500), [100])
    window = windows.window(store, run, 0, run.time_ns + 1, 3)
    assert not set(MAPPED_GAUGES) & set(window["series"])
