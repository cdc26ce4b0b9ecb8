"""TRUTH: what the kernel did, recorded alongside a recording, to check a replay against. No replay ever reads it.

Three tables, distinguished by their first line: wakes (one row per walk of a queue), waits (one row per queued wait,
derived from the recording alone), snapshots (which page frame held which index of which file at a mark). CSV, plain or
compressed.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from engine.recordings.limits import Limits, too_large, unusable
from engine.recordings.opening import Opening

Kind = Literal["wakes", "waits", "snapshots"]

_ROWS_MAX = 5_000_000
_LIMITS = Limits(text_bytes=1 << 30)
_LINE_BYTES_MAX = 8 << 20


@dataclass(frozen=True, slots=True)
class Wake:
    """One walk of a wait queue: row N describes the N-th walk that began without a bookmark."""

    wake: int
    time_ns: int
    """On the recording's clock, not since its first event."""
    cpu: int
    pid: int
    folio: int
    """Address of the struct page."""
    bit: int
    """Number of the page bit in the recorded kernel."""
    bucket: int
    batches: tuple[int, ...]
    """Entries walked in each pass."""
    walked: int
    matched: int
    woken: int
    other_bit: int
    strangers: int
    stop: str
    """One of engine.events.STOPS."""
    waiters: tuple[int, ...]
    """PIDs of the entries walked, in order."""


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait in a queue."""

    wait: int
    queued_ns: int
    returned_ns: int | None
    pid: int
    comm: str
    folio: int
    bit: int
    bucket: int
    exclusive: bool
    index: int
    mapping_at_wait: int
    mapping_at_return: int | None
    outcome: str
    """woken, gave_up, requeued (woken, but the bit was taken, and queued again) or open."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One page that the workload had mapped at the mark "snapshot N", where N is `snapshot`."""

    snapshot: int
    kind: str
    file: str
    """ "dev ino" as in Recording.files; empty for an anonymous page."""
    index: int
    pfn: int


def kind_of_truth(path: str | os.PathLike[str]) -> Kind:
    """Return which of the three tables a file holds. Raises BadRecording if it holds none of them."""
    return _kind(next(_lines(path), []))


def read_truth(path: str | os.PathLike[str]) -> list[Wake]:
    """Return the table of wakes, in order. Raises BadRecording (422) that names an invalid line."""
    return _table(path, "wakes", _wake)


def read_waits(path: str | os.PathLike[str]) -> list[Wait]:
    """Return the table of waits, in order of queueing. Raises BadRecording (422) that names an invalid line."""
    return _table(path, "waits", _wait)


def read_snapshots(path: str | os.PathLike[str]) -> list[Seen]:
    """Return the rows of all snapshots, in order. Raises BadRecording (422) that names an invalid line."""
    return _table(path, "snapshots", _seen)


def _wake(row: dict[str, str]) -> Wake:
    return Wake(
        wake=int(row["wake"]),
        time_ns=_ns(row["time"]),
        cpu=int(row["cpu"]),
        pid=int(row["pid"]),
        folio=int(row["folio"], 16),
        bit=int(row["bit"]),
        bucket=int(row["bucket"]),
        batches=tuple(int(count) for count in row["batches"].split()),
        walked=int(row["walked"]),
        matched=int(row["matched"]),
        woken=int(row["woken"]),
        other_bit=int(row["other_bit"]),
        strangers=int(row["strangers"]),
        stop=row["stop"],
        waiters=tuple(int(pid) for pid in row["waiters"].split()),
    )


def _wait(row: dict[str, str]) -> Wait:
    return Wait(
        wait=int(row["wait"]),
        queued_ns=_ns(row["queued"]),
        returned_ns=_ns(row["returned"]) if row["returned"] else None,
        pid=int(row["pid"]),
        comm=row["comm"],
        folio=int(row["folio"], 16),
        bit=int(row["bit"]),
        bucket=int(row["bucket"]),
        exclusive=row["exclusive"] == "1",
        index=int(row["index"]),
        mapping_at_wait=int(row["mapping_at_wait"], 16),
        mapping_at_return=int(row["mapping_at_return"], 16) if row["mapping_at_return"] else None,
        outcome=row["outcome"],
    )


def _seen(row: dict[str, str]) -> Seen:
    file = f"{row['dev']} {int(row['ino'], 16):x}" if row["kind"] == "file" else ""
    return Seen(int(row["snapshot"]), row["kind"], file, int(row["index"]), int(row["pfn"], 16))


_FIRST: dict[str, Kind] = {"wake": "wakes", "wait": "waits", "snapshot": "snapshots"}
T = TypeVar("T")


def _kind(first: list[str]) -> Kind:
    kind = _FIRST.get(first[0]) if first else None
    if kind is None:
        raise unusable("This is not a table of wakes, waits or snapshots: its first line names none.", "bad_truth")
    return kind


def _table(path: str | os.PathLike[str], kind: Kind, row_of: Callable[[dict[str, str]], T]) -> list[T]:
    lines = _lines(path)
    names = next(lines, [])
    found = _kind(names)
    if found != kind:
        raise unusable(f"This is a table of {found}; a table of {kind} is needed.", "bad_truth")
    rows = []
    for number, line in enumerate(lines, 2):
        try:
            rows.append(row_of(dict(zip(names, line, strict=True))))
        except (KeyError, ValueError):
            raise unusable(f"Line {number} is not a valid row of {kind}.", "bad_truth") from None
        if len(rows) > _ROWS_MAX:
            raise too_large(f"The table has more than {_ROWS_MAX} rows.")
    return rows


def _lines(path: str | os.PathLike[str]) -> Iterator[list[str]]:
    """Yield the lines of a CSV file as lists of fields."""
    with open(path, "rb") as stream:
        try:
            yield from csv.reader(_text_lines(Opening(stream, _LIMITS)))
        except csv.Error:
            raise unusable("The table is not valid CSV.", "bad_truth") from None


def _text_lines(opening: Opening) -> Iterator[str]:
    rest = b""
    for block in opening.blocks():
        *whole, rest = (rest + block).split(b"\n")
        if len(rest) > _LINE_BYTES_MAX:
            raise unusable("The table has a line of more than 8 MiB.", "bad_truth")
        for line in whole:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


def _ns(seconds: str) -> int:
    """Convert decimal seconds to nanoseconds exactly."""
    whole, _, fraction = seconds.partition(".")
    return int(whole) * 10**9 + int(fraction[:9].ljust(9, "0"))
