"""A world's schedule, told: what each step changed of pages, queues and structures, in the kernel's words."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Sequence
from functools import cache

from engine.errors import AskedWrongly
from engine.events import FLAG_NAMES, NONE, WQ_NAMES
from engine.explore.story import STEPS_TOLD_MAX, Change, State, Story, Told, Value
from engine.explore.worlds.columns import read
from engine.explore.worlds.subject import WorldSubject
from engine.invariants import INVARIANTS
from engine.mm.mapping import word_shown
from engine.mm.steps import STEPS
from engine.schedule import at_end, choices, enabled, make_move, step_name
from engine.schedule_word import letters
from engine.state import BROKEN, EVENTS, READY, World

STATES = ("ready", "asleep", "spinning", "finished")
SOURCE = re.compile(r"\b((?:[\w-]+/)+[\w-]+\.[ch]): (\w+\(\))")
_HIDDEN = {
    *(f"entries.{name}" for name in ("next", "prev", "list", "page", "bit")),
    *(f"tasks.{name}" for name in ("step", "then", "outer", "at", "rounds", "bit", "cursor", "walk_list", "state")),
    *(f"tasks.{name}" for name in ("matched", "other_bit", "unfairness", "page", "holds")),
    *(f"lists.{name}" for name in ("head", "tail", "length", "lock")),
    *(f"pages.{name}" for name in ("flags", "mapping", "refcount", "file", "owner", "mapped", "doomed")),
    *("entries.flags", "tasks.drowsy", "files.size"),
    *(f"waits.{name}" for name in ("base", "page", "free_next")),
    *("clock.free_wait", "clock.broken"),
}
"""Columns that are told in better words, or that only the steps' own position needs."""


@cache
def function_of(step: str) -> str:
    """Return the kernel's file and function that a step stands for, by its docstring: mm/filemap.c: unlock_page()."""
    path = dict(STEPS)[step]
    module, _, name = path.rpartition(".")
    loaded = importlib.import_module(module)
    function = getattr(loaded, name)
    doc = inspect.getdoc(getattr(function, "py_func", function)) or ""
    if found := SOURCE.search(doc):
        return f"{found[1]}: {found[2]}"
    file = re.search(r"\b((?:[\w-]+/)+[\w-]+\.[ch])\b", loaded.__doc__ or "")
    return f"{file[1]}, in {name}()" if file else f"{name}()"


def facts(subject: WorldSubject) -> State:
    """Return what there is to see in the world as it stands: name -> value."""
    w = subject.world
    told: State = {}
    for page in range(w.pages.flags.array.size):
        flags = w.pages.flags[page]
        told[f"page {page}: flags"] = " ".join(name for bit, name in FLAG_NAMES.items() if flags >> bit & 1) or "0"
        told[f"page {page}: mapping"] = word_shown(w.pages.mapping[page], w.files.address.array.tolist())
        told[f"page {page}: slot"] = "empty" if w.pages.file[page] == NONE else "in the file"
        told[f"page {page}: references"] = w.pages.refcount[page]
        told[f"page {page}: lock"] = _who(w.pages.owner[page])
        told[f"page {page}: pte"] = "mapped" if w.pages.mapped[page] else "none"
        if (cutter := w.pages.doomed[page]) != NONE:
            told[f"page {page}: to be cut by"] = letters(cutter)
    for file in range(w.files.size.array.size):
        told[f"file {file}: i_size"] = w.files.size[file]
    for task in range(w.rules.n_tasks):
        who, flags = letters(task), w.entries.flags[task]
        state = (
            "about to sleep" if w.tasks.drowsy[task] and w.tasks.state[task] == READY else STATES[w.tasks.state[task]]
        )
        told[f"{who} is"] = state
        told[f"{who} has looked up"] = w.tasks.holds[task]
        told[f"{who}'s entry"] = " ".join(name for bit, name in WQ_NAMES.items() if flags & bit) or "plain"
    for column in subject.columns:
        if column.group == "lists" and column.name == "head":
            for row in column.rows:
                told[f"queue {row}"] = _queue(w, row)
                told[f"queue {row}: lock"] = _who(w.lists.lock[row])
        elif column.title == "waits.base":
            files = w.files.address.array.tolist()
            for row in column.rows:
                told[f"page_wait {row}: base"] = word_shown(w.waits.base[row], files)
                told[f"page_wait {row}: of"] = "free" if (at := w.waits.page[row]) == NONE else f"page {at}"
        elif column.title not in _HIDDEN:
            for row, value in zip(column.rows, read(w, column), strict=True):
                told[f"{column.name} {letters(row) if column.group in {'tasks', 'entries'} else row}"] = value
    return told


def _who(task: int) -> str:
    return "free" if task == NONE else letters(task)


def _queue(w: World, row: int) -> str:
    found, entry = list[str](), w.lists.head[row]
    while entry != NONE and len(found) <= w.rules.n_tasks:
        found.append(letters(entry) if entry < w.rules.n_tasks else "bookmark")
        entry = w.entries.next[entry]
    return " ".join(found) or "empty"


def story_of_world(subject: WorldSubject, moves: Sequence[int], loop: Sequence[int] = ()) -> Story:
    """Return a schedule as a story; loop: the moves after it that lead back to where they began.

    Leaves the subject's world where the schedule ends. Raises AskedWrongly for a move that cannot be made.
    """
    if len(moves) + len(loop) > STEPS_TOLD_MAX:
        raise AskedWrongly(f"schedule: more than {STEPS_TOLD_MAX} steps", field="schedule")
    w = subject.world
    subject.begin()
    before, steps = facts(subject), []
    start = before
    for number, move in enumerate([*moves, *loop], 1):
        task = move % len(subject.processes)
        label = step_name(w, task)
        play(subject, move, number)
        after = facts(subject)
        changed = tuple(
            Change(name, _flat(before.get(name, "")), _flat(value))
            for name, value in after.items()
            if before.get(name) != value
        )
        names = frozenset(change.name for change in changed)
        told = w.clock[BROKEN]
        broken = "; ".join(one.says for bit, one in enumerate(INVARIANTS) if told >> bit & 1)
        steps.append(Told(task, label, function_of(label), changed, broken, after, names, names))
        before = after
    return Story(
        subject.name, subject.why, subject.processes, start, tuple(steps), ending(subject), len(moves) if loop else None
    )


def _flat(value: Value | list[Value]) -> Value:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def play(subject: WorldSubject, move: int, number: int) -> None:
    """Make one move in the subject's world. Raises AskedWrongly where it cannot be made; number: its place, from 1."""
    w, (choice, task) = subject.world, divmod(move, len(subject.processes))
    where = f"schedule: step {number}: {subject.processes[task]}"
    if not enabled(w, task):
        raise AskedWrongly(
            f"{where} {STATES[w.tasks.state[task]]}: it cannot move", code="bad_schedule", field="schedule"
        )
    if choice >= choices(w, task):
        raise AskedWrongly(f"{where} has no choice {choice} there", code="bad_schedule", field="schedule")
    w.clock[EVENTS] = 0
    if not make_move(w, task, choice):
        raise AskedWrongly(f"{where} finds the queue lock taken", code="bad_schedule", field="schedule")


def possible(subject: WorldSubject) -> list[int]:
    """Return the moves that can be made in the world as it stands; it is left as it was."""
    w = subject.world
    if w.clock[BROKEN]:
        return []
    here = subject.here()
    found = []
    for task in range(w.rules.n_tasks):
        if not enabled(w, task):
            continue
        for choice in range(choices(w, task)):
            w.clock[EVENTS] = 0
            if make_move(w, task, choice):
                found.append(task + choice * w.rules.n_tasks)
            subject.restore(here)
    return found


def ending(subject: WorldSubject) -> str:
    """Return what is wrong with the world as it stands, if nobody can move: "" if nothing is, or somebody can."""
    w = subject.world
    if w.clock[BROKEN] or possible(subject):
        return ""
    told = at_end(w, w.pages.flags.array.size, w.waits.page.array.size, subject.references)
    return "; ".join(one.says for bit, one in enumerate(INVARIANTS) if told >> bit & 1)
