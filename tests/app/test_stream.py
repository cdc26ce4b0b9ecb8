"""Streams: frames are shared and the newest wins, events are complete and resumable, and every stream ends."""

from __future__ import annotations

import asyncio
import functools
import json
import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.types import Message

from app.limits import Limits
from app.refusals import Refusal
from app.sse import GONE, PING, end, message
from app.stream import Hub, Pass
from engine.errors import Damaged, UserError

RUN = "0123456789ab"
QUICK = Limits(frame_s=0.005, ping_s=0.05, streams_each=2, streams=3)


@dataclass
class Row:
    id: str = RUN
    state: str = "running"
    events: int = 0
    time_ns: int = 0
    progress: float | None = 0.0


class Runs:
    """A store of one run, as far as streams look at it; counts how often it is looked at."""

    def __init__(self) -> None:
        self.row: Row | None = Row()
        self.version = 0
        self.polled = self.read = 0
        self.broken = False

    def change(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self.row, name, value)
        self.version += 1

    def changed(self) -> int:
        self.polled += 1
        if self.broken:
            raise OSError("the disk is gone")
        return self.version

    def run(self, run_id: str) -> Row | None:
        self.read += 1
        return self.row if run_id == RUN else None

    def events_after(self, seq: int, most: int = 7) -> list[dict[str, Any]]:
        if self.row is None:
            return []
        return [{"seq": n} for n in range(seq + 1, min(self.row.events, seq + 1 + most))]


def play(story: Callable[[Hub, Runs], Coroutine[Any, Any, None]], limits: Limits = QUICK) -> None:
    """Play a story on a hub of its own, within ten seconds."""
    runs = Runs()

    async def within() -> None:
        async with asyncio.timeout(10):
            await story(Hub(runs, limits), runs)

    asyncio.run(within())


async def until(true: Callable[[], bool]) -> None:
    """Let the others run until something holds."""
    while not true():
        await asyncio.sleep(0.001)


async def rest(messages: AsyncGenerator[bytes]) -> list[bytes]:
    return [part async for part in messages]


def told(part: bytes) -> dict[str, Any]:
    """Return the data of the `advance` in a frame."""
    lines = part.decode().split("event: advance\n")[1].splitlines()
    found: dict[str, Any] = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
    return found


def test_given_text_of_several_lines_when_sent_then_each_has_its_field() -> None:
    assert message("a\nb", event="x", id=3, retry_ms=9) == b"event: x\nid: 3\nretry: 9\ndata: a\ndata: b\n\n"
    assert message("a\r\nevent: end") == b"data: a\ndata: event: end\n\n"


def test_given_a_run_that_ends_when_followed_then_frames_rise_and_the_last_tells_the_end() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        frames = hub.frames(RUN)
        assert (await anext(frames)).startswith(b"retry: ")
        seen = [told(await anext(frames))]
        for events in (10, 20):
            runs.change(events=events)
            seen.append(told(await anext(frames)))
        runs.change(state="done", events=30)
        last = await rest(frames)
        assert [frame["events"] for frame in [*seen, told(last[0])]] == [0, 10, 20, 30]
        assert last[0].endswith(end("done"))
        assert len(last) == 1
        assert not hub.watches

    play(story)


def test_given_a_slow_viewer_when_it_comes_back_then_it_gets_the_newest_frame_only() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        frames = hub.frames(RUN)
        await anext(frames)
        assert told(await anext(frames))["events"] == 0
        for events in range(1, 50):
            runs.change(events=events)
            await until(lambda events=events: hub.watches[RUN].frame.events == events)  # type: ignore[misc]
        assert told(await anext(frames))["events"] == 49
        await frames.aclose()

    play(story)


def test_given_many_viewers_when_the_run_moves_then_it_is_read_once_and_all_get_the_same_bytes() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        viewers = [hub.frames(RUN) for _ in range(50)]
        for viewer in viewers:
            await anext(viewer)
        before = runs.read
        firsts = [await anext(viewer) for viewer in viewers]
        runs.change(events=1)
        seconds = [await anext(viewer) for viewer in viewers]
        assert runs.read <= before + 2, "the poller looks once at first, and once after the change"
        assert len({id(part) for part in firsts}) == len({id(part) for part in seconds}) == 1
        for viewer in viewers:
            await viewer.aclose()

    play(story)


def test_given_many_viewers_of_an_ended_runs_events_then_each_message_is_made_once() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        runs.change(events=100, state="done")
        asked: list[int] = []

        def read(after: int) -> list[dict[str, Any]]:
            asked.append(after)
            return runs.events_after(after)

        first = await rest(hub.events(RUN, read))
        others = await asyncio.gather(*(rest(hub.events(RUN, read)) for _ in range(20)))
        assert all(parts == first for parts in others)
        assert asked == [*range(-1, 100, 7), 99]

    play(story)


def test_given_no_viewer_when_time_passes_then_nothing_is_polled() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        frames = hub.frames(RUN)
        await anext(frames)
        await anext(frames)
        await frames.aclose()
        await until(lambda: hub._poller is not None and hub._poller.done())
        polled = runs.polled
        await asyncio.sleep(10 * QUICK.frame_s)
        assert runs.polled == polled

    play(story)


def test_given_silence_when_it_lasts_then_a_ping_is_sent() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        for stream in (hub.frames(RUN), hub.events(RUN, runs.events_after)):
            parts = [await anext(stream) for _ in range(4)]
            assert PING in parts
            await stream.aclose()

    play(story)


def test_given_a_store_that_fails_for_a_moment_when_it_is_back_then_the_stream_goes_on() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        frames = hub.frames(RUN)
        await anext(frames)
        await anext(frames)
        runs.broken = True
        polled = runs.polled
        await until(lambda: runs.polled > polled + 2)
        runs.broken = False
        runs.change(state="done")
        assert (await rest(frames))[-1].endswith(end("done"))

    play(story)


@pytest.mark.parametrize("state", ["running", "done"])
def test_given_a_run_that_is_deleted_when_followed_then_its_viewers_are_told(state: str) -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        runs.change(state=state, events=10)
        frames, events = hub.frames(RUN), hub.events(RUN, runs.events_after)
        for stream in (frames, events):
            await anext(stream)
            await anext(stream)
        runs.row = None
        runs.version += 1
        if state == "running":
            assert (await rest(frames)) == [GONE]
        assert (await rest(events)) == [GONE]

    play(story)


def test_given_a_run_that_is_deleted_while_its_events_are_read_then_no_other_reason_is_given() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        def failing(fault: Exception, after: int) -> list[dict[str, Any]]:
            if after < 0:
                return [{"seq": 0}]
            runs.row = None
            raise fault

        for fault in (Damaged("chunk 1 is missing"), UserError("it has no events yet", code="no_cast")):
            runs.row = Row(state="done", events=10)
            events = hub.events(RUN, functools.partial(failing, fault))
            await anext(events)
            await anext(events)
            assert await rest(events) == [GONE]

    play(story)

    play(story)


@pytest.mark.parametrize("seed", range(20))
def test_given_cuts_at_random_events_when_resumed_by_id_then_none_is_missing_or_doubled(seed: int) -> None:
    draw = random.Random(seed)

    async def story(hub: Hub, runs: Runs) -> None:
        async def grow() -> None:
            while runs.row is not None and runs.row.events < 400:
                runs.change(events=runs.row.events + draw.randrange(1, 30))
                await asyncio.sleep(0.001)
            runs.change(state="done")

        growing = asyncio.create_task(grow())
        got: list[int] = []
        last_id: str | None = None
        ended = False
        while not ended:
            stream = hub.events(RUN, runs.events_after, last_id)
            for _ in range(draw.randrange(1, 12)):
                part = await anext(stream, end("done"))
                if part.startswith(b"event: events"):
                    fields = dict(line.split(": ", 1) for line in part.decode().strip().splitlines())
                    last_id = fields["id"]
                    got += [event["seq"] for event in json.loads(fields["data"])]
                ended = part == end("done")
                if ended:
                    break
            await stream.aclose()
        await growing
        assert runs.row is not None
        assert got == list(range(runs.row.events))

    play(story)


@pytest.mark.parametrize("last_id", ["nonsense", "-1", "100", "1e3", "٣", "9" * 30])
def test_given_an_id_that_is_unknown_when_resumed_then_a_reset_says_so_and_all_is_sent(last_id: str) -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        runs.change(events=100, state="done")
        first, *parts = await rest(hub.events(RUN, runs.events_after, last_id))
        assert b"event: reset\n" in first
        assert parts[0].startswith(b"event: events\nid: 6\n")
        assert parts[-1] == end("done")

    play(story)


def test_given_the_last_event_of_a_run_that_is_over_when_resumed_then_it_ends_at_once() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        runs.change(events=100, state="done")
        assert await rest(hub.events(RUN, runs.events_after, "99")) == [b"retry: 2000\n\n", end("done")]

    play(story)


@pytest.mark.parametrize("kind", ["frames", "events"])
def test_given_a_link_that_is_withdrawn_when_a_stream_is_open_by_it_then_it_ends_within_a_second(kind: str) -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        good = True
        asked = 0

        def still() -> bool:
            nonlocal asked
            asked += 1
            return good

        by = Pass("link", still)
        streams = [
            hub.frames(RUN, by=by) if kind == "frames" else hub.events(RUN, runs.events_after, by=by) for _ in range(20)
        ]
        for stream in streams:
            await anext(stream)
        good = False
        began = asyncio.get_running_loop().time()
        parts = await asyncio.gather(*(rest(stream) for stream in streams))
        assert asyncio.get_running_loop().time() - began <= 1
        assert all(part[-1] == GONE for part in parts)
        assert asked <= 3, "one question serves all who hold the link"

    play(story, QUICK._replace(ping_s=5))


def test_given_a_stop_when_streams_are_open_then_each_gets_a_last_message_with_a_retry_time() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        streams = [hub.frames(RUN), hub.events(RUN, runs.events_after)]
        for stream in streams:
            await anext(stream)
        waiting = [asyncio.create_task(rest(stream)) for stream in streams]
        await until(lambda: hub.watches[RUN].viewers == 2)
        hub.stop()
        for parts in await asyncio.gather(*waiting):
            assert parts[-1].startswith(b"event: stop\nretry: ")

    play(story)


class Viewer:
    """One end of a response: takes what is sent, or stops taking, or goes away."""

    def __init__(self, takes: int = 10**9) -> None:
        self.takes, self.got = takes, 0
        self.left = asyncio.Event()
        self.dropped = False

    def scope(self) -> dict[str, Any]:
        return {"type": "http", "state": {"connection": self}}

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, sent: Message) -> None:
        if self.got >= self.takes:
            await asyncio.Event().wait()
        self.got += 1

    def narrow(self) -> None:
        pass

    def drop(self) -> None:
        self.dropped = True
        self.left.set()


def test_given_places_for_two_when_a_third_comes_then_it_is_429_until_one_leaves() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        here = [Viewer(), Viewer()]
        watching = [
            asyncio.create_task(hub.open(hub.frames(RUN), "one")(viewer.scope(), viewer.receive, viewer.send))
            for viewer in here
        ]
        with pytest.raises(Refusal) as refused:
            hub.open(hub.frames(RUN), "one")
        assert (refused.value.status_code, refused.value.code) == (429, "too_many_streams")
        await until(lambda: all(viewer.got > 2 for viewer in here))
        here[0].left.set()
        await watching[0]
        assert hub.seats == {"one": 1}
        hub.open(hub.frames(RUN), "one")
        hub.open(hub.frames(RUN), "two")
        with pytest.raises(Refusal):
            hub.open(hub.frames(RUN), "three")
        here[1].left.set()
        await watching[1]

    play(story)


def test_given_a_stop_when_a_viewer_takes_nothing_then_it_is_cut_off() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        stuck = Viewer(takes=2)
        watching = asyncio.create_task(hub.open(hub.frames(RUN), "one")(stuck.scope(), stuck.receive, stuck.send))
        await until(lambda: stuck.got == 2)
        hub.stop()
        await watching
        assert stuck.dropped

    play(story)


def test_given_viewers_that_vanish_when_a_thousand_came_and_went_then_nothing_is_left_of_them() -> None:
    async def story(hub: Hub, runs: Runs) -> None:
        before = len(asyncio.all_tasks())
        for _ in range(1_000):
            viewer = Viewer()
            watching = asyncio.create_task(
                hub.open(hub.frames(RUN), "one")(viewer.scope(), viewer.receive, viewer.send)
            )
            await until(lambda viewer=viewer: viewer.got > 1)  # type: ignore[misc]
            viewer.left.set()
            await watching
        await until(lambda: hub._poller is not None and hub._poller.done())
        assert len(asyncio.all_tasks()) == before
        assert not hub.seats
        assert not hub.streams

    play(story)
