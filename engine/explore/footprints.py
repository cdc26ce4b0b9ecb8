"""What steps read and write: elements of variables, as bits of a word (several share one where there are more)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engine.explore.expressions import Fault, Tree, evaluate, names
from engine.explore.layout import Layout, Values, start_of
from engine.explore.playing import move, reader
from engine.explore.search import Reduction
from engine.explore.table import Step, Table, constant


class Footprint(NamedTuple):
    """What a step may read and write, as sets of (variable, element)."""

    reads: frozenset[tuple[int, int]]
    writes: frozenset[tuple[int, int]]

    def depends(self, other: Footprint) -> bool:
        """Whether one writes what the other reads or writes."""
        return bool(self.writes & (other.reads | other.writes) or other.writes & self.reads)


def footprint(table: Table, step: Step, values: Values | None = None) -> Footprint:
    """Return what a step may touch, guard included, whatever of it is looked at.

    In the state `values` an element is the one that its index says at that point of the step; in any state (None), and
    where the index has no value, an element whose place is computed stands for the whole array.
    """
    now = values

    def elements(variable: int, index: Tree | None) -> Iterator[tuple[int, int]]:
        size = len(table.variables[variable].initial)
        if index is not None and (now is not None or constant(index)):
            with contextlib.suppress(Fault):
                place = evaluate(index, reader(table, now or start_of(table)))
                if 0 <= place < size:
                    yield variable, place
                    return
        yield from ((variable, element) for element in range(size))

    def named(tree: Tree) -> Iterator[tuple[int, int]]:
        for _, name, *index in names(tree):
            yield from elements(table.variable(name), index[0] if index else None)

    reads = set(named(step.guard))
    writes: set[tuple[int, int]] = set()
    for effect in step.effects:
        reads |= set(named(effect.value))
        if effect.element is not None:
            reads |= set(named(effect.element))
        if effect.variable >= 0:
            writes |= set(elements(effect.variable, effect.element))
        if now is not None:
            now = move(table, now, step._replace(effects=(effect,))).after
    return Footprint(frozenset(reads), frozenset(writes))


def no_reduction() -> Reduction:
    """Return the arrays that switch partial-order reduction off."""
    none = np.zeros((0, 0), np.uint64)
    return Reduction(none, none, none, none, np.zeros((0, 3), np.int64))


def reduction_of(table: Table, layout: Layout) -> Reduction:
    """Return what partial-order reduction needs to know of a table."""
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
        for _ in process.labels:  # as far as a path without a loop can lead
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
