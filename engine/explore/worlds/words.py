"""The word for a schedule of a world: a3.b.c/1, tasks as letters, a pick's choice behind a stroke (from 0)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from engine.errors import AskedWrongly
from engine.explore.schedules import LENGTH_MAX, PART, STEPS_MAX, letters


def written(tasks: int, moves: Sequence[int]) -> str:
    """Return the word; a move is task + choice * tasks."""
    parts = []
    for move, same in groupby(moves):
        times, (choice, task) = len(list(same)), divmod(move, tasks)
        if choice:
            parts += [f"{letters(task)}/{choice}"] * times
        else:
            parts.append(letters(task) + (str(times) if times > 1 else ""))
    return ".".join(parts)


def read(tasks: int, word: str) -> list[int]:
    """Return the moves that a word names. Raises AskedWrongly where it names none."""

    def refuse(text: str) -> AskedWrongly:
        return AskedWrongly(f"schedule: {text}", code="bad_schedule", field="schedule")

    if len(word) > LENGTH_MAX:
        raise refuse(f"{len(word)} characters; the limit is {LENGTH_MAX}")
    numbers = {letters(number): number for number in range(tasks)}
    moves: list[int] = []
    for part in word.strip().split(".") if word.strip() else []:
        found = PART.match(part)
        if found is None or found[1] not in numbers:
            raise refuse(f"{part[:40]!r} names no task (a to {letters(tasks - 1)})")
        times = int(found[2] or 1)
        if len(moves) + times > STEPS_MAX:
            raise refuse(f"more than {STEPS_MAX} steps")
        moves += [numbers[found[1]] + int(found[3] or 0) * tasks] * times
    return moves
