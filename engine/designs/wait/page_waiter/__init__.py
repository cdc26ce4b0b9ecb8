"""page_waiter: the first waiter's structure, on its stack, swapped into page->mapping (the posted RFC)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.designs.card import Card, Pointers
from engine.designs.wait.page_waiter.words import STACK_BASE, STACK_BYTES
from engine.designs.wait.swapped import TAGS, Swapped, swapped_rules


class PageWaiter(Swapped):
    """The first waiter's structure swapped into page->mapping; used for the page lock only."""

    design: Literal["page_waiter"] = "page_waiter"
    bits: Annotated[
        int, Field(ge=1, le=20, description="2^bits shared queues for all other waits; the kernel has 8")
    ] = 8
    variant: Annotated[Literal["posted", "corrected"], Field(description="as posted, with its holes, or corrected")] = (
        "corrected"
    )


CARD = Card(
    name="page_waiter",
    axis="wait",
    package=__name__,
    title="the first waiter swapped into page->mapping",
    stands="Glisse, RFC of April 2018: the structures are on the waiters' stacks; lock handoff",
    options=PageWaiter,
    structures=(("page_waiter", 56), ("wait_queue_head", 24)),
    tag_bits=lambda options: TAGS[options.encoding],
    needs="every reader of page->mapping goes through a helper; used for the page lock only",
    rules=lambda options: {
        **swapped_rules(options),
        "bits": options.bits,
        "corrected": int(options.variant == "corrected"),
    },
    steps=(
        "WAITER_TRY",
        "WAITER_READ",
        "WAITER_JOIN",
        "WAITER_PUBLISH",
        "WAITER_LAST_TRY",
        "WAITER_SLEEP",
        "WAITER_LEAVE",
        "WAITER_GONE",
        "UNLOCK_READ",
        "UNLOCK_GRANT",
        "RECORDED_GRANT",
        "UNLOCK_CLEAR",
        "UNLOCK_LOOK",
        "UNLOCK_AGAIN",
    ),
    lock_step="WAITER_TRY",
    unlock_step="UNLOCK_READ",
    grant_step="RECORDED_GRANT",
    sleep_step="WAITER_SLEEP",
    rows=lambda options, sizes: {"lists": (1 << options.bits) + sizes.pages, "waits": sizes.tasks},
    queues=lambda options, pages: (1 << options.bits) + pages,
    shared_queues=lambda options: 1 << options.bits,
    names_tasks=True,
    matrix=(
        ("page_waiter-posted", "page_waiter as posted", "helper", {"bits": 1, "variant": "posted"}),
        ("page_waiter", "page_waiter, corrected", "helper", {"bits": 1, "variant": "corrected"}),
        ("page_waiter-early", "page_waiter, corrected, no grace period", "helper", {"bits": 1, "free": "early"}),
        ("page_waiter-plain", "page_waiter, writers overwrite it", "helper", {"bits": 1, "writers": "plain"}),
    ),
    pointers=(Pointers("page_waiter of task", STACK_BASE, STACK_BYTES),),
)
