"""The matrix of designs and questions: every cell is decided by an exploration. Computes it; others render it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from app.plans import RequestedLimits, RequestedPlan, exploration_of
from app.settings import Settings
from app.store.explorations import RequestedExploration
from app.subjects import Subject, digest, read_subject
from app.verdicts import bounds_words
from app.wording import nearest
from engine.errors import UserError
from engine.explore import cases, verdicts
from engine.explore.release import Release, release
from engine.identity import engine_words

if TYPE_CHECKING:
    from app.store import ExplorationRow, Store


class Asked(NamedTuple):
    """A cell with the request for its exploration."""

    row: str
    column: str
    cell: cases.Cell
    subject: Subject
    exploration: RequestedExploration


class Shown(NamedTuple):
    """The current result of a cell. word: Never, Sometimes or not explored; against: differs from the expected result;
    state: that of its exploration here, None without one; schedule: the shortest to the column's error or witness;
    loop: the steps that repeat forever after it, in a starvation; engine: the engine that gave the verdict, "" without
    one; current: whether that is the running engine; shipped: whether the verdict came with the release."""

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
    loop: str | None = None
    engine: str = ""
    current: bool = False
    shipped: bool = False

    @property
    def decided(self) -> bool:
        """Whether the running engine has looked at this cell, or is about to."""
        return self.current or self.state in ("queued", "running")


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
        Asked(row, column, cell, subject, exploration_of(subject, plan, RequestedLimits(), settings))
        for row, column, cell, subject, plan in _applying(kernel)
    ]


def shown(store: Store, kernel: str) -> dict[tuple[str, str], Shown]:
    """Return the applicable cells of the matrix by row and column.

    An exploration of this server by this engine comes first, then the verdict that came with the release, then an
    exploration by another version.
    """
    cells = asked(kernel, store.settings)
    digests = [one.exploration.asked_sha256 for one in cells]
    found, before, came = store.explored(digests), store.explored(digests, others=True), release(kernel)
    return {(one.row, one.column): _shown(one, found, before, came) for one in cells}


def _shown(
    one: Asked, found: dict[str, ExplorationRow], before: dict[str, ExplorationRow], came: Release | None
) -> Shown:
    digest = one.exploration.asked_sha256
    row = found.get(digest)
    here = next(
        (
            _decided(one, json.loads(old.answer_json), old)
            for old in (row, before.get(digest))
            if old is not None and old.answer_json is not None
        ),
        None,
    )
    if came is not None and digest in came.answers and not (here and here.current):
        here = _decided(one, came.answers[digest] | {"engine": came.engine}, None)
    if row is not None and row.live:
        return (here or _undecided(one, row))._replace(state=row.state, exploration=row.id)
    return here or _undecided(one, row)


def _undecided(one: Asked, row: ExplorationRow | None) -> Shown:
    why = (row.detail or row.reason or "") if row else ""
    state, exploration = (row.state, row.id) if row else (None, None)
    return Shown(
        one.row, one.column, verdicts.NOT_EXPLORED, one.cell.expected, False, why, "", state, exploration, None
    )


def _decided(one: Asked, answer: dict[str, Any], row: ExplorationRow | None) -> Shown:
    """Return a cell with a verdict; row: its exploration here, None for a verdict that came with the release."""
    verdict = verdicts.judged(one.cell, answer)
    engine = answer.get("engine") or (row.engine_version if row else "")
    return Shown(
        one.row,
        one.column,
        verdict.word,
        verdict.expected,
        verdict.surprising,
        verdict.why,
        bounds_words(answer),
        row.state if row else None,
        row.id if row else None,
        verdict.schedule,
        verdict.loop,
        engine,
        engine == engine_words(),
        row is None,
    )


def find(kernel: str, row: str, column: str, settings: Settings) -> Asked:
    """Return one cell. Raises UserError (404) if it does not exist or does not apply."""
    for one in asked(kernel, settings):
        if (one.row, one.column) == (row, column):
            return one
    raise UserError(f"the matrix of kernel {kernel} has no such cell", code="no_cell", field="column", status=404)


def of_exploration(kernel: str, asked_sha256: str) -> tuple[tuple[str, str], ...]:
    """Return the row and column of each cell that an exploration answers; empty if it belongs to no cell."""
    return _by_digest(kernel).get(asked_sha256, ()) if kernel in cases.KERNELS else ()


@cache
def _by_digest(kernel: str) -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for row, column, _, subject, plan in _applying(kernel):
        asked_sha256 = digest([subject.data, plan.model_dump()])
        found[asked_sha256] = (*found.get(asked_sha256, ()), (row, column))
    return found


def everything(settings: Settings, kernel: str) -> list[RequestedExploration]:
    """Return the explorations of all cells; cells that ask about the same scenario share one."""
    return list({one.exploration.asked_sha256: one.exploration for one in asked(kernel, settings)}.values())


def missing(store: Store, kernel: str) -> list[RequestedExploration]:
    """Return the explorations of cells on which this engine has no verdict, and which are not queued or running."""
    found = shown(store, kernel)
    needed = {
        one.exploration.asked_sha256: one.exploration
        for one in asked(kernel, store.settings)
        if not found[one.row, one.column].decided
    }
    return list(needed.values())


def table(store: Store, kernel: str) -> dict[str, Any]:
    """Return the whole matrix of a kernel profile as data."""
    rows = [{"name": name, "title": row.title, "axes": row.axes} for name, row in cases.ROWS.items()]
    columns = [
        {"name": name, "title": one.title, "source": one.source, "asks": one.asks, "question": one.question}
        for name, one in cases.COLUMNS.items()
    ]
    found = [cell._asdict() for cell in shown(store, kernel).values()]
    came = release(kernel)
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
        "engine": engine_words(),
        "shipped_by": came.engine if came else None,
        "rows": rows,
        "columns": columns,
        "cells": found,
    }
