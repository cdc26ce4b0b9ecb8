"""page_waiter structures on their tasks' stacks: the words that point to them, tasks that follow those, and their end.

Row t of World.waits is task t's: base, its copy of the mapping; page, while the structure is live; locked, while its
lock is held; readers, the number of tasks that have read a word pointing to it and not yet reached it.
"""

from __future__ import annotations

from typing import Any

from engine.designs.wait.page_waiter.words import STACK_BASE, STACK_BYTES
from engine.events import Kind
from engine.invariants import MAPPING_RESURRECTED
from engine.mm.wait_list import make_ready
from engine.world.jit import inlined, jit
from engine.world.state import ASLEEP, NONE, World
from engine.world.trace import broken, record

MAPPING_SWAPPED, MAPPING_RESTORED = int(Kind.mapping_swapped), int(Kind.mapping_restored)
DANGLING = 0x2
"""Set in tasks.seen, never in page->mapping: the structure's task has returned."""


@inlined
def waiter_word(w: World, task: int) -> int:
    """Return the value of page->mapping while the task's page_waiter is swapped in."""
    return (STACK_BASE + STACK_BYTES * task) | w.rules.tag


@inlined
def waiter_row(word: int) -> Any:
    """Return the task whose page_waiter a tagged word points to."""
    return (word - STACK_BASE) // STACK_BYTES


@inlined
def own_list(w: World, page: int) -> Any:
    """Return the row of the list of tasks that wait for the page lock, the head first."""
    return (1 << w.rules.bits) + page


@inlined
def follow(w: World, task: int, word: int) -> None:
    """Note that the task has read a word that points to a waiter."""
    w.tasks.seen[task] = word
    w.waits.readers[waiter_row(word)] += 1


@inlined
def let_go(w: World, task: int) -> None:
    """Stop following the task's word; wake the waiter if its task waited for that to return."""
    word = w.tasks.seen[task]
    w.tasks.seen[task] = 0
    if word != 0 and word & DANGLING == 0:
        row = waiter_row(word)
        w.waits.readers[row] -= 1
        if w.waits.readers[row] == 0 and w.waits.page[row] == NONE and w.tasks.state[row] == ASLEEP:
            make_ready(w, row, w.rules.latency_ns)


@jit
def step_down(w: World, task: int, page: int) -> None:
    """L8: if the task is the head, make the next waiter the head; after the last waiter, restore the mapping.

    As posted, each waiter restores the copy that it made on arrival; corrected, one copy is passed on.
    """
    word, base = waiter_word(w, task), w.waits.base[task]
    if w.pages.mapping[page] != word:
        return
    next = w.lists.head[own_list(w, page)]
    w.pages.mapping[page] = base
    record(w, MAPPING_RESTORED, task, page, word, base)
    if next != NONE:
        if w.rules.corrected:
            w.waits.base[next] = base
        w.pages.mapping[page] = waiter_word(w, next)
        record(w, MAPPING_SWAPPED, task, page, w.waits.base[next], w.pages.mapping[page])
    elif base != 0 and w.pages.file[page] == NONE and w.pages.home[page] != NONE:
        broken(w, task, page, MAPPING_RESURRECTED)


@inlined
def retire(w: World, task: int) -> None:
    """Clear the structure, so that tasks that reach it from here on do not use it."""
    w.waits.page[task] = NONE
    w.waits.base[task] = 0
    w.waits.locked[task] = 0


@jit
def abandon(w: World, task: int) -> None:
    """L9: the task returns and its stack is reused: mark the words that point to it and are in use as dangling."""
    if w.waits.readers[task]:
        word = waiter_word(w, task)
        for other in range(w.rules.n_tasks):
            if w.tasks.seen[other] == word:
                w.tasks.seen[other] = word | DANGLING
        w.waits.readers[task] = 0
