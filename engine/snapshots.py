"""Fold a run's events into a map of file pages to frames, and compare it with a recording's own snapshots."""

from __future__ import annotations

from collections.abc import Iterable

from engine.cast import Cast
from engine.events import NONE, Batch, Kind
from engine.recordings.truth import Seen

INDEX_BITS = 48


class PageCache:
    """The page cache of a run, folded from its events: (file row, index) -> page row; large folios count as one."""

    def __init__(self, cast: Cast) -> None:
        self._file_of = {file.address: row for row, file in enumerate(cast.files)}
        self._cast = cast
        self._folios: dict[int, tuple[int, int, int]] = {}  # page row -> file row, first index, order
        self._at: dict[tuple[int, int], int] = {}

    def add(self, kind: int, page: int, a: int, b: int) -> None:
        """Fold one event."""
        if kind == Kind.page_inserted:
            self._drop(page)
            if a not in self._file_of:  # a page_wait is swapped in: the log names the file later
                return
            file, index, order = self._file_of[a], b & ((1 << INDEX_BITS) - 1), b >> INDEX_BITS
            self._folios[page] = (file, index, order)
            for place in range(index, index + (1 << order)):
                self._at[file, place] = page
        elif kind in (Kind.page_removed, Kind.page_truncated):
            self._drop(page)

    def _drop(self, page: int) -> None:
        file, index, order = self._folios.pop(page, (0, 0, -1))
        for place in range(index, index + (1 << order) if order >= 0 else index):
            if self._at.get((file, place)) == page:
                del self._at[file, place]

    def pfn(self, file: str, index: int) -> int | None:
        """Return the frame that holds this page of the file ("dev ino"), or None."""
        for row, name in enumerate(self._cast.files):
            if name.name == file and (page := self._at.get((row, index))) is not None:
                return self._cast.pfn(page) + index - self._folios[page][1]
        return None


def compare_snapshots(cast: Cast, batches: Iterable[Batch], seen: list[Seen]) -> dict[str, int]:
    """Fold the events up to each mark "snapshot N" and compare the rows of that snapshot.

    Returns {"snapshots", "file_rows", "file_rows_equal", "other_rows"}; other rows are anonymous pages, whose frames no
    tracepoint reports.
    """
    by_mark: dict[str, list[Seen]] = {}
    for row in seen:
        by_mark.setdefault(f"snapshot {row.snapshot}", []).append(row)
    cache, found, equal, rows = PageCache(cast), 0, 0, 0
    for batch in batches:
        columns = zip(batch.kind.tolist(), batch.page.tolist(), batch.a.tolist(), batch.b.tolist(), strict=True)
        for kind, page, a, b in columns:
            if kind == Kind.mark and cast.marks[a] in by_mark:
                wanted = [row for row in by_mark.pop(cast.marks[a]) if row.kind == "file"]
                found += 1
                rows += len(wanted)
                equal += sum(cache.pfn(row.file, row.index) == row.pfn for row in wanted)
            elif page != NONE:
                cache.add(kind, page, a, b)
    others = sum(row.kind != "file" for row in seen)
    return {"snapshots": found, "file_rows": rows, "file_rows_equal": equal, "other_rows": others}
