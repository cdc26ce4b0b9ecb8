"""rhashtable: each page that is waited on has a wait queue of its own, found in a hash table that grows and shrinks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.designs.card import Card, Expected, Options, Sizes
from engine.designs.wait.rhashtable.facts import facts
from engine.designs.wait.rhashtable.tables import Buckets, Elements, Resizing, buckets_max, set_up


class RHashTable(Options):
    """A resizable hash table from pages to wait queues."""

    design: Literal["rhashtable"] = "rhashtable"
    size: Annotated[
        Literal[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
        Field(description="initial and minimum number of buckets; lib/rhashtable.c starts with 64 and shrinks to 4"),
    ] = 64
    shrink: Annotated[bool, Field(description="automatic_shrinking: halve the table below 30 % of its size")] = True


def _rows(options: RHashTable, sizes: Sizes) -> dict[str, int]:
    elements = sizes.tasks + 1  # each has a task that waits in it, walks it, is about to use it or allocated it
    buckets = 2 * buckets_max(options.size, elements)  # the table in use and the new one
    return {"lists": elements, "elements": elements, "buckets": buckets, "resizing": 1}


CARD = Card(
    name="rhashtable",
    axis="wait",
    package=__name__,
    title="wait queues in a resizable hash table",
    stands="Overstreet, LSFMM 2018: look the page up in an rhashtable, and leave page->mapping alone",
    options=RHashTable,
    structures=(("bucket_table", 128), ("bucket", 8), ("element: head, page, wait_queue_head, count", 48)),
    needs="48 bytes per page with waiters; locks that are safe in hard interrupts; a fallback when an insertion fails",
    label=lambda options: f"rhashtable, {options.size} buckets or more",
    rules=lambda options: {"queue_per_page": 1},
    steps=("REHASH_WAIT", "REHASH_MOVE", "REHASH_PUBLISH"),
    actors=(("kworker/rhashtable", "REHASH_WAIT"),),
    tables={"elements": Elements, "buckets": Buckets, "resizing": Resizing},
    rows=_rows,
    queues=lambda options, pages: pages,
    set_up=set_up,
    facts=facts,
    matrix=(
        ("rhashtable", "resizable hash table", "helper", {"size": 1}),
        ("rhashtable-raw_null", "resizable hash table, raw NULL check", "raw_null", {"size": 1}),
    ),
    expected=(
        Expected("Never", tests=("L-2", "L-3"), kernels=("5.9-rc",)),
        Expected("Never", tests=("L-4",), kernels=("4.13", "4.16")),
        Expected("Sometimes", tests=("L-2", "L-3", "L-4", "T-3")),
        Expected("Sometimes", tests=("L-2 often",), kernels=("4.13", "4.16")),
        Expected("Sometimes", tests=("W-1",), kernels=("5.9-rc", "5.9", "5.10")),
        Expected("unknown", tests=("T-3 restart",), kernels=("4.13", "4.16")),
        Expected("Never", tests=("L-1", "L-2 often", "L-5", "L-6", "W-1", "T-1", "T-2", "T-3 restart")),
        Expected("Never", tests=("lost_wakeup", "use_after_free", "mapping_lost", "truncated_written", "two_owners")),
        Expected("Never", tests=("counts", "leak", "queue_length", "page_survives", "wrong_identity")),
    ),
)
