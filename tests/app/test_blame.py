"""Who stands in a queue at an instant, against all events before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from app import windows
from app.settings import load_settings
from app.store import Store, open_store
from engine.errors import UserError
from engine.events import Kind
from tests.app.stored import play_log
from tests.app.synthetic import Log


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(load_settings(data=tmp_path_factory.mktemp("blame"), free_bytes_min=0, ballast_bytes=0))
    yield opened
    opened.close()


def line(log: Log, queue: int, time: int) -> list[tuple[int, int, int]]:
    """Return task, page and since when of each entry of a queue after all events up to `time`."""
    entries: dict[int, tuple[int, int, int]] = {}
    for at, kind, _, task, page, a, _ in log.rows:
        if at > time or a != queue:
            continue
        if kind == Kind.waiter_queued:
            entries[task] = (task, page, at)
        elif kind in (Kind.waiter_woken, Kind.waiter_left):
            entries.pop(task, None)
    return list(entries.values())


@settings(max_examples=20, deadline=None, phases=(Phase.generate,))
@given(seed=st.integers(0, 2**20), size=st.sampled_from((16, 40)), share=st.floats(0, 1), queue=st.integers(0, 7))
def test_given_any_instant_then_the_queue_holds_those_who_came_and_have_not_left(
    store: Store, seed: int, size: int, share: float, queue: int
) -> None:
    log = Log(seed, 250, queues=8, gap=20, truth=False)
    run = play_log(store, log, [size])
    time = int(share * run.time_ns)
    told = windows.queue_at(store, run.id, queue, time)
    assert [(e["task"], e["page"], e["since_ns"]) for e in told["entries"]] == line(log, queue, time)
    assert told["unnamed"] == 0
    lengths = {
        at: len(line(log, queue, at)) for at in {time, *(row[0] for row in log.rows if time < row[0] < time + 400)}
    }
    longest = windows.queue_at(store, run.id, queue, time, time + 400)
    assert len(longest["entries"]) == lengths[longest["time_ns"]] >= lengths[time]
    assert all(e["pfn"] == f"0x{0x1000 + e['page']:x}" for e in told["entries"])


def test_given_waits_longer_than_is_read_then_they_are_counted_without_names(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.windows.blame.SCAN_MAX", 0)
    log = Log(3, 400, queues=1, gap=20, truth=False)
    run = play_log(store, log, [16])
    for time in range(0, run.time_ns, max(1, run.time_ns // 25)):
        told = windows.queue_at(store, run.id, 0, time)
        assert told["unnamed"] + len(told["entries"]) == len(line(log, 0, time))


def test_given_a_queue_that_is_not_there_then_the_refusal_names_those_that_are(store: Store) -> None:
    run = play_log(store, Log(4, 60, queues=8, truth=False), [16])
    with pytest.raises(UserError, match="queues 0 to 7"):
        windows.queue_at(store, run.id, 8, 0)
