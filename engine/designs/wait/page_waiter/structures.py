"""page_waiter structures as they lie on their tasks' stacks: words that point to them, who follows those, how they end.

Row t of World.waits is task t's own: base, its copy of the mapping; page, for as long as the structure lives; locked,
while its lock is held; readers, tasks that have read a word that points to it and not yet reached it.
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
"""In tasks.seen, no part of the word: the structure's task has returned."""


@inlined
def waiter_word(w: World, task: int) -> int:
    """Return the word that stands in page->mapping while the task's page_waiter is swapped in."""
    return (STACK_BASE + STACK_BYTES * task) | w.rules.tag


@inlined
def waiter_row(word: int) -> Any:
    """Return the task whose page_waiter a tagged word points to."""
    return (word - STACK_BASE) // STACK_BYTES


@inlined
def own_list(w: World, page: int) -> Any:
    """Return the row of the list of tasks that wait for the page's lock: first its head, then those who follow."""
    return (1 << w.rules.bits) + page


@inlined
def follow(w: World, task: int, word: int) -> None:
    """The task has read a word that points to a waiter."""
    w.tasks.seen[task] = word
    w.waits.readers[waiter_row(word)] += 1


@inlined
def let_go(w: World, task: int) -> None:
    """The task follows its word no more; who waited for that may return."""
    word = w.tasks.seen[task]
    w.tasks.seen[task] = 0
    if word != 0 and word & DANGLING == 0:
        row = waiter_row(word)
        w.waits.readers[row] -= 1
        if w.waits.readers[row] == 0 and w.waits.page[row] == NONE and w.tasks.state[row] == ASLEEP:
            make_ready(w, row, w.rules.latency_ns)


@jit
def step_down(w: World, task: int, page: int) -> None:
    """L8: if the word is the task's, it is the next waiter's from now on; behind the last the mapping is restored.

    As posted, each waiter restores the copy that it made when it came; corrected, there is one copy, handed on.
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
    """The structure is of no use to anyone who comes to it from here on."""
    w.waits.page[task] = NONE
    w.waits.base[task] = 0
    w.waits.locked[task] = 0


@jit
def abandon(w: World, task: int) -> None:
    """L9: the task returns, and its stack with the structure is used for something else."""
    if w.waits.readers[task]:
        word = waiter_word(w, task)
        for other in range(w.rules.n_tasks):
            if w.tasks.seen[other] == word:
                w.tasks.seen[other] = word | DANGLING
        w.waits.readers[task] = 0
