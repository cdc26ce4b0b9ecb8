"""The writer: batches as they were played become chunks, summaries and keyframes, and are stored a few at a time.

Folding (compiled) happens in the player's thread, packing and storing in a thread of its own: the disk's and the
packer's time passes while the engine plays on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from app.chunks import States, decode, encode
from app.nodes import encode_cells, encode_folded, encode_series
from app.packing import checksum, seal
from app.store import Store
from app.store.events import ChunkRow, chunk_place, keyframe_place, node_place
from app.store.work import NewChunk, NewNode, Progress
from engine.cast import Cast
from engine.errors import Damaged, UserError
from engine.events import BATCH, Batch
from engine.nodes import FAN, Folded, Node
from engine.summaries.merge import KEYS_MAX, Merger
from engine.summaries.planes import CompiledPlanes
from engine.summaries.summary import Summariser

COMMIT_BYTES = 1 << 22
COMMIT_S = 0.25
AHEAD = 6
"""Max. chunks folded but not yet packed."""
FIGURES_S, HOT_S = 0.1, 1.0
"""Interval between updates of the key figures, and of the hot pages."""
KEYFRAME_CHUNKS = 16
PAGES_A_KEYFRAME = 1 << 18
"""Above this number of pages, keyframes become proportionally rarer."""


class Item(NamedTuple):
    """A chunk passed from the player's thread to the writer's."""

    batch: Batch
    states: States
    leaf: Node
    touched: Folded
    keyframe: Folded | None
    known: Progress
    stored: bool


def keyframe_chunks(pages: int) -> int:
    """Return the number of chunks between keyframes of a run."""
    return KEYFRAME_CHUNKS * max(1, -(-pages // PAGES_A_KEYFRAME))


class Writer:
    """Stores one run, in order: add() folds and queues. An error in the thread is raised by the next call."""

    def __init__(self, store: Store, run_id: str, attempt: int, cast: Cast, stored: list[ChunkRow]) -> None:
        """stored: the chunks of an earlier attempt; the same events must be added again."""
        self._store, self._run_id, self._attempt = store, run_id, attempt
        self._stored = stored
        self._summary = Summariser(cast)
        pages = cast.page_count if cast.pfns is None else len(cast.pfns)
        self._planes = CompiledPlanes(len(cast.tasks))
        self._merger = Merger(pages, max(cast.queues, 1))
        self._keyframe_chunks = keyframe_chunks(pages)
        self._digest = hashlib.sha256()
        self._folded = 0  # chunks that add() has taken
        self._pending: Batch | None = None
        self._figures_at = self._hot_at = 0.0
        self._tree: list[list[Node]] = []
        self._chunks: list[NewChunk] = []
        self._nodes: list[NewNode] = []
        self._keyframes: list[tuple[int, bytes]] = []
        self._bytes, self._since, self._last = 0, time.monotonic(), Progress(0, 0.0, None, None)
        self._items: queue.Queue[Item | None] = queue.Queue(AHEAD)
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"writer of {run_id}", daemon=True)
        self._thread.start()

    @property
    def resumed_events(self) -> int:
        """Number of events stored by an earlier attempt."""
        return self._stored[-1].first_seq + self._stored[-1].events if self._stored else 0

    def add(self, batch: Batch, progress: float, *, flush: bool = False) -> None:
        """Add the next events; flush: store them even if they do not fill a chunk."""
        if self._pending is not None:
            batch = _joined(self._pending, batch)
            self._pending = None
        for part in self._cuts(batch, flush):
            self._fold(part, progress)

    def _cuts(self, batch: Batch, flush: bool) -> Iterator[Batch]:
        """Cut events into chunks: at the boundaries of an earlier attempt, then full ones; keep the remainder."""
        start = 0
        while start < len(batch):
            seq = batch.first_seq + start
            number = self._folded
            if number < len(self._stored):
                row = self._stored[number]
                assert row.number == number, "a stored chunk is missing"
                assert row.first_seq == seq, "the stored chunks leave a gap"
                size = row.events
                if start + size > len(batch):
                    break
            elif len(batch) - start < BATCH // 2 and not flush:
                break
            else:
                size = min(BATCH, len(batch) - start)
            yield batch.cut(start, start + size)
            start += size
        if start < len(batch):
            self._pending = batch.cut(start, len(batch))

    def _fold(self, batch: Batch, progress: float) -> None:
        number, summary = self._folded, self._summary
        keyframe = summary.keyframe() if number and number % self._keyframe_chunks == 0 else None
        leaf, states = summary.leaf(batch)
        known = self._known(leaf.t1, progress)
        self._put(Item(batch, states, leaf, summary.touched(leaf), keyframe, known, number < len(self._stored)))
        self._folded += 1

    def _known(self, time_ns: int, progress: float, *, last: bool = False) -> Progress:
        """Return the progress for the run's row. Figures and hot pages are included only at intervals."""
        figures, hot, now = None, None, time.monotonic()
        if last or now >= self._figures_at:
            figures, self._figures_at = _json(self._summary.figures()), now + FIGURES_S
        if last or now >= self._hot_at:
            hot, self._hot_at = _json(self._summary.hot_pages()), now + HOT_S
        return Progress(time_ns, progress, figures, hot)

    def finish(self) -> tuple[str, Progress]:
        """Store the remaining events; return the seal and the final figures. Closes the writer."""
        self.close(1.0)
        assert self._folded >= len(self._stored), "the run ended before its stored events did"
        return self._digest.hexdigest(), self._known(0, 1.0, last=True)

    def close(self, progress: float) -> None:
        """Store everything added, and end the thread."""
        rest, self._pending = self._pending, None
        if rest is not None and self._folded >= len(self._stored):
            self._fold(rest, progress)
        self._put(None)
        self._thread.join()
        self._raise()

    def drop(self) -> None:
        """End the thread if it still runs, and discard unstored events."""
        while self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._items.put(None, timeout=0.1)
            self._thread.join(0.1)

    def _put(self, item: Item | None) -> None:
        while True:
            self._raise()
            try:
                self._items.put(item, timeout=0.5)
                return
            except queue.Full:
                continue

    def _raise(self) -> None:
        if self._fault is not None:
            raise self._fault

    # --- in the writer's thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            number = 0
            while (item := self._next()) is not None:
                if item.stored:
                    self._compare(number, item.batch)
                else:
                    self._pack(number, item)
                self._digest.update(self._planes.records(item.batch))
                self._grow(0, item.leaf, number, item)
                number += 1
                if self._bytes >= COMMIT_BYTES or time.monotonic() - self._since >= COMMIT_S:
                    self._commit()
            self._commit()
        except BaseException as error:
            self._fault = error  # raised in the thread that waits for room or for the end

    def _next(self) -> Item | None:
        """Return the next item, None at the end; commit pending items after at most COMMIT_S."""
        while True:
            try:
                return self._items.get(timeout=COMMIT_S if self._chunks else None)
            except queue.Empty:
                self._commit()

    def _compare(self, number: int, batch: Batch) -> None:
        """Compare replayed events with those stored by an earlier attempt."""
        try:
            before = decode(self._store.chunk(self._run_id, number))
        except Damaged:
            return  # verify() names it; the seal is that of the events, which are known again
        same = np.array_equal(before.records(), batch.records())
        assert same, f"chunk {number} was played differently this time"

    def _pack(self, number: int, item: Item) -> None:
        batch, leaf = item.batch, item.leaf
        data = encode(batch, item.states, self._planes)
        place = chunk_place(self._run_id, number)
        self._chunks.append(
            NewChunk(number, batch.first_seq, len(batch), leaf.t0, leaf.t1, checksum(place, data), data)
        )
        if item.keyframe is not None:
            frame = seal(keyframe_place(self._run_id, number), encode_folded(item.keyframe, self._planes))
            self._keyframes.append((number, frame))
        self._bytes += len(data)
        before, known = self._last, item.known
        self._last = known._replace(
            figures_json=known.figures_json or before.figures_json, hot_json=known.hot_json or before.hot_json
        )

    def _grow(self, level: int, node: Node, number: int, item: Item) -> None:
        """Add a node to the tree, and its parent after the sixteenth child."""
        if not item.stored:
            self._nodes.append(self._packed(level, number, node, item.touched if level == 0 else None))
        if level == len(self._tree):
            self._tree.append([])
        self._tree[level].append(node)
        if len(self._tree[level]) == FAN:
            above = self._merger.merge(self._tree[level], keep=KEYS_MAX if level else None)
            self._tree[level] = []
            self._grow(level + 1, above, number // FAN, item)

    def _packed(self, level: int, number: int, node: Node, touched: Folded | None) -> NewNode:
        def block(part: str, data: bytes) -> bytes:
            self._bytes += len(data)
            return seal(node_place(self._run_id, level, number, part), data)

        folded = None if touched is None else block("folded", encode_folded(touched, self._planes))
        series = block("series", encode_series(node, self._planes, self._summary.more))
        return NewNode(level, number, series, block("cells", encode_cells(node, self._planes)), folded)

    def _commit(self) -> None:
        self._since = time.monotonic()
        if not self._chunks:
            return
        while True:
            try:
                what = (self._chunks, self._nodes, self._keyframes, self._last)
                self._store.append(self._run_id, self._attempt, *what)
                break
            except UserError as error:
                if error.code != "store_busy":  # another process holds the lock: retry later, the run continues
                    raise
        self._chunks, self._nodes, self._keyframes, self._bytes = [], [], [], 0
        self._store.checkpoint()
        self._since = time.monotonic()


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _joined(one: Batch, other: Batch) -> Batch:
    """Concatenate two consecutive batches."""
    assert one.first_seq + len(one) == other.first_seq, "a batch is missing"
    pairs: Any = zip(one[1:], other[1:], strict=True)
    return Batch(one.first_seq, *(np.concatenate(pair) for pair in pairs))
