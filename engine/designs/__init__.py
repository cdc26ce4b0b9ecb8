"""DESIGNS: one card a design of the wait axis. The modules beside this one hold what runs (compiled half)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What a reader of a comparison needs to know of a design before its figures."""

    number: int
    """What the ladder over designs switches on."""
    module: str
    title: str
    stands: str
    """Where it stands in the debate, and who argued it."""
    structures: tuple[tuple[str, int], ...]
    """Name and bytes on x86-64 of each structure it needs."""
    tag_bits: int
    """Bits of page->mapping that it claims while somebody waits."""
    needs: str
    lock_step: str | None = None
    """First step of a wait for the page lock, where the design has a path of its own."""
    unlock_step: str | None = None
    """First step of unlocking likewise."""
    grant_step: str | None = None
    """Step that a recorded wake comes to where the design hands the lock over."""


DESIGNS: dict[str, Card] = {
    "hashed": Card(
        number=0,
        module="engine.designs.hashed",
        title="shared wait queues, found by hash",
        stands="the kernel's own since 4.10: 256 queues shared by all pages; Dickins: take more of them",
        structures=(("wait_queue_head", 24), ("wait_page_queue", 56)),
        tag_bits=0,
        needs="24 bytes a queue, nothing a page",
    ),
    "page_wait": Card(
        number=1,
        module="engine.designs.page_wait",
        title="page_wait swapped into page->mapping",
        stands="Glisse, April 2018: a queue of its own for every page that is waited on",
        structures=(("page_wait, 3 wait bits", 136), ("wait_page_queue", 56)),
        tag_bits=0x1,
        needs="every reader of page->mapping goes through a helper (encoding E1)",
    ),
    "page_waiter": Card(
        number=2,
        module="engine.designs.page_waiter",
        title="the first waiter swapped into page->mapping",
        stands="Glisse, RFC of April 2018: the structures lie on the waiters' stacks, the lock is handed over",
        structures=(("page_waiter", 56), ("wait_queue_head", 24)),
        tag_bits=0x1,
        needs="every reader of page->mapping goes through a helper; only the page lock waits there",
        lock_step="WAITER_TRY",
        unlock_step="UNLOCK_READ",
        grant_step="RECORDED_GRANT",
    ),
}
