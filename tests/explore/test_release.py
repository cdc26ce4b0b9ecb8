"""The verdicts that ship with the release: every schedule does what it says, and a sample is recomputed.

Where another engine made them, which the pages say, a schedule may no longer be playable, and counts may differ: then
the cell is explored again and must have the same verdict. Cells without a shipped verdict are left to the server.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from app import cells
from app.cells import Asked
from app.settings import load_settings
from engine.errors import UserError
from engine.explore import cases, verdicts
from engine.explore.plan import Limits, Plan
from engine.explore.release import FOLDER, Release, path_of, release
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.worlds.smaller import leads_to
from engine.explore.worlds.subject import WorldSubject
from engine.explore.worlds.telling import play
from engine.invariants import INVARIANTS
from engine.litmus import ANY
from engine.scenario import Scenario

SAMPLE = 24
"""Explorations that are made again; the cheap ones are chosen by their digests, so any cell may be among them."""
CHEAP = 3_000
"""Most states of an exploration that is made again."""
SHIPPED = [kernel for kernel in cases.KERNELS if path_of(kernel).is_file()]
LIMITS = Limits(states=2_000_000, seconds=60)


def came(kernel: str) -> Release:
    found = release(kernel)
    assert found is not None
    return found


def asked(kernel: str) -> list[Asked]:
    return cells.asked(kernel, load_settings())


def shipped(kernel: str) -> list[Asked]:
    """Return the cells that have a shipped verdict."""
    return [one for one in asked(kernel) if one.exploration.asked_sha256 in answers(kernel)]


def again(one: Asked) -> verdicts.Verdict:
    """Explore a cell again."""
    explorer = Explorer(world(one), Plan(**one.cell.plan))
    return verdicts.judged(one.cell, answer(explorer, explorer.run(LIMITS), LIMITS))


def world(one: Asked) -> WorldSubject:
    assert isinstance(one.subject.what, Scenario)
    return WorldSubject(one.subject.what)


def test_given_the_release_when_listed_then_the_default_kernel_is_in_it_and_it_is_small() -> None:
    assert cases.DEFAULT_KERNEL in SHIPPED
    assert {path.name for path in FOLDER.glob("*.gz")} == {path_of(kernel).name for kernel in SHIPPED}
    assert sum(path.stat().st_size for path in FOLDER.glob("*.gz")) < 300_000


@pytest.mark.parametrize("kernel", SHIPPED)
def test_given_the_release_when_its_cells_are_looked_up_then_each_has_a_verdict_and_its_bounds(kernel: str) -> None:
    every = {one.exploration.asked_sha256 for one in asked(kernel)}
    without = every - set(answers(kernel))
    if came(kernel).current:
        assert (without, set(answers(kernel)) - every) == (set(), set())
    assert len(without) < len(every) / 4, "make matrix writes the verdicts anew"
    assert all(one["bounds"]["complete"] for one in answers(kernel).values())


def answers(kernel: str) -> dict[str, dict[str, Any]]:
    return came(kernel).answers


@pytest.mark.parametrize("kernel", SHIPPED)
def test_given_the_release_when_its_schedules_are_played_then_each_shows_what_its_cell_says(kernel: str) -> None:
    worlds: dict[str, WorldSubject] = {}
    played, wrong = set(), []
    for one in shipped(kernel):
        digest = one.exploration.asked_sha256
        verdict = verdicts.judged(one.cell, answers(kernel)[digest])
        assert (verdict.word == verdicts.SOMETIMES) == (verdict.schedule is not None)
        if verdict.schedule is None or (digest, verdict.schedule, one.cell.question) in played:
            continue
        subject = worlds[digest] if digest in worlds else worlds.setdefault(digest, world(one))
        played.add((digest, verdict.schedule, one.cell.question))
        if shows(subject, one.cell.question, verdict, answers(kernel)[digest]):
            continue
        if came(kernel).current or again(one).word != verdict.word:
            wrong.append(f"{one.row}, {one.column}: {verdict.schedule}")
    assert wrong == []
    assert len(played) > 50


def shows(subject: WorldSubject, question: str, verdict: verdicts.Verdict, answer: dict[str, Any]) -> bool:
    """Return whether the schedule of a verdict shows an error, a witness, or a state to which its loop returns."""
    moves = subject.read(verdict.schedule or "")
    if verdict.loop is None:
        names = [one.name for one in INVARIANTS if one.name in answer["broken"]] if question == ANY else [question]
        return any(leads_to(subject, moves, name) for name in names)
    whole = subject.read(f"{verdict.schedule}.{verdict.loop}" if verdict.schedule else verdict.loop)
    subject.begin()
    try:
        for number, move in enumerate(whole[: len(moves)], 1):
            play(subject, move, number)
        before = subject.here()
        for number, move in enumerate(whole[len(moves) :], len(moves) + 1):
            play(subject, move, number)
    except UserError:
        return False
    return bool(subject.here() == before)


def sample(kernel: str) -> list[Asked]:
    """Return one cell of each exploration that is made again."""
    cheap = {
        one.exploration.asked_sha256: one
        for one in shipped(kernel)
        if answers(kernel)[one.exploration.asked_sha256]["states"] <= CHEAP
    }
    chosen = sorted(cheap, key=lambda digest: hashlib.sha256(digest.encode()).hexdigest())
    return [cheap[digest] for digest in chosen[:SAMPLE]]


@pytest.mark.parametrize("kernel", SHIPPED)
def test_given_a_sample_of_cells_when_explored_again_then_the_verdicts_are_the_shipped_ones(kernel: str) -> None:
    differ = {}
    for one in sample(kernel):
        here, there = again(one), verdicts.judged(one.cell, answers(kernel)[one.exploration.asked_sha256])
        if (here != there) if came(kernel).current else (here.word != there.word):
            differ[one.row, one.column] = (here, there)
    assert differ == {}
    assert len(sample(kernel)) == SAMPLE
