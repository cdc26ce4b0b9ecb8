"""A driver's movable pages: waits for their lock, their migration, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from engine.events import Kind
from engine.explore.search.explorer import Explorer
from engine.explore.worlds.subject import WorldSubject
from engine.mm.mapping import PAGE_MAPPING_MOVABLE
from engine.runs.play import open_run
from engine.scenario import Scenario
from tests.worlds import Stage, scenario

DESIGNS = ("hashed", "page_wait", "page_waiter", "rhashtable")
MOVING: dict[str, Any] = {"type": "movable", "pages": 2}


@pytest.mark.parametrize("kernel", ["4.16", "6.7+"])
@pytest.mark.parametrize("design", DESIGNS)
def test_a_migration_moves_the_drivers_word_and_leaves_the_tag_behind(design: str, kernel: str) -> None:
    stage = Stage("migrate_page:1", "lock unlock", design=design, kernel=kernel, **MOVING)
    before = stage.world.pages.mapping[0]
    assert before & PAGE_MAPPING_MOVABLE or stage.world.rules.encoding == 1, "encoding E1 moves the tag"
    assert "0 page_migrated" in stage.sleep(0)
    mapping = stage.world.pages.mapping.array.tolist()
    assert mapping == [before & PAGE_MAPPING_MOVABLE, before]
    assert stage.world.pages.refcount.array.tolist() == [1, 2]


@pytest.mark.parametrize("design", DESIGNS)
def test_given_tasks_that_wait_while_a_movable_page_migrates_when_explored_then_none_is_lost(design: str) -> None:
    asked = scenario("lock unlock", "lock unlock", "migrate_page:1", design=design, kernel="6.7+", **MOVING)
    explorer = Explorer(WorldSubject(asked))
    found = explorer.found(explorer.run())
    assert found.final_states > 0
    assert not found.broken
    assert not found.deadlock_states
    assert not found.final_violations


def test_given_writers_that_store_plainly_when_a_movable_page_migrates_then_waiters_in_its_mapping_are_lost() -> None:
    """__SetPageMovable() and __ClearPageMovable() are among the writers that an attach design must convert (GW-2)."""
    plain = {"encoding": "E1", "writers": "plain"}
    asked = scenario(
        "lock unlock", "lock unlock", "migrate_page:1", design="page_wait", wait=plain, kernel="6.7+", **MOVING
    )
    explorer = Explorer(WorldSubject(asked))
    found = explorer.found(explorer.run())
    assert found.deadlock_states or found.broken or found.final_violations


def test_the_log_of_a_run_begins_with_the_drivers_words() -> None:
    run = open_run(scenario("3*20/lock hold:50 unlock", "migrate_page:1", design="page_wait", kernel="6.1", **MOVING))
    kinds = {Kind(kind) for batch in run.batches() for kind in batch.kind.tolist()}
    assert {Kind.page_migrated, Kind.page_removed} <= kinds
    assert run.cast.first_mappings([0, 1]) == [run.cast.movable_word, 0]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "slab": ({"type": "slab"}, "none may write-protect them; type is file or movable"),
    "zone device": ({"type": "zone_device"}, "shown by the page Anatomy only"),
    "protection": (
        {**MOVING, "protect": {"design": "page_flag"}},
        "cannot protect movable pages, which no process maps",
    ),
    "page tables": ({**MOVING, "memory": {"maps": "shared"}}, "no process maps movable pages"),
    "several files": ({**MOVING, "files": 2}, "belong to one driver"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_movable_pages_do_not_have_is_refused_with_the_remedy(name: str) -> None:
    more, says = BAD[name]
    with pytest.raises(ValidationError, match=says):
        scenario("lock unlock", **more)


@pytest.mark.parametrize("program", ["write", "lookup put", "truncate_page", "dirty"])
def test_operations_on_files_are_refused(program: str) -> None:
    with pytest.raises(ValidationError, match="is not for movable pages; they take hold, lock, migrate_page"):
        scenario(program, **MOVING)


def test_a_page_to_migrate_to_must_be_free() -> None:
    with pytest.raises(ValidationError, match="pages to migrate to are the last ones, from 2 on"):
        scenario("migrate_page:1", type="movable", pages=3)
    assert isinstance(scenario("migrate_page:2", type="movable", pages=3), Scenario)
