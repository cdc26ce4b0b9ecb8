"""page_wait: a structure with the page's own wait queues, swapped into page->mapping while the page has waiters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.designs.card import Card, Pointers
from engine.designs.wait.page_wait.words import PAGE_WAIT_BASE, PAGE_WAIT_BYTES, WAIT_BITS
from engine.designs.wait.swapped import TAGS, Swapped, swapped_rules


class PageWait(Swapped):
    """A page_wait swapped into page->mapping."""

    design: Literal["page_wait"] = "page_wait"
    wait_bits: Annotated[Literal[1, 3], Field(description="one queue for all page bits, or one for each")] = 3


def _rows(options: PageWait, tasks: int) -> dict[str, int]:
    # every structure has a task that waits in it, walks it, is on its way to it or allocated it
    return {"lists": (tasks + 1) * WAIT_BITS, "waits": tasks + 1}


CARD = Card(
    name="page_wait",
    axis="wait",
    package=__name__,
    title="page_wait swapped into page->mapping",
    stands="Glisse, April 2018: every page with waiters gets a queue of its own",
    options=PageWait,
    structures=(("page_wait, 3 wait bits", PAGE_WAIT_BYTES), ("wait_page_queue", 56)),
    tag_bits=lambda options: TAGS[options.encoding],
    needs="every reader of page->mapping goes through a helper (encoding E1)",
    rules=lambda options: {
        **swapped_rules(options),
        "wait_bits": options.wait_bits,
        "queue_lists": WAIT_BITS,
        "queue_per_page": 1,
        "tag_shows_queue": 1,
    },
    rows=lambda options, sizes: _rows(options, sizes.tasks),
    queues=lambda options, pages: pages,
    matrix=(
        ("page_wait", "page_wait, readers use a helper", "helper", {}),
        ("page_wait-raw_null", "page_wait, raw NULL check", "raw_null", {}),
        ("page_wait-compare", "page_wait, raw word compared", "compare", {}),
        ("page_wait-one", "page_wait with one queue for all bits", "helper", {"wait_bits": 1}),
        ("page_wait-early", "page_wait, freed without a grace period", "helper", {"free": "early"}),
        ("page_wait-plain", "page_wait, writers overwrite it", "helper", {"writers": "plain"}),
        ("page_wait-E2", "page_wait, tag in bit 0, unmodified readers (E2)", "helper", {"encoding": "E2"}),
        ("page_wait-E3", "page_wait, tag in bit 2, unmodified readers (E3)", "helper", {"encoding": "E3"}),
    ),
    pointers=(Pointers("page_wait", PAGE_WAIT_BASE, PAGE_WAIT_BYTES),),
)
