"""What steps read and write: elements of variables, as bits of a word (with over 64 elements, some share a bit)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.explore.layout import Layout
from engine.explore.search.search import Reduction
from engine.explore.tables.table import Table
from engine.explore.tables.touches import footprint


def no_reduction() -> Reduction:
    """Return a Reduction that disables partial-order reduction."""
    none = np.zeros((0, 0), np.uint64)
    return Reduction(none, none, none, none, np.zeros((0, 3), np.int64))


def reduction_of(table: Table, layout: Layout) -> Reduction:
    """Return the data of a table that partial-order reduction needs."""
    labels = max(len(process.labels) for process in table.processes)
    elements = {element: number for number, element in enumerate(_all_elements(table))}
    arrays = [np.zeros((len(table.processes), labels), np.uint64) for _ in range(4)]
    reads, writes, later_reads, later_writes = arrays
    for number, process in enumerate(table.processes):
        for step in process.steps:
            print_ = footprint(table, step)
            reads[number, step.at] |= _bits(print_.reads, elements)
            writes[number, step.at] |= _bits(print_.writes, elements)
        later_reads[number], later_writes[number] = reads[number], writes[number]
        for _ in process.labels:  # enough rounds for any path without a loop
            for step in process.steps:
                later_reads[number, step.at] |= later_reads[number, step.to]
                later_writes[number, step.at] |= later_writes[number, step.to]
    place = [(field.word, field.shift, field.mask) for field in layout.places]
    return Reduction(reads, writes, later_reads, later_writes, np.array(place, np.int64))


def _all_elements(table: Table) -> Iterator[tuple[int, int]]:
    for number, variable in enumerate(table.variables):
        yield from ((number, element) for element in range(len(variable.initial)))


def _bits(touched: frozenset[tuple[int, int]], elements: dict[tuple[int, int], int]) -> np.uint64:
    bits = 0
    for element in touched:
        bits |= 1 << elements[element] % 64
    return np.uint64(bits)
