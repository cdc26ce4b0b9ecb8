"""KSM in timed runs and step by step: what a scan merges, what a write undoes, and what it must leave alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from engine.events import Kind
from engine.runs.play import open_run
from engine.scenario import Scenario
from engine.scenarios import shipped
from engine.summaries.summary import Summariser
from engine.world.state import KSM_PAGE, NONE, World
from tests.worlds import Stage, scenario

SCANS = "4/ksm_scan:1000 think:1000"
"""The second scan merges; a page of a node that had no third page then joins it in the next."""


def played(given: Scenario) -> tuple[Counter[str], dict[str, Any], World]:
    """Play a run; return its events by kind, its figures, and the world at its end."""
    run = open_run(given)
    summary, kinds = Summariser(run.cast), Counter[str]()
    for batch in run.batches():
        summary.leaf(batch)
        kinds.update(Kind(kind).name for kind in batch.kind.tolist())
    return kinds, summary.figures(), run.world  # type: ignore[attr-defined]


@pytest.mark.parametrize("mms", [1, 3])
@pytest.mark.parametrize("contents", [1, 2, 7, 16, 1_000])
@pytest.mark.parametrize("pages", [2, 16, 48])
def test_a_full_scan_of_known_contents_leaves_what_a_plain_merge_leaves(pages: int, contents: int, mms: int) -> None:
    pages = max(pages - pages % mms, mms)
    kinds, figures, w = played(
        scenario(SCANS, pages=pages, memory={"maps": "anonymous", "mms": mms, "contents": contents})
    )
    equal = Counter(1 + page % contents for page in range(pages))
    shared = {value for value, count in equal.items() if count > 1}
    assert kinds["page_merged"] == figures["merged"] == pages - len(equal)
    assert figures["ksm_shared"] == len(shared)
    assert figures["ksm_sharing"] == pages - len(equal)
    assert kinds["page_freed"] == pages - len(equal)
    left = [w.contents.value[page] for page in range(pages) if w.rmap.mapcount[page]]
    assert sorted(left) == sorted(equal), "one page of each contents is left"
    merged = [page for page in range(pages) if w.rmap.kind[page] == KSM_PAGE]
    assert {w.contents.value[page] for page in merged} == shared
    assert all(w.rmap.mapcount[page] == equal[w.contents.value[page]] == w.pages.refcount[page] for page in merged)


def test_a_page_written_between_two_scans_is_not_merged() -> None:
    memory = {"maps": "anonymous", "contents": 1}
    stage = Stage("ksm_scan:3 think:1 ksm_scan:3 think:1 ksm_scan:3", "store", pages=2, memory=memory)
    stage.until(0, "THINK")
    stage.sleep(1)
    told = stage.sleep(0)
    assert "0 page_merged" not in told
    assert stage.world.ksm_items.unstable.array.tolist() == [0, 0]


def test_a_write_to_a_merged_page_gets_a_copy_and_the_other_entry_keeps_the_page() -> None:
    memory = {"maps": "anonymous", "contents": 1, "spare": 1}
    stage = Stage("ksm_scan:3 ksm_scan:3", "store", pages=2, memory=memory)
    assert "0 page_merged" in stage.sleep(0)
    told = stage.sleep(1)
    assert told.index("1 page_copied") < told.index("1 page_unmerged") < told.index("1 page_written")
    w = stage.world
    first, second = w.ptes.page.array.tolist()
    assert first != second
    assert w.rmap.kind[second] == KSM_PAGE
    assert not stage.broke()


def test_unmerge_gives_each_entry_its_own_page_with_the_same_contents() -> None:
    memory = {"maps": "anonymous", "contents": 1, "spare": 2}
    stage = Stage("ksm_scan:3 ksm_scan:3", "pick:0 unmerge pick:1 unmerge", pages=2, memory=memory)
    stage.sleep(0)
    assert stage.sleep(1).count("1 page_unmerged") == 2
    w = stage.world
    first, second = w.ptes.page.array.tolist()
    assert first != second
    assert w.contents.value[first] == w.contents.value[second] == 1
    assert (w.rmap.kind.array != KSM_PAGE).all()


def test_unmerge_leaves_the_page_merged_if_no_page_is_free() -> None:
    stage = Stage("ksm_scan:2 ksm_scan:2 ksm_scan:2", "unmerge", pages=2, memory={"maps": "anonymous", "contents": 1})
    stage.sleep(0)
    stage.world.rmap.kind.array[:] = KSM_PAGE  # the page that merging freed is in use elsewhere
    assert "1 page_unmerged" not in stage.sleep(1)


def test_a_page_with_another_reference_keeps_its_entry() -> None:
    """write_protect_page() puts the entry back: somebody may write to the page past it."""
    memory = {"maps": "anonymous", "contents": 1}
    stage = Stage("ksm_scan:3 ksm_scan:3 ksm_scan:3", "pin think:1 dma unpin", pages=2, memory=memory)
    stage.until(1, "THINK")
    bits = stage.world.ptes.bits.array.tolist()
    told = stage.sleep(0)
    assert "0 tlb_flushed" in told
    assert "0 page_merged" not in told
    assert stage.world.ptes.bits[0] == bits[0]
    stage.sleep(1)
    assert not stage.broke()


def test_a_node_whose_page_was_freed_is_dropped_when_it_is_met() -> None:
    memory = {"maps": "anonymous", "contents": 2, "spare": 2}
    stage = Stage("ksm_scan:9 ksm_scan:9 think:1 ksm_scan:9", "pick:0 store pick:2 store", pages=3, memory=memory)
    stage.until(0, "THINK")
    w = stage.world
    (node,) = [node for node, page in enumerate(w.ksm_nodes.page.array.tolist()) if page != NONE]
    page = w.ksm_nodes.page[node]
    assert "1 page_freed" in stage.sleep(1)
    assert w.pages.mapping[page] == 0
    assert w.ksm_nodes.page[node] == page, "nobody tells KSM"
    stage.until(0, "KSM_LEFT")
    assert w.ksm_nodes.page[node] == NONE
    stage.sleep(0)
    assert not stage.broke()


def test_claim_16_the_conversion_changes_no_merge_and_costs_a_lock_for_each_write_fault() -> None:
    (kinds, figures, _), (kinds_after, figures_after, _) = (
        played(shipped()[name]) for name in ("ksm", "ksm-attachment")
    )
    assert figures["ksm_scans"] > 5
    assert figures["merged"] > 100
    assert abs(figures["merged"] - figures_after["merged"]) < 0.1 * figures["merged"]
    locks = kinds_after["page_locked"] - kinds_after["page_merged"] - (kinds["page_locked"] - kinds["page_merged"])
    assert locks > 0.5 * figures_after["unmerged"] > 0


@pytest.mark.parametrize(
    ("programs", "memory", "says"),
    [
        (["ksm_scan"], {"maps": "anonymous"}, "group 't0' merges pages of known contents: set memory.contents"),
        (["store"], {"maps": "shared", "contents": 2}, "memory.contents: KSM merges anonymous pages"),
        (["2*ksm_scan"], {"maps": "anonymous", "contents": 2}, "ksmd is one thread"),
        (["ksm_scan", "ksm_scan"], {"maps": "anonymous", "contents": 2}, "ksmd is one thread"),
        (["ksm_scan store"], {"maps": "anonymous", "contents": 2}, "group 't0' is ksmd, and store is for tasks"),
    ],
)
def test_what_ksm_cannot_do_is_refused_in_words(programs: list[str], memory: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says.replace("(", r"\(")):
        scenario(*programs, memory=memory, pages=4)


def test_more_entries_than_ksmd_can_scan_are_refused() -> None:
    with pytest.raises(ValidationError, match="ksmd scans 20000 entries; the limit is 16384"):
        scenario("ksm_scan", pages=20_000, memory={"maps": "anonymous", "contents": 2})
