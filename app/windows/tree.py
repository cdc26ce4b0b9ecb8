"""One run as windows see it: where its chunks stand, the summary tree above them, and the parts that a window needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.chunks import States, What, decode_times, decode_what, decode_with_states
from app.nodes import CellsPart, SeriesPart, decode_folded
from app.store import ChunkRow, Store
from app.windows.cache import cache_of
from engine.cast import Cast
from engine.errors import Damaged
from engine.events import Batch
from engine.formats import upgraded_events
from engine.nodes import FAN, Folded, leaf_bins, node_bins

Words = NDArray[np.int64]


class Index(NamedTuple):
    """Where all chunks of a run stand, each of shape (chunks,)."""

    first_seq: Words
    events: Words
    t0: Words
    t1: Words


class Piece(NamedTuple):
    """A node of the tree, or with level -1 the events of a chunk themselves."""

    level: int
    number: int
    t0: int
    t1: int

    @property
    def first_chunk(self) -> int:
        return self.number << 4 * max(self.level, 0)

    def children(self, index: Index) -> list[Piece]:
        """Return what tells the same more finely."""
        if self.level == 0:
            return [self._replace(level=-1)]
        first = self.number * FAN
        return [piece(index, self.level - 1, number) for number in range(first, first + FAN)]


def piece(index: Index, level: int, number: int) -> Piece:
    """Return the piece that covers node `number` of a level."""
    size = 1 << 4 * max(level, 0)
    return Piece(level, number, int(index.t0[number * size]), int(index.t1[(number + 1) * size - 1]))


class _Part(Protocol):
    @property
    def nbytes(self) -> int: ...


P = TypeVar("P", bound=_Part)


class _Touched:
    """What a chunk left of the pages and queues that it touched."""

    def __init__(self, data: memoryview) -> None:
        self.folded = decode_folded(data)
        self.nbytes = sum(part.nbytes for part in self.folded)


class Run:
    """Reads a run's parts, decoded, out of the cache where they are in it. All parts may raise Damaged."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self.id = store, run_id
        self._cache = cache_of(store)
        self._ahead: dict[int, bytes | Damaged] = {}
        self.index = self._read_index()
        self._format = self._read_format() if self.chunks else 0

    def _read_index(self) -> Index:
        """Return where the chunks stand; only what is new is read. A missing row is filled in from its neighbours."""
        key = (self.id, "index")
        index: Index | None = self._cache.get(key)
        new = self._store.chunk_rows(self.id, len(index.t0) - 1 if index else -1)
        if index is not None and not new:
            return index
        filled: list[ChunkRow] = []
        last = ChunkRow(-1, 0, 0, 0, 0)
        if index is not None:
            last = ChunkRow(len(index.t0) - 1, *(int(column[-1]) for column in index))
        for row in new:
            while last.number + 1 < row.number:
                seq = last.first_seq + last.events
                last = ChunkRow(last.number + 1, seq, row.first_seq - seq, last.t1, row.t0)
                filled.append(last)
            last = row
            filled.append(row)
        table = np.array(filled, np.int64).reshape(-1, len(ChunkRow._fields))
        columns = [np.ascontiguousarray(table[:, i]) for i in range(1, 5)]
        if index is not None:
            columns = [np.concatenate(parts) for parts in zip(index, columns, strict=True)]
        index = Index(*columns)
        if new:
            self._cache.put(key, index, sum(column.nbytes for column in index))
        return index

    def _read_format(self) -> int:
        """Return the format that the events were stored in. Raises UserError where this version cannot read it."""
        number: int | None = self._cache.get((self.id, "format"))
        if number is None:
            number = self._store.event_format(self.id)
            self._cache.put((self.id, "format"), number, 64)
        return number

    @property
    def chunks(self) -> int:
        return len(self.index.t0)

    @property
    def events(self) -> int:
        return int(self.index.first_seq[-1] + self.index.events[-1]) if self.chunks else 0

    def cast(self) -> Cast:
        cast: Cast | None = self._cache.get((self.id, "cast"))
        if cast is None:
            cast = self._store.cast(self.id)
            size = 200 * (len(cast.tasks) + len(cast.files)) + 32 * (len(cast.pfns or ()) + len(cast.page_files))
            self._cache.put((self.id, "cast"), cast, size)
        return cast

    def ahead(self, first: int, last: int, *, whole: bool) -> None:
        """Read the chunks first..last at once, as far as they are not in the cache; whole: all columns of them."""
        parts = ("batch",) if whole else ("batch", "what")
        missing = [
            n for n in range(first, last + 1) if all(self._cache.get((self.id, part, n)) is None for part in parts)
        ]
        if missing:
            self._ahead.update(self._store.chunks(self.id, missing[0], missing[-1]))

    def _chunk(self, number: int) -> bytes:
        data = self._ahead.pop(number, None)
        if isinstance(data, Damaged):
            raise data
        return self._store.chunk(self.id, number) if data is None else data

    def batch(self, number: int) -> Batch:
        """Return the events of a chunk."""
        batch: Batch | None = self._cache.get((self.id, "batch", number))
        if batch is None:
            stored, states = decode_with_states(self._chunk(number))
            batch = upgraded_events(stored, self._format)
            self._cache.put((self.id, "batch", number), batch, 40 * len(batch))
            self._cache.put((self.id, "states", number), (states,), len(batch))
        return batch

    def states(self, number: int) -> States | None:
        """Return the stored number of the page's state after each event of a chunk; None if it was stored without."""
        found: tuple[States | None] | None = self._cache.get((self.id, "states", number))
        if found is None:
            states = decode_with_states(self._chunk(number))[1]
            found = (states,)
            self._cache.put((self.id, "states", number), found, 64 if states is None else len(states))
        return found[0]

    def what(self, number: int) -> What | Batch:
        """Return at least time, kind, a and b of a chunk's events: half the work of all."""
        found = self._known(number)
        if found is None:
            found = upgraded_events(decode_what(self._chunk(number)), self._format)
            self._cache.put((self.id, "what", number), found, 25 * len(found.time))
        return found

    def times(self, number: int) -> Words:
        """Return when a chunk's events were."""
        found = self._known(number)
        times: Words | None = self._cache.get((self.id, "times", number)) if found is None else found.time
        if times is None:
            times = decode_times(self._chunk(number))
            self._cache.put((self.id, "times", number), times, times.nbytes)
        return times

    def _known(self, number: int) -> What | Batch | None:
        batch: Batch | None = self.kept("batch", number)
        what: What | None = self.kept("what", number) if batch is None else None
        return what if batch is None else batch

    def kept(self, part: str, number: int) -> Any:
        """Return what keep() was given for a chunk, None if it is not there any more."""
        return self._cache.get((self.id, part, number))

    def keep(self, part: str, number: int, value: Any, size: int) -> None:
        """Keep something made of a chunk for later windows."""
        self._cache.put((self.id, part, number), value, size)

    def series(self, level: int, first: int, last: int) -> dict[int, SeriesPart | Damaged]:
        """Return the series of the nodes first..last of a level, or the fault found in one."""
        return self._parts("series", SeriesPart, level, first, last)

    def cells(self, level: int, first: int, last: int) -> dict[int, CellsPart | Damaged]:
        """Return the cells of the nodes first..last of a level, or the fault found in one."""
        return self._parts("cells", CellsPart, level, first, last)

    def before(self, chunk: int) -> Iterator[Folded]:
        """Yield the newest keyframe before a chunk, then what each chunk in between changed: what held before it."""
        start = 0
        frame = self._store.keyframe(self.id, chunk)
        if frame is not None:
            start = frame[0]
            yield decode_folded(frame[1])
        changes = self._parts("folded", _Touched, 0, start, chunk - 1)
        for number in range(start, chunk):
            found = changes[number]
            if isinstance(found, Damaged):
                raise found
            yield found.folded

    def _parts(
        self, part: str, reader: Callable[[memoryview], P], level: int, first: int, last: int
    ) -> dict[int, P | Damaged]:
        found: dict[int, P | Damaged] = {}
        missing = []
        for number in range(first, last + 1):
            value: P | None = self._cache.get((self.id, part, level, number))
            if value is None:
                missing.append(number)
            else:
                found[number] = value
        stored = self._store.nodes(self.id, level, missing[0], missing[-1], part) if missing else {}
        for number in missing:
            data = stored.get(number, Damaged(f"{part} {level}.{number} of run {self.id} is missing"))
            if isinstance(data, Damaged):
                found[number] = data
                continue
            try:
                fresh = reader(data)
            except Damaged as error:
                found[number] = error
                continue
            self._cache.put((self.id, part, level, number), fresh, fresh.nbytes + 500)
            found[number] = fresh
        return found

    # --- which pieces a window needs --------------------------------------------------------------------------------

    def pieces(self, t0: int, t1: int, column_ns: float, *, cells: bool) -> list[Piece]:
        """Return the coarsest pieces, in order, that cover t0..t1 with no bin longer than a column."""
        grains = self._grains(cells)
        return self._coarsest(t0, t1, lambda piece: grains[piece.level][piece.number] <= column_ns)

    def whole_pieces(self, t0: int, t1: int) -> list[Piece]:
        """Return the coarsest nodes, in order, that lie within t0..t1 (t1 excluded), and the chunks at its ends."""
        return self._coarsest(t0, t1, lambda piece: t0 <= piece.t0 and piece.t1 < t1)

    def _coarsest(self, t0: int, t1: int, enough: Callable[[Piece], bool]) -> list[Piece]:
        """Return the coarsest pieces, in order, that cover t0..t1 and are `enough`; events always are."""
        found = []
        waiting = list(self.forest(t0, t1))[::-1]
        while waiting:
            top = waiting.pop()
            if top.level < 0 or enough(top):
                found.append(top)
                continue
            waiting += [child for child in reversed(top.children(self.index)) if child.t1 >= t0 and child.t0 < t1]
        return found

    def _grains(self, cells: bool) -> list[list[float]]:
        """Return for each level the longest bin that went into each of its nodes, in ns."""
        key = (self.id, "grains", cells, self.chunks)
        found: list[list[float]] | None = self._cache.get(key)
        if found is not None:
            return found
        index, which = self.index, 0 if cells else 1
        spans = index.t1 - index.t0
        grains = [spans / leaf_bins(index.events, spans)[which]]
        while len(grains[-1]) >= FAN:
            n = len(grains[-1]) // FAN
            first = np.arange(n) << 4 * len(grains)
            spans = index.t1[first + (1 << 4 * len(grains)) - 1] - index.t0[first]
            below = grains[-1][: n * FAN].reshape(n, FAN).max(axis=1)
            grains.append(np.maximum(spans / node_bins(spans)[which], below))
        found = [level.tolist() for level in grains]
        self._cache.put(key, found, 40 * self.chunks)
        return found

    def forest(self, t0: int, t1: int) -> Iterator[Piece]:
        """Yield the topmost nodes that meet the window, in order."""
        chunk, level = 0, 0
        while self.chunks >> 4 * (level + 1):
            level += 1
        while chunk < self.chunks:
            while self.chunks - chunk < 1 << 4 * level:
                level -= 1
            top = piece(self.index, level, chunk >> 4 * level)
            if top.t1 >= t0 and top.t0 < t1:
                yield top
            chunk += 1 << 4 * level
