"""Streams: a run followed by any number of viewers at little cost.

    frames   what is now: status line and how far the run is, at most ten a second; a slow viewer skips frames
    events   what happened, complete and in order, read from the store at the reader's own pace, resumable

One poller looks whether anything was committed (some 60 us) and reads each watched run once; a frame is encoded once,
and the same bytes go to all its viewers. No transaction is held across an await.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, NamedTuple, Protocol

from app.limits import LIMITS, Limits
from app.refusals import Refusal, visible
from app.sse import GONE, PING, EventStream, end, message
from engine.errors import Damaged, UserError

log = logging.getLogger("folioscope")

OVER = frozenset({"done", "failed", "cancelled"})
RETRY_MS = 2_000
PASS_S = 0.5
"""Max. age of a check that a link is still valid: a revoked link ends its streams within a second."""
READERS = 2
"""Streams of events that read and encode at the same time: more would keep the interpreter from everything else."""
SENT_KEPT = 32
"""Messages of events kept for other viewers of the same run; each has about 200 KiB."""
STOP_S = 1.0
"""Time after a stop until a viewer that has not received its last message is disconnected."""


class Runs(Protocol):
    """The part of the store that streams use."""

    def changed(self) -> int: ...

    def run(self, run_id: str) -> Any: ...


class Pass(NamedTuple):
    """Revocable access of a viewer: a key that identifies it, and a function that checks it."""

    key: str
    good: Callable[[], bool]


class Frame(NamedTuple):
    """The visible state of a run at one moment, ready to send; number increases within a watch."""

    number: int
    data: bytes
    events: int
    last: bytes
    """What ends a stream of events here: b"" while the run goes on."""


class Over(Exception):
    """A stream must end before its run ends; words is the last message."""

    def __init__(self, words: bytes) -> None:
        super().__init__()
        self.words = words


class Watch:
    """The newest frame of one run, shared by all its viewers, and a way to wait for the next."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.viewers = 0
        self.frame = Frame(-1, b"", 0, b"")
        self._moved = asyncio.Event()

    def publish(self, data: bytes, events: int, last: bytes) -> None:
        """Publish a frame unless it equals the newest one."""
        if self.frame.data != data:
            self.frame = Frame(self.frame.number + 1, data, events, last)
            self.wake()

    def wake(self) -> None:
        """Wake every waiting viewer."""
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def moved(self, seconds: float) -> None:
        """Wait to be woken, at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._moved.wait()


class Hub:
    """All streams of this process. status(run) gives the status line as HTML, for htmx to swap in."""

    def __init__(self, store: Runs, limits: Limits = LIMITS, status: Callable[[Any], str] | None = None) -> None:
        self.store, self.limits, self.status = store, limits, status
        self.stopping = False
        self.streams: set[EventStream] = set()
        self.seats: Counter[str] = Counter()
        self.watches: dict[str, Watch] = {}
        self._poller: asyncio.Task[None] | None = None
        self._reading = asyncio.Semaphore(READERS)
        self._sent: dict[tuple[str, int], tuple[int, bytes]] = {}
        """(run, event) -> the next message of events after it; the oldest is forgotten first."""
        self._passes: dict[str, tuple[float, bool]] = {}

    def open(self, messages: AsyncGenerator[bytes], address: str) -> EventStream:
        """Return the response that sends messages. Raises Refusal 429 if the limit on viewers is reached."""
        limits = self.limits
        if self.seats[address] >= limits.streams_each or self.seats.total() >= limits.streams:
            detail = f"too many streams: at most {limits.streams_each} per address, {limits.streams} in total"
            raise Refusal(429, "too_many_streams", detail, limit=limits.streams_each)
        self.seats[address] += 1

        def done(stream: EventStream) -> None:
            self.streams.discard(stream)
            self.seats[address] -= 1
            if not self.seats[address]:
                del self.seats[address]

        stream = EventStream(messages, done)
        self.streams.add(stream)
        return stream

    async def frames(self, run_id: str, last_id: str | None = None, by: Pass | None = None) -> AsyncGenerator[bytes]:
        """Yield the frames of a run, starting with the current one, until the run ends."""
        with self._watch(run_id) as watch:
            yield self._hello(last_id, watch.frame.events)
            number = -1
            try:
                while not watch.frame.last or number < watch.frame.number:
                    frame = await self._newer(watch, number, by)
                    if frame is None:
                        yield PING
                    else:
                        number = frame.number
                        yield frame.data
            except Over as over:
                yield over.words

    async def events(
        self,
        run_id: str,
        read: Callable[[int], list[dict[str, Any]]],
        last_id: str | None = None,
        by: Pass | None = None,
    ) -> AsyncGenerator[bytes]:
        """Yield every event after last_id in batches, each with the id of its last event, until the run ends.

        read(seq) returns the next events after seq, in order; [] where the store has no more yet. Where it meets
        damage, the stream says so and ends: what lies behind a gap is no complete stream any more.
        """
        with self._watch(run_id) as watch:
            latest = watch.frame.events - 1
            yield self._hello(last_id, latest)
            after = int(last_id) if last_id is not None and _known(last_id, latest) else -1
            try:
                while True:
                    frame = watch.frame  # read before the store: a commit in between appears in the next round
                    self._check(by)
                    if frame.last == GONE:
                        yield GONE
                        return
                    after, data = await self._next(run_id, read, after, over=bool(frame.last))
                    if data:
                        yield data
                    elif frame.last:
                        self._refresh(watch)  # it may have been deleted since
                        yield watch.frame.last
                        return
                    elif await self._newer(watch, frame.number, by) is None:
                        yield PING
            except Over as over:
                yield over.words
            except Damaged as damaged:
                self._refresh(watch)
                why = message(json.dumps({"after": after, "why": str(damaged)}), event="damaged") + end("damaged")
                yield GONE if watch.frame.last == GONE else why
            except UserError:  # a run that is being deleted, or a locked database: then the viewer comes back
                self._refresh(watch)
                yield GONE if watch.frame.last == GONE else self._pause()

    async def _next(
        self, run_id: str, read: Callable[[int], list[dict[str, Any]]], after: int, *, over: bool
    ) -> tuple[int, bytes]:
        """Return the number of the last event after `after` that is read next, and the message of what was read.

        over: the run has ended, so that its other viewers are sent the same.
        """
        if (known := self._sent.get((run_id, after))) is not None:
            return known
        async with self._reading:
            found = await asyncio.to_thread(_next_message, read, after)
        if over:
            self._sent[run_id, after] = found
            if len(self._sent) > SENT_KEPT:
                del self._sent[next(iter(self._sent))]
        return found

    def stop(self) -> None:
        """End every stream with a last message; disconnect viewers that do not receive it within STOP_S."""
        self.stopping = True
        for watch in self.watches.values():
            watch.wake()
        asyncio.get_running_loop().call_later(STOP_S, self._cut_off)

    def _cut_off(self) -> None:
        for stream in list(self.streams):
            stream.drop()

    @contextlib.contextmanager
    def _watch(self, run_id: str) -> Iterator[Watch]:
        watch = self.watches.get(run_id)
        if watch is None:
            watch = self.watches[run_id] = Watch(run_id)
            self._refresh(watch)
        watch.viewers += 1
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            yield watch
        finally:
            watch.viewers -= 1
            if not watch.viewers:
                del self.watches[run_id]

    async def _poll(self) -> None:
        seen: int | None = None
        while self.watches:
            try:
                now = self.store.changed()
                if now != seen:
                    for watch in list(self.watches.values()):
                        self._refresh(watch)
                    seen = now
            except Exception:
                # One failed poll (a locked file, for example) must not end all streams: the next may succeed.
                log.exception("the store could not be polled")
            await asyncio.sleep(self.limits.frame_s)

    def _refresh(self, watch: Watch) -> None:
        run = self.store.run(watch.run_id)
        if run is None:
            watch.publish(GONE, 0, GONE)
            return
        last = end(run.state) if run.state in OVER else b""
        advance = {"events": run.events, "time_ns": run.time_ns, "state": run.state, "progress": run.progress}
        data = message(self.status(run), id=run.events) if self.status else b""
        data += message(json.dumps(advance), event="advance", id=run.events) + last
        watch.publish(data, run.events, last)

    async def _newer(self, watch: Watch, number: int, by: Pass | None) -> Frame | None:
        """Return the newest frame once it is newer than `number`, None when a ping is due."""
        clock = asyncio.get_running_loop().time
        until = clock() + self.limits.ping_s
        while True:
            self._check(by)
            if watch.frame.number > number:
                return watch.frame
            left = until - clock()
            if left <= 0:
                return None
            await watch.moved(min(left, PASS_S) if by else left)

    def _check(self, by: Pass | None) -> None:
        """Raise Over if the server is stopping or the pass was revoked (one check for all its holders)."""
        if self.stopping:
            raise Over(self._pause())
        if by is None:
            return
        now = asyncio.get_running_loop().time()
        then, good = self._passes.get(by.key, (now - 1e9, False))
        if now - then >= PASS_S:
            self._passes = {key: seen for key, seen in self._passes.items() if now - seen[0] < 60}
            good = by.good()
            self._passes[by.key] = (now, good)
        if not good:
            raise Over(GONE)

    def _pause(self) -> bytes:
        """Return a last message that asks for a new connection after a random delay, to avoid a thundering herd."""
        return message("{}", event="stop", retry_ms=RETRY_MS + random.randrange(4_000))

    def _hello(self, last_id: str | None, latest: int) -> bytes:
        """Return the first message; an id unknown to this run yields a reset, never a silent gap."""
        hello = f"retry: {RETRY_MS}\n\n".encode()
        if last_id is None or _known(last_id, latest):
            return hello
        why = f"this run has no event {visible(last_id, 40)}: what follows starts anew"
        return hello + message(json.dumps({"why": why, "latest": latest}), event="reset")


def _next_message(read: Callable[[int], list[dict[str, Any]]], after: int) -> tuple[int, bytes]:
    """Return the number of the last event read, and the message of what was read, b"" for nothing."""
    rows = read(after)
    if not rows:
        return after, b""
    last: int = rows[-1]["seq"]
    return last, message(json.dumps(rows, separators=(",", ":")), event="events", id=last)


def _known(last_id: str, latest: int) -> bool:
    """Return whether a client's last id is valid for a run whose latest id is `latest`."""
    return last_id.isascii() and last_id.isdigit() and len(last_id) < 17 and int(last_id) <= latest
