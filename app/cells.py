"""The matrix "breaks under": designs by questions, each cell decided by an exploration. Sums; others show it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from app.plans import AskedLimits, AskedPlan, exploration_of
from app.settings import Settings
from app.store.explorations import AskedExploration
from app.subjects import Subject, read_subject
from app.verdicts import bounds_words
from app.wording import nearest
from engine.errors import AskedWrongly
from engine.explore import cases, verdicts

if TYPE_CHECKING:
    from app.store import ExplorationRow, Store


class Asked(NamedTuple):
    """A cell as its exploration is asked for."""

    row: str
    column: str
    cell: cases.Cell
    exploration: AskedExploration


class Shown(NamedTuple):
    """A cell as it stands. word: Never, Sometimes or not explored; against: it is not what was expected; state: of its
    exploration, None where none was asked for; schedule: the shortest to what the column asks for."""

    row: str
    column: str
    word: str
    expected: str | None
    against: bool
    why: str
    bounds: str
    state: str | None
    exploration: str | None
    schedule: str | None


def known_kernel(name: str) -> str:
    """Return the name of a kernel profile of the matrix; "" is the usual one. Raises AskedWrongly for another."""
    if not name:
        return cases.DEFAULT_KERNEL
    if name not in cases.KERNELS:
        detail = f"unknown kernel profile{nearest(name, cases.KERNELS)}"
        raise AskedWrongly(detail, code="unknown_value", field="kernel")
    return name


@cache
def _applying(kernel: str) -> tuple[tuple[str, str, cases.Cell, Subject, AskedPlan], ...]:
    """Return every cell that applies under a kernel profile, row by row, with what it explores and how."""

    def each() -> Iterator[tuple[str, str, cases.Cell, Subject, AskedPlan]]:
        for row in cases.ROWS:
            for column in cases.COLUMNS:
                cell = cases.cell(row, column, kernel)
                if cell is not None:
                    yield row, column, cell, read_subject(cell.subject), AskedPlan.model_validate(cell.plan)

    return tuple(each())


def asked(kernel: str, settings: Settings) -> list[Asked]:
    """Return every cell that applies under a kernel profile, row by row."""
    return [
        Asked(row, column, cell, exploration_of(subject, plan, AskedLimits(), settings))
        for row, column, cell, subject, plan in _applying(kernel)
    ]


def shown(store: Store, kernel: str) -> dict[tuple[str, str], Shown]:
    """Return the cells of the matrix by row and column; those that do not apply are left out."""
    cells = asked(kernel, store.settings)
    found = store.explored([one.exploration.asked_sha256 for one in cells])
    return {(one.row, one.column): _shown(one, found.get(one.exploration.asked_sha256)) for one in cells}


def _shown(one: Asked, row: ExplorationRow | None) -> Shown:
    if row is None or row.answer_json is None:
        state = row.state if row else None
        why = (row.detail or row.reason or "") if row else ""
        return Shown(
            one.row,
            one.column,
            verdicts.NOT_EXPLORED,
            one.cell.expected,
            False,
            why,
            "",
            state,
            row.id if row else None,
            None,
        )
    answer = json.loads(row.answer_json)
    verdict = verdicts.judged(one.cell, answer)
    return Shown(
        one.row,
        one.column,
        verdict.word,
        verdict.expected,
        verdict.surprising,
        verdict.why,
        bounds_words(answer),
        row.state,
        row.id,
        verdict.schedule,
    )


def missing(store: Store, kernel: str) -> list[AskedExploration]:
    """Return what must be explored for the cells that have no verdict and are not under way."""
    cells = asked(kernel, store.settings)
    found = store.explored([one.exploration.asked_sha256 for one in cells])
    needed = {}
    for one in cells:
        row = found.get(one.exploration.asked_sha256)
        if row is None or row.state in ("failed", "cancelled"):
            needed[one.exploration.asked_sha256] = one.exploration
    return list(needed.values())


def told(store: Store, kernel: str) -> dict[str, Any]:
    """Return the whole matrix of a kernel profile as data."""
    rows = [{"name": name, "title": row.title, "axes": row.axes} for name, row in cases.ROWS.items()]
    columns = [
        {"name": name, "title": one.title, "source": one.source, "asks": one.asks, "question": one.question}
        for name, one in cases.COLUMNS.items()
    ]
    found = [cell._asdict() for cell in shown(store, kernel).values()]
    return {"kernel": kernel, "kernels": list(cases.KERNELS), "rows": rows, "columns": columns, "cells": found}
