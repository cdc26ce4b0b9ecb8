"""The layout of a state in 64-bit words: each value takes no more bits than it needs.

A value is stored as its offset from the least value of its field. Fields are as wide as the values seen so far; a value
that does not fit widens its field, and all states are repacked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.explore.tables.table import Table, Values

WORD = 64
Words = NDArray[np.uint64]


class Field(NamedTuple):
    """`size` values of `bits` bits each, `per` to a word, from bit `shift` of `word` on; a stored 0 means `low`."""

    word: int
    shift: int
    bits: int
    low: int
    size: int

    @property
    def per(self) -> int:
        """Values per word."""
        return WORD // self.bits if self.words > 1 else self.size

    @property
    def words(self) -> int:
        """Words that the field spans."""
        return 1 if self.shift + self.size * self.bits <= WORD else -(-self.size // (WORD // self.bits))

    @property
    def mask(self) -> int:
        """The mask of one value, before it is shifted."""
        return (1 << self.bits) - 1

    @property
    def high(self) -> int:
        """The greatest value that fits."""
        return self.low + self.mask

    def place(self, index: int) -> tuple[int, int]:
        """Return the word and the shift of one value."""
        if self.words == 1:
            return self.word, self.shift + index * self.bits
        return self.word + index // self.per, index % self.per * self.bits


class Layout(NamedTuple):
    """The fields of a state: the variables', then the processes' positions; width: its number of words.

    bounded: the last word holds the process that ran last (its number + 1) and, from bit 8 on, the preemptions left.
    """

    variables: tuple[Field, ...]
    places: tuple[Field, ...]
    width: int
    bounded: bool


Spans = list[tuple[int, int]]
"""For each variable the least and greatest value that its field must hold."""


def layout_of(table: Table, spans: Spans, *, bounded: bool = False) -> Layout:
    """Return the layout for a table's variables within these spans, and for its processes."""
    sizes = [len(variable.initial) for variable in table.variables]
    return laid_out(sizes, spans, [process.end for process in table.processes], bounded=bounded)


def laid_out(sizes: Sequence[int], spans: Spans, ends: Sequence[int] = (), *, bounded: bool = False) -> Layout:
    """Return the layout for variables of these sizes within these spans, and for positions from 0 to each end."""
    free: list[int] = []

    def place(bits: int, low: int, size: int) -> Field:
        need = bits * size
        if need <= WORD:
            word = next((i for i, left in enumerate(free) if left >= need), len(free))
            if word == len(free):
                free.append(WORD)
            field = Field(word, WORD - free[word], bits, low, size)
            free[word] -= need
            return field
        field = Field(len(free), 0, bits, low, size)
        free.extend([0] * field.words)
        return field

    places = tuple(place(max(end.bit_length(), 1), 0, 1) for end in ends)
    variables = []
    for size, (low, high) in zip(sizes, spans, strict=True):
        bits = max((high - low).bit_length(), 1)
        variables.append(place(min(bits, WORD), low if bits < WORD else -(1 << WORD - 1), size))
    return Layout(tuple(variables), places, max(len(free), 1) + bounded, bounded)


def widened(span: tuple[int, int], value: int) -> tuple[int, int]:
    """Return a span that includes the value, at least four times as wide within 64 bits, so that repacks are rare."""
    low, high = span
    size = high - low + 1
    if value < low:
        return max(min(value, low - 3 * size), -(1 << WORD - 1)), high
    return low, min(max(value, high + 3 * size), (1 << WORD - 1) - 1)


def start_of(table: Table) -> Values:
    """Return the initial state."""
    return Values(tuple(one.initial for one in table.variables), tuple(process.start for process in table.processes))


def pack(layout: Layout, values: Values) -> list[int]:
    """Return a state as words. Every value must fit its field."""
    words = [0] * layout.width
    for field, elements in zip(layout.variables, values.variables, strict=True):
        for index, value in enumerate(elements):
            _put(words, field, index, value)
    for field, place in zip(layout.places, values.places, strict=True):
        _put(words, field, 0, place)
    return words


def _put(words: list[int], field: Field, index: int, value: int) -> None:
    assert field.low <= value <= field.high, f"{value} in a field from {field.low} to {field.high}"
    word, shift = field.place(index)
    words[word] |= value - field.low << shift


def unpack(layout: Layout, words: Sequence[int] | Words) -> Values:
    """Return a state in plain numbers."""

    def values(field: Field) -> tuple[int, ...]:
        spots = (field.place(index) for index in range(field.size))
        return tuple((int(words[word]) >> shift & field.mask) + field.low for word, shift in spots)

    return Values(tuple(map(values, layout.variables)), tuple(values(field)[0] for field in layout.places))


def repack(states: Words, old: Layout, new: Layout) -> Words:
    """Convert states of shape (n, old.width) to the new layout, of shape (n, new.width)."""
    packed = np.zeros((len(states), new.width), np.uint64)
    pairs = zip((*old.variables, *old.places), (*new.variables, *new.places), strict=True)
    for before, after in pairs:
        shift_by = np.uint64(before.low - after.low)
        for index in range(before.size):
            (word, shift), (to_word, to_shift) = before.place(index), after.place(index)
            value = (states[:, word] >> np.uint64(shift) & np.uint64(before.mask)) + shift_by
            packed[:, to_word] |= value << np.uint64(to_shift)
    if old.bounded:
        packed[:, -1] = states[:, -1]
    return packed
