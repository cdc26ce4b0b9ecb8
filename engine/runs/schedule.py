"""The third scheduler: a schedule names the task that takes each step. Time counts steps.

Litmus tests are written as schedules, and what the explorer finds is played as one. The explorer itself makes every
move of every state with the functions here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.errors import UserError
from engine.events import Batch
from engine.invariants import COUNTS, DEADLOCK, LEAK, LOST_WAKEUP, MAPPING_LOST, QUEUE_LENGTH
from engine.mm.frames import ret
from engine.mm.ksm.tree import ksm_word
from engine.mm.steps import NEXT_OP, PICK, SPIN, STEPS, WAIT_FINISH, WAIT_PUBLISH, WAKE_END
from engine.mm.swap.cache import slots_balance, swap_cached
from engine.runs.batches import cut_batch
from engine.world.dispatch import step
from engine.world.jit import jit
from engine.world.state import (
    ANON_PAGE,
    ASLEEP,
    CAPACITY,
    EVENTS,
    FINISHED,
    FREE_PAGE,
    KSM_PAGE,
    NONE,
    NOW,
    READY,
    SEEN,
    SLACK,
    WOKEN,
    World,
)
from engine.world.trace import broken
from engine.world.verbs import leaks, protect_mapping, settle


@jit
def step_once(w: World, task: int) -> int:
    """Run one step of the task; return its cost, BLOCKED or SPIN. Tasks that it wakes are ready at once."""
    cost: int = step(w, task)
    w.clock[WOKEN] = 0
    w.clock[NOW] += 1
    return cost


@jit
def choices(w: World, task: int) -> Any:
    """Return how many moves the task's next step has: one per page for a pick, otherwise one."""
    if w.tasks.step[task] == PICK:
        return w.picks.count[w.program.arg[w.tasks.at[task]]]
    return 1


@jit
def tidy(w: World, task: int, was: int, between: bool) -> None:
    """Reset columns that no later step reads: after a walk or a wait, and all of them between two operations.

    was: the step just run.
    """
    t, e = w.tasks, w.entries
    if between or was in (WAKE_END, WAIT_FINISH):
        t.bit[task] = 0
        t.walk_list[task] = NONE
        t.cursor[task] = NONE
        t.matched[task] = 0
        t.other_bit[task] = 0
    elif was == WAIT_PUBLISH:
        t.walk_list[task] = NONE
    if between or was == WAIT_FINISH:
        t.unfairness[task] = 0
        if e.list[task] == NONE:
            e.page[task] = NONE
            e.bit[task] = 0
            e.flags[task] = 0
            e.next[task] = NONE
            e.prev[task] = NONE


@jit
def make_move(w: World, task: int, choice: int) -> bool:
    """Make one move of a READY task. Return False if a queue lock is taken; the caller must then restore the world."""
    at, was = w.tasks.at[task], w.tasks.step[task]
    w.clock[SEEN] = 0
    w.clock[FREE_PAGE] = 0
    if was == PICK:
        w.tasks.page[task] = w.picks.first[w.program.arg[at]] + choice
        ret(w, task)
        w.clock[NOW] += 1
    elif step_once(w, task) == SPIN:
        return False
    tidy(w, task, was, w.tasks.at[task] != at or w.tasks.step[task] == NEXT_OP)
    settle(w)
    check(w, task)
    return True


@jit
def check(w: World, task: int) -> None:
    """Record a wrong list length or a negative reference count, which no single step can see."""
    e = w.entries
    for row in range(w.rules.n_tasks):
        list = e.list[row]
        if list != NONE:
            length = 0
            for other in range(w.rules.n_tasks):
                length += e.list[other] == list
            if w.lists.length[list] != length:
                broken(w, task, e.page[row], QUEUE_LENGTH)
    page = w.tasks.page[task]
    if page != NONE and w.pages.refcount[page] < 0:
        broken(w, task, page, COUNTS)


@jit
def entries_of(w: World, page: int) -> int:
    """Return the number of entries that map a page."""
    entries = 0
    for row in range(w.rules.mms * w.rules.virtual_pages):
        entries += w.ptes.page[row] == page
    return entries


@jit
def at_end(w: World, pages: int, references: int) -> Any:
    """Return the invariants violated in a state where no task can move, as bits.

    pages: rows of World.pages. references: sum of all pages' reference counts when no task holds one, no page is in a
    file and none is mapped.
    """
    violated = 0
    ended = True
    for task in range(w.rules.n_tasks):
        if w.tasks.state[task] == FINISHED or (task >= w.rules.first_actor and w.tasks.state[task] == ASLEEP):
            continue
        ended = False
        lost = w.tasks.state[task] == ASLEEP and not w.pages.flags[w.tasks.page[task]] >> w.tasks.bit[task] & 1
        if w.rules.protects and w.sleepers.page[task] != NONE:
            lost = w.protection.owner[w.sleepers.page[task]] == NONE
        violated |= 1 << (LOST_WAKEUP if lost else DEADLOCK)
    if violated >> LOST_WAKEUP & 1:
        return 1 << LOST_WAKEUP
    if not ended:
        return violated
    for task in range(w.rules.n_tasks):
        references += w.tasks.holds[task]
    for page in range(pages):
        file = w.pages.file[page]
        expected = 0 if file == NONE else w.files.address[file]
        if w.rules.mapped:
            if w.rmap.kind[page] == ANON_PAGE:
                expected = w.rules.anon_word
                if swap_cached(w, page) and w.rmap.mapcount[page] == 0 and w.pages.mapping[page] == 0:
                    expected = 0  # read from its slot, and not mapped yet
            elif w.rules.scans and w.rmap.kind[page] == KSM_PAGE:
                expected = ksm_word(w, page)
            references += w.rmap.mapcount[page] + w.rmap.pinned[page] + swap_cached(w, page)
            if entries_of(w, page) != w.rmap.mapcount[page]:
                violated |= 1 << COUNTS
        word = w.pages.mapping[page]
        if w.rules.movable_word and word in (w.rules.movable_word, w.rules.movable_left):
            expected = word
        if w.rules.attaches:
            word = protect_mapping(w, page, word)
        if word != expected:
            violated |= 1 << MAPPING_LOST
        references -= w.pages.refcount[page] - (file != NONE)
    if w.rules.swaps and not slots_balance(w):
        violated |= 1 << COUNTS
    if leaks(w):
        violated |= 1 << LEAK
    if references != 0:
        violated |= 1 << COUNTS
    return violated


def enabled(w: World, task: int) -> bool:
    """Return True if the task can take a step: it is READY. (The step may still find a queue lock taken: SPIN.)"""
    return w.tasks.state[task] == READY


def step_name(w: World, task: int) -> str:
    """Return the name of the task's next step."""
    return STEPS[w.tasks.step[task]][0]


def play_schedule(w: World, schedule: Iterable[int]) -> Batch:
    """Take one step of each named task in turn; return the events. Raises UserError if a task cannot move."""
    for place, task in enumerate(schedule):
        if not enabled(w, task):
            raise UserError(f"step {place} of the schedule: task {task} sleeps or has finished", field="schedule")
        if w.clock[EVENTS] >= CAPACITY - SLACK:
            raise UserError(f"step {place} of the schedule: more events than one batch holds", field="schedule")
        if step_once(w, task) == SPIN:
            raise UserError(f"step {place} of the schedule: task {task} finds the queue lock taken", field="schedule")
    return cut_batch(w)
