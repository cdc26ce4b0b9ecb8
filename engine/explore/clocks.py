"""The happened-before order of a story: vector clocks (Mattern 1989), and the direct predecessors of each step.

Two steps depend on each other if one process makes both, or one writes what the other reads or writes. Any order of the
steps that keeps the order of dependent steps is equivalent.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.explore.story import Story, Told

Clock = tuple[int, ...]


class Ordered(NamedTuple):
    """For each step: its clock (per process, the number of steps that happened before it, itself included), and its
    direct predecessors: the previous step of its process, and steps of others that no other predecessor implies."""

    clocks: tuple[Clock, ...]
    rests_on: tuple[tuple[int, ...], ...]


def ordered(story: Story) -> Ordered:
    """Return the happened-before order of a story's steps, from the reads and writes that the story records."""
    clocks: list[Clock] = []
    rests_on: list[tuple[int, ...]] = []
    last: dict[int, int] = {}  # process -> its last step
    writer: dict[str, int] = {}
    readers: dict[str, list[int]] = {}  # since the last write
    for number, step in enumerate(story.steps):
        before = {last[step.process]} if step.process in last else set()
        before |= {writer[name] for name in step.reads | step.writes if name in writer}
        before |= {reader for name in step.writes for reader in readers.get(name, ())}
        clock = [0] * len(story.processes)
        for other in before:
            clock = [max(pair) for pair in zip(clock, clocks[other], strict=True)]
        clock[step.process] += 1
        needless = {one for one in before if _known(story, clocks, one, before - {one})} - {last.get(step.process)}
        rests_on.append(tuple(sorted(before - needless)))
        clocks.append(tuple(clock))
        last[step.process] = number
        for name in step.reads:
            readers.setdefault(name, []).append(number)
        for name in step.writes:
            writer[name], readers[name] = number, []
    return Ordered(tuple(clocks), tuple(rests_on))


def _known(story: Story, clocks: list[Clock], step: int, others: set[int]) -> bool:
    """Whether a step happened before one of the others, so that depending on that one implies depending on it."""
    process = story.steps[step].process
    return any(clocks[other][process] >= clocks[step][process] for other in others)


def shared(first: Told, second: Told) -> list[str]:
    """Return the names that make two steps depend on each other: one writes them, the other reads or writes them."""
    return sorted(first.writes & (second.reads | second.writes) | second.writes & first.reads)
