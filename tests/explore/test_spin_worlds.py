"""The engine's own steps as C in a Promela model: SPIN counts as many states and edges as a plain search of the steps
themselves, interpreted, and finds as many dead ends."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest

from engine.explore.cases import cell
from engine.explore.search.explorer import Explorer
from engine.explore.worlds.promela_world import written
from engine.explore.worlds.subject import WorldSubject
from engine.runs.timed_run import TimedRun
from engine.scenario import Scenario
from tests.explore.plain_world import Counts, searched
from tests.explore.spin import model_counts
from tests.worlds import scenario

MISSING = [program for program in ("spin", "gcc") if shutil.which(program) is None]
spin = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {' and '.join(MISSING)} (Debian: spin, gcc)")

WORLDS: dict[str, Scenario] = {
    "two lock, old": scenario("lock unlock", "lock unlock", kernel="4.13"),
    "two lock twice, bookmarks": scenario("2/lock hold unlock", "2/lock unlock", kernel="4.16", bits=2),
    "two lock, published": scenario("lock unlock", "2/lock unlock", kernel="5.9", bits=1),
    "two lock, page_wait, old": scenario("lock unlock", "2/lock unlock", design="page_wait", kernel="4.16"),
    "two lock, page_wait, published": scenario("lock unlock", "2/lock unlock", design="page_wait", kernel="6.7+"),
    "three lock": scenario("3*lock unlock", kernel="4.13"),
    "three lock, bookmarks": scenario("2/lock unlock", "lock unlock", "wait_locked", kernel="4.16"),
    "two pages share a queue": scenario(
        "pick:0 lock unlock", "pick:2 lock unlock", "pick:2 lock unlock", kernel="6.1", pages=3, bits=1
    ),
    "wait for the lock": scenario("2/lock unlock", "wait_locked", "wait_locked", kernel="4.16"),
    "wait for the lock, page_wait": scenario("lock unlock", "2/wait_locked", design="page_wait", kernel="6.1"),
    "writeback": scenario("lock writeback_begin unlock writeback_end", "2/wait_writeback", kernel="5.10"),
    "writeback, page_wait, one xor": scenario(
        "lock writeback_begin unlock writeback_end", "wait_writeback", "lock unlock", design="page_wait", kernel="6.7+"
    ),
    "a page of two": scenario("pick lock unlock", "pick:1 lock unlock", "wait_locked", kernel="4.13", pages=2),
    "truncation and lookups": scenario("truncate_page", "lookup lock unlock put", "lookup put", kernel="4.16"),
    "truncation and insertion, page_wait": scenario(
        "truncate_page lock insert unlock", "lookup dirty lock unlock put", design="page_wait", kernel="5.9"
    ),
    "locked lookup and truncation": scenario("lookup_locked unlock put", "truncate", kernel="6.1", truncate="compare"),
    "fault and truncation, page_wait": scenario(
        "fault", "truncate", design="page_wait", kernel="6.7+", truncate="helper"
    ),
    "two lock, rhashtable": scenario("lock unlock", "lock unlock", design="rhashtable", kernel="6.1", wait={"size": 1}),
    "two wait, rhashtable": scenario(
        "pick:0 lock unlock", "pick:1 wait_locked", design="rhashtable", kernel="4.16", pages=2, wait={"size": 1}
    ),
    "stores and writeback": scenario(
        "store", "store", "lock writeback_begin unlock", memory={"maps": "shared", "mms": 2}, mms=(0, 1), kernel="4.16"
    ),
    "stores before and after fork": scenario(
        "fork:1 store", "store", memory={"maps": "anonymous", "children": 1, "spare": 1}, mms=(0, 1), kernel="6.1"
    ),
    "loads and truncation": scenario("load", "truncate", memory={"maps": "private", "spare": 1}, kernel="5.9"),
    "reclaim": scenario("reclaim:1", "store", memory={"maps": "anonymous", "spare": 1}, kernel="6.1"),
    "a lock never let go": scenario("lock", "lock unlock", "wait_locked", kernel="4.16"),
    "a lock never let go, page_wait": scenario("lock", "lock", design="page_wait", kernel="6.7+"),
}
LARGER: dict[str, Scenario] = {
    "writers and truncation, raw null": scenario(
        "write", "truncate", "wait_locked", design="page_wait", kernel="4.16", truncate="raw_null"
    ),
    "four tasks, bookmarks": scenario("2*lock unlock", "2*wait_locked", kernel="4.16"),
}
"""Too large for an interpreted search."""


@cache
def plain() -> dict[str, Counts]:
    return dict(zip(WORLDS, searched(list(WORLDS.values())), strict=True))


@spin
@pytest.mark.parametrize("name", WORLDS)
def test_given_an_exported_world_when_spin_searches_it_then_it_counts_what_a_plain_search_counts(
    name: str, tmp_path: Path
) -> None:
    model = written(name, TimedRun(WORLDS[name]).world)
    ours = plain()[name]
    errors = ours.stuck + ours.broken + ours.wrong_ends
    assert model_counts(model, tmp_path, optimize="-O0") == (ours.states, ours.edges + 1, errors)


@spin
@pytest.mark.parametrize("name", LARGER)
def test_given_a_larger_world_when_spin_searches_it_then_it_counts_what_the_explorer_counts(
    name: str, tmp_path: Path
) -> None:
    explorer = Explorer(WorldSubject(LARGER[name]))
    found, model = explorer.found(explorer.run()), written(name, TimedRun(LARGER[name]).world)
    breaks = max((seen.times for seen in found.broken.values()), default=0)
    assert model_counts(model, tmp_path) == (found.states, found.edges + 1, found.deadlock_states + breaks)


@spin
@pytest.mark.parametrize(
    ("row", "test", "breaks"),
    [
        ("attachment-break", "K-1", ""),
        ("exclusive_pte", "K-1", "protected_written"),
        ("exclusive_pte", "A-1", ""),
        ("attachment-posted", "P-1", "lost_under_device"),
        ("page_flag-posted", "P-1", "lost_under_device"),
        ("attachment-wait", "P-3", "deadlock"),
        ("page_flag-refuse", "P-3", ""),
        ("attachment-posted", "P-5", "protected_written"),
        ("attachment-wait", "P-5", ""),
        ("page_flag-break", "P-8", ""),
        ("page_flag-break", "P-9", ""),
        ("page_flag-wait", "P-9", "deadlock"),
        ("attachment-break", "K-2", ""),
        ("page_flag-posted", "K-3", "merged_under_device"),
    ],
)
def test_given_a_litmus_test_of_protection_when_spin_searches_it_then_it_counts_what_the_explorer_counts(
    row: str, test: str, breaks: str, tmp_path: Path
) -> None:
    asked = cell(row, test, "6.1")
    assert asked is not None
    subject = WorldSubject(Scenario.model_validate(asked.subject))
    explorer = Explorer(subject)
    found = explorer.found(explorer.run())
    errors = found.deadlock_states + sum(seen.times for seen in found.broken.values())
    counts = model_counts(written(test, TimedRun(subject.scenario).world), tmp_path)
    assert counts[:2] == (found.states, found.edges + 1)
    assert (counts[2] > 0) == (errors > 0) == bool(breaks)
    assert breaks in found.broken if breaks else not found.broken


@pytest.mark.parametrize("name", WORLDS)
def test_given_a_world_when_explored_then_the_counts_are_those_of_a_plain_search(name: str) -> None:
    explorer = Explorer(WorldSubject(WORLDS[name]))
    found, ours = explorer.found(explorer.run()), plain()[name]
    assert (found.states, found.edges, found.deadlock_states, found.final_states, found.final_violations) == (
        ours.states,
        ours.edges,
        ours.stuck,
        ours.ends,
        ours.wrong_ends,
    )
    assert found.depth == ours.depth
