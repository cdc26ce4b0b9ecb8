"""Convert each event of a recording to rows of MOVE, with the recorded kernel's own bit numbers.

Names and fields are those of the kernel's tracepoints; page waits and queue walks have none and are recorded by probes.
Events not in the table are counted by name and skipped. Bit numbers are translated at the end, once the kernel that
wrote the lines is known (kernels.py).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

from engine.events import NONE
from engine.recordings.cast import Cast
from engine.recordings.kernels import Signs
from engine.recordings.limits import Limits, too_large
from engine.recordings.moves import MOVE, Op

Fields = dict[bytes, bytes]

_pack = struct.Struct("<qqQQQIIHBBBBI").pack
assert struct.calcsize("<qqQQQIIHBBBBI") == MOVE.itemsize
WORD = 0xFFFF_FFFF_FFFF_FFFF
"""All bits of a word; also -1, the value for a word that the line does not have."""
_FAULT = b"(fault)"
"""Printed where a probe could not read memory."""
_PAGE_SHIFT = 12
# Plain ints: looking up an enum member takes a tenth of the time of a whole line.
_QUEUED, _LEFT, _WALK, _WALK_ON = int(Op.queued), int(Op.left), int(Op.walk), int(Op.walk_on)
_NOT_QUEUED, _INSERT, _WRITEBACK_END = int(Op.not_queued), int(Op.insert), int(Op.writeback_end)
_MARK_CHARS = 200


def fields(text: bytes) -> Fields:
    """Parse `(place) key=value key=value` or `key value key=value`; drop the place of a probe."""
    if text[:1] == b"(":
        text = text[text.find(b")") + 1 :]
    words = iter(text.replace(b"=", b" ").split())
    return dict(zip(words, words, strict=False))


_PROBE_FIELDS = (b"folio", b"bit", b"bm", b"wflags", b"wpid", b"pflags", b"mapping", b"index")
_CACHED_FIELDS = (b"dev", b"ino", b"pfn", b"ofs", b"page", b"order")
# The usual order of the fields; one search is twice as fast as parsing each field.
_probe_fields = re.compile(
    rb" folio=(\w++)(?: bit=(-?\d++))?(?: behavior=\S++)?(?: bm=(\w++))?(?: wflags=(\w++))?(?: wpid=(-?\d++))?"
    rb"(?: pflags=(\S++))?(?: mapping=(\S++))?(?: index=(\d++))?\s*+$"
).search
_cached_fields = re.compile(
    rb"dev[ =](\S++) ino[ =](\S++) (?:page=(\S++) )?pfn=(\S++) ofs=(\d++)(?: order=(\d++))?\s*+$"
).match


def _named_fields(text: bytes, names: tuple[bytes, ...], needed: int) -> tuple[bytes | Any, ...]:
    """Return the named fields, None for a missing one; raise KeyError if one of the first `needed` is missing."""
    values = fields(text)
    found = tuple(values.get(name) for name in names)
    for name, value in zip(names[:needed], found, strict=False):
        if value is None:
            raise KeyError(name)
    return found


class _NumberCache(dict[bytes | None, int]):
    """Cache of printed numbers -> unsigned words, WORD for a missing number. Most numbers repeat."""

    KEPT = 1 << 16
    KEPT_DIGITS = 24

    def __init__(self, base: int) -> None:
        self._base = base

    def __missing__(self, text: bytes | None) -> int:
        if len(self) >= self.KEPT:
            self.clear()
        word = WORD if text is None or text == _FAULT else int(text, self._base) & WORD
        if text is None or len(text) <= self.KEPT_DIGITS:
            self[text] = word
        return word


Meaning = Callable[[int, int, int, bytes, bytes, int, bytes, int], bool]


class Moves:
    """The moves so far, as packed rows, and the state needed to make them."""

    def __init__(self, limits: Limits) -> None:
        self.rows = bytearray()
        self.cast = Cast(limits)
        self.signs = Signs()
        self.marks: dict[str, int] = {}
        self.waiting: set[int] = set()
        self.taken: list[int] = []  # rows of walks that ended at an exclusive waiter whose bit was taken
        self.has_waits = self.has_truth = False
        self._limits = limits
        self._walk: dict[int, int] = {}  # CPU (or ~task, where there are no CPUs) -> row of its last walk
        self._numbers = _NumberCache(0)  # hexadecimal with 0x, else decimal
        self._addresses = _NumberCache(16)
        meanings: dict[bytes, tuple[Meaning, int]] = {
            b"qadd": (self._probe, Op.queued),
            b"qlock": (self._probe, Op.not_queued),
            b"fin": (self._probe, Op.left),
            b"walk_begin": (self._probe, Op.walk),
            b"walk_ret": (self._walk_ret, 0),
            b"walk": (self._walk_entry, 0),
            b"wake": (self._probe, Op.wake),
            b"unlock": (self._probe, Op.unlock),
            b"endwb": (self._probe, Op.writeback_end),
            b"lock": (self._probe, Op.look),
            b"lockk": (self._probe, Op.look),
            b"waitbit": (self._probe, Op.look),
            b"waitbitk": (self._probe, Op.look),
            b"trunc": (self._trunc, Op.truncate),
            b"mm_filemap_add_to_page_cache": (self._cached, Op.insert),
            b"mm_filemap_delete_from_page_cache": (self._cached, Op.remove),
            b"writeback_dirty_folio": (self._writeback, Op.dirty),
            b"writeback_dirty_page": (self._writeback, Op.dirty),
            b"folio_wait_writeback": (self._writeback, Op.writeback_wait),
            b"wait_on_page_writeback": (self._writeback, Op.writeback_wait),
            b"tracing_mark_write": (self._mark, Op.mark),
            b"print": (self._mark, Op.mark),
        }
        self.meanings = {name: (meaning, int(op)) for name, (meaning, op) in meanings.items()}
        """Event name -> (function, op). The function takes (op, time, cpu or -1, pid, comm, irq, text, line) and
        returns whether the line was used. It raises KeyError, ValueError or struct.error for a line that it cannot
        read, and writes nothing then."""

    def lost(self, time: int, cpu: int, count: int, line: int) -> None:
        """Add a row for lost events; count is -1 if unknown, time -1 before the first event."""
        self.rows += _pack(time, count, WORD, WORD, WORD, NONE, NONE, cpu, Op.lost, 0, 0, 2, line)

    def _probe(self, op: int, time: int, cpu: int, pid: bytes, comm: bytes, irq: int, text: bytes, line: int) -> bool:
        """Convert a probe's line about the page in `folio`, with any other fields it has."""
        match = _probe_fields(text)
        folio, bit, bm, wflags, wpid, pflags, mapping, index = (
            match.groups() if match else _named_fields(text, _PROBE_FIELDS, needed=1)
        )
        cast, numbers = self.cast, self._numbers
        task = cast.task(pid, comm)
        if op == _QUEUED:
            self.has_waits = True
            # The tail of the queue is the caller's own entry only if its pid (wpid) is the caller's. bpftrace programs
            # test that themselves and print no wpid.
            if wpid is not None and wpid != pid:
                self.rows += _pack(
                    time, 0, WORD, WORD, WORD, task, NONE, cpu if cpu > 0 else 0, _NOT_QUEUED, 0, 0, irq, line
                )
                return True
        flags = numbers[pflags]
        page_bit = 0 if bit is None else numbers[bit]
        if op == _NOT_QUEUED:
            self.has_waits = self.signs.lock_probe = True
            if flags == WORD:
                raise ValueError("whether the page bit was set is not known")
            if flags >> page_bit & 1:
                op = _QUEUED
        elif op == _WALK:
            if bm is None:
                self.signs.no_bookmark = True
            else:
                self.signs.bookmark = True
                if numbers[bm]:
                    op = _WALK_ON
        elif op == _WRITEBACK_END and flags != WORD:
            self.signs.writeback_ends(flags)
        page = cast.page_named(folio)
        place = WORD if index is None else int(index) & WORD  # rarely repeats: not worth caching
        mapped = self._addresses[mapping]
        self.rows += _pack(
            time,
            0,
            place,
            flags,
            mapped,
            task,
            page,
            cpu if cpu > 0 else 0,
            op,
            page_bit,
            0 if wflags is None else numbers[wflags],
            irq,
            line,
        )
        if not mapped & 3:
            cast.shows(page, place, mapped)
        if op == _QUEUED:
            self.waiting.add(task)
        elif op == _LEFT:
            self.waiting.discard(task)
        elif op in (_WALK, _WALK_ON):
            self._walk[cpu if cpu >= 0 else ~task] = len(self.rows) // MOVE.itemsize - 1
        return True

    def _walk_entry(self, *_: object) -> bool:
        self.has_truth = True  # ground truth only: never an input of a replay
        return False

    def _walk_ret(self, _: int, time: int, cpu: int, pid: bytes, comm: bytes, irq: int, text: bytes, line: int) -> bool:
        if int(fields(text)[b"ret"]) != -1:
            return False
        # A walk holds the queue lock with interrupts off, so the CPU's last walk_begin belongs to this walk.
        row = self._walk.pop(cpu if cpu >= 0 else ~self.cast.task(pid, comm), None)
        if row is None:
            return False
        self.taken.append(row)
        return True

    def _trunc(self, op: int, time: int, cpu: int, pid: bytes, comm: bytes, irq: int, text: bytes, line: int) -> bool:
        values = fields(text)
        start, end = int(values[b"start"], 0), int(values[b"end"], 0) & WORD
        mapping, task = self._addresses[values[b"mapping"]], self.cast.task(pid, comm)
        self.rows += _pack(time, start, end, WORD, mapping, task, NONE, cpu if cpu > 0 else 0, op, 0, 0, irq, line)
        return True

    def _cached(self, op: int, time: int, cpu: int, pid: bytes, comm: bytes, irq: int, text: bytes, line: int) -> bool:
        """Convert a line of mm_filemap_add_to_page_cache or mm_filemap_delete_from_page_cache."""
        match = _cached_fields(text)
        dev, ino, number, ofs, address, order_text = (
            match.group(1, 2, 4, 5, 3, 6) if match else _named_fields(text, _CACHED_FIELDS, needed=4)
        )
        cast = self.cast
        pfn, index, order = int(number, 0), int(ofs) >> _PAGE_SHIFT, int(order_text) if order_text else 0
        if not (0 <= index < 1 << 52 and 0 <= order < 32):
            raise ValueError("no page of a file has this offset or order")
        if address is not None:
            cast.page_stands_at(pfn, int(address, 16))
        page, file, task = cast.page(pfn), cast.file(dev, ino), cast.task(pid, comm)
        self.rows += _pack(time, file, index, order, WORD, task, page, cpu if cpu > 0 else 0, op, 0, 0, irq, line)
        if op == _INSERT:
            cast.inserted(page, file, index)
        else:
            cast.removed(page)
        return True

    def _writeback(
        self, op: int, time: int, cpu: int, pid: bytes, comm: bytes, irq: int, text: bytes, line: int
    ) -> bool:
        """Convert a writeback event, which names its file by device name and decimal inode."""
        values = fields(text)
        index = int(values[b"index"])
        if not 0 <= index < 1 << 52:
            raise ValueError("no page of a file has this index")
        file = self.cast.file(values[b"bdi"].removesuffix(b":"), b"%x" % int(values[b"ino"]))
        page, task = self.cast.page_of(file, index), self.cast.task(pid, comm)
        self.rows += _pack(time, file, index, WORD, WORD, task, page, cpu if cpu > 0 else 0, op, 0, 0, irq, line)
        return True

    def _mark(self, op: int, time: int, cpu: int, pid: bytes, comm: bytes, irq: int, text: bytes, line: int) -> bool:
        mark = readable(text.removeprefix(b"tracing_mark_write:").strip())[:_MARK_CHARS]
        row = self.marks.setdefault(mark, len(self.marks))
        if row >= self._limits.marks:
            raise too_large(f"The recording has more than {self._limits.marks} different marks. Write fewer.")
        task = self.cast.task(pid, comm)
        self.rows += _pack(time, row, WORD, WORD, WORD, task, NONE, cpu if cpu > 0 else 0, op, 0, 0, irq, line)
        return True


def readable(text: bytes) -> str:
    """Decode untrusted UTF-8 for display; invalid bytes and unprintable characters become U+FFFD."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text.decode(errors="replace"))
