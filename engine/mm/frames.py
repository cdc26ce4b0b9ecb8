"""Calls between paths. Each actor has a small stack of frames: its callers' next steps, pages and arguments.

    call(w, task, LOCK_PAGE, FOUND_CHECK)                        lock the caller's page; then found_check
    call_on(w, task, LOCK_PAGE, MERGE_CHECK, other, page, 0)     lock another page; then merge_check on the first one
    ret(w, task)                                                 end of a path: go on with the caller's next step

A call site names the step that it calls, so engine.world.nesting knows before a run how deep calls can nest, and
rejects more than FRAMES_MAX. Row depth * tasks + task of World.frames is the task's frame at that depth. ret() zeroes
the frame that it leaves, so that states of an exploration do not differ in unused frames.
"""

from __future__ import annotations

from engine.mm.steps import NEXT_OP
from engine.world.jit import INTERPRETED, inlined
from engine.world.state import FRAMES_MAX, World


@inlined
def call(w: World, task: int, step: int, then: int) -> None:
    """Call the path that begins with `step`, on the same pages; after it, go on with the step `then`."""
    depth = w.tasks.depth[task]
    if INTERPRETED:
        assert depth < FRAMES_MAX, "calls nest deeper than engine.world.nesting found"
    w.frames.step[depth * w.rules.n_tasks + task] = then
    w.tasks.depth[task] = depth + 1
    w.tasks.step[task] = step


@inlined
def call_on(w: World, task: int, step: int, then: int, page: int, second: int, arg: int) -> None:
    """Call a path on other pages and with its own argument; ret() restores the caller's."""
    frame = w.tasks.depth[task] * w.rules.n_tasks + task
    w.frames.kept[frame] = 1
    w.frames.page[frame] = w.tasks.page[task]
    w.frames.second[frame] = w.tasks.second[task]
    w.frames.argument[frame] = w.tasks.argument[task]
    call(w, task, step, then)
    w.tasks.page[task] = page
    w.tasks.second[task] = second
    w.tasks.argument[task] = arg


@inlined
def ret(w: World, task: int) -> None:
    """End a path: go on with the caller's next step; without a caller, begin the program's next operation."""
    depth = w.tasks.depth[task]
    if depth:
        _pop(w, task, depth - 1)
        return
    at = w.tasks.at[task]
    if w.program.last[at]:
        w.tasks.step[task] = NEXT_OP
    else:
        w.tasks.at[task] = at + 1
        w.tasks.step[task] = w.program.step[at + 1]


@inlined
def _pop(w: World, task: int, depth: int) -> None:
    frame = depth * w.rules.n_tasks + task
    w.tasks.step[task] = w.frames.step[frame]
    w.tasks.depth[task] = depth
    w.frames.step[frame] = 0
    if w.frames.kept[frame]:
        w.tasks.page[task] = w.frames.page[frame]
        w.tasks.second[task] = w.frames.second[frame]
        w.tasks.argument[task] = w.frames.argument[frame]
        w.frames.kept[frame] = 0
        w.frames.page[frame] = 0
        w.frames.second[frame] = 0
        w.frames.argument[frame] = 0
