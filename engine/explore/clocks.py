"""What of a story had to come before what: vector clocks (Mattern 1989), and the few steps that each rests on.

Two steps depend on each other if one process makes both, or one writes what the other reads or writes. Any order of the
steps that keeps dependent ones as they are tells the same.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.explore.story import Story, Told

Clock = tuple[int, ...]


class Ordered(NamedTuple):
    """For each step: its clock (of each process, how many steps came before it or are it), and the steps, by number,
    that it rests on: the one before it of its own process, and those of others that no other one of these rests on."""

    clocks: tuple[Clock, ...]
    rests_on: tuple[tuple[int, ...], ...]


def ordered(story: Story) -> Ordered:
    """Return the order of a story's steps. Reads count as far as the story knows of them."""
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
    """Whether one of the others came after a step, so that to rest on it is to rest on the step."""
    process = story.steps[step].process
    return any(clocks[other][process] >= clocks[step][process] for other in others)


def shared(first: Told, second: Told) -> list[str]:
    """Return what makes two steps depend on each other: the names that one writes and the other reads or writes."""
    return sorted(first.writes & (second.reads | second.writes) | second.writes & first.reads)
