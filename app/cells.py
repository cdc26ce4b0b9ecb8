"""The matrix of designs and questions: every cell is decided by an exploration. Computes it; others render it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from app.plans import RequestedLimits, RequestedPlan, exploration_of
from app.settings import Settings
from app.store.explorations import RequestedExploration
from app.subjects import Subject, read_subject
from app.verdicts import bounds_words
from app.wording import nearest
from engine.errors import UserError
from engine.explore import cases, verdicts

if TYPE_CHECKING:
    from app.store import ExplorationRow, Store


class Asked(NamedTuple):
    """A cell with the request for its exploration."""

    row: str
    column: str
    cell: cases.Cell
    exploration: RequestedExploration


class Shown(NamedTuple):
    """The current result of a cell. word: Never, Sometimes or not explored; against: differs from the expected result;
    state: that of its exploration, None without one; schedule: the shortest to the column's error or witness."""

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
    """Return the name of a kernel profile of the matrix; "" is the default. Raises UserError for an unknown one."""
    if not name:
        return cases.DEFAULT_KERNEL
    if name not in cases.KERNELS:
        detail = f"unknown kernel profile{nearest(name, cases.KERNELS)}"
        raise UserError(detail, code="unknown_value", field="kernel")
    return name


@cache
def _applying(kernel: str) -> tuple[tuple[str, str, cases.Cell, Subject, RequestedPlan], ...]:
    """Return every applicable cell of a kernel profile, row by row, with its subject and search settings."""

    def each() -> Iterator[tuple[str, str, cases.Cell, Subject, RequestedPlan]]:
        for row in cases.ROWS:
            for column in cases.COLUMNS:
                cell = cases.cell(row, column, kernel)
                if cell is not None:
                    yield row, column, cell, read_subject(cell.subject), RequestedPlan.model_validate(cell.plan)

    return tuple(each())


def asked(kernel: str, settings: Settings) -> list[Asked]:
    """Return every applicable cell of a kernel profile, row by row."""
    return [
        Asked(row, column, cell, exploration_of(subject, plan, RequestedLimits(), settings))
        for row, column, cell, subject, plan in _applying(kernel)
    ]


def shown(store: Store, kernel: str) -> dict[tuple[str, str], Shown]:
    """Return the applicable cells of the matrix by row and column."""
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


def missing(store: Store, kernel: str) -> list[RequestedExploration]:
    """Return the explorations needed for cells that have no verdict and are not queued or running."""
    cells = asked(kernel, store.settings)
    found = store.explored([one.exploration.asked_sha256 for one in cells])
    needed = {}
    for one in cells:
        row = found.get(one.exploration.asked_sha256)
        if row is None or row.state in ("failed", "cancelled"):
            needed[one.exploration.asked_sha256] = one.exploration
    return list(needed.values())


def table(store: Store, kernel: str) -> dict[str, Any]:
    """Return the whole matrix of a kernel profile as data."""
    rows = [{"name": name, "title": row.title, "axes": row.axes} for name, row in cases.ROWS.items()]
    columns = [
        {"name": name, "title": one.title, "source": one.source, "asks": one.asks, "question": one.question}
        for name, one in cases.COLUMNS.items()
    ]
    found = [cell._asdict() for cell in shown(store, kernel).values()]
    refused = [
        {"row": row, "column": column, "why": why}
        for row in cases.ROWS
        for column in cases.COLUMNS
        if (why := cases.refusal(row, column))
    ]
    return {
        "refused": refused,
        "kernel": kernel,
        "kernels": list(cases.KERNELS),
        "rows": rows,
        "columns": columns,
        "cells": found,
    }
