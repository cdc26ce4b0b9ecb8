"""hashed: the kernel's own wait queues, shared by all pages and found by a hash of the struct page's address."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.designs.card import Card, Options


class Hashed(Options):
    """Shared wait queues, found by a hash of the page's address."""

    design: Literal["hashed"] = "hashed"
    bits: Annotated[int, Field(ge=1, le=20, description="2^bits shared queues; the kernel has 8")] = 8


CARD = Card(
    name="hashed",
    axis="wait",
    package=__name__,
    title="shared wait queues, found by hash",
    stands="mainline since 4.10: 256 queues shared by all pages; Dickins suggested more of them",
    options=Hashed,
    structures=(("wait_queue_head", 24), ("wait_page_queue", 56)),
    needs="24 bytes per queue, none per page",
    label=lambda options: f"hashed, {2**options.bits:,} queues",
    rules=lambda options: {"bits": options.bits, "fixed_queues": 1},
    rows=lambda options, sizes: {"lists": 1 << options.bits},
    queues=lambda options, pages: 1 << options.bits,
    shared_queues=lambda options: 1 << options.bits,
    matrix=(
        ("hashed", "shared queues", "helper", {"bits": 1}),
        ("hashed-compare", "shared queues, the word compared", "compare", {"bits": 1}),
        ("hashed-raw_null", "shared queues, raw NULL check", "raw_null", {"bits": 1}),
    ),
)
