"""Encode the order in which tasks move as a short word that fits into a mail, and decode it.

    a3.b.c/1   task a moves three times, then b, then c, which picks its second page

Tasks are letters in the order of the cast: a to z, then aa, ab. A move is a number: task + choice * tasks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from engine.errors import UserError

LENGTH_MAX = 1 << 20
STEPS_MAX = 1 << 18
PART = re.compile(r"([a-z]{1,2})(?:(\d{1,6})|/(\d{1,4}))?\Z")


def letters(number: int) -> str:
    """Return a task's letters."""
    return chr(97 + number) if number < 26 else letters(number // 26 - 1) + chr(97 + number % 26)


def written(tasks: int, moves: Sequence[int]) -> str:
    """Return the word for these moves; a move is task + choice * tasks."""
    parts = []
    for move, same in groupby(moves):
        times, (choice, task) = len(list(same)), divmod(move, tasks)
        if choice:
            parts += [f"{letters(task)}/{choice}"] * times
        else:
            parts.append(letters(task) + (str(times) if times > 1 else ""))
    return ".".join(parts)


def read(tasks: int, word: str) -> list[int]:
    """Return the moves that a word encodes. Raises UserError for an invalid word."""

    def refuse(text: str) -> UserError:
        return UserError(f"schedule: {text}", code="bad_schedule", field="schedule")

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
