"""STATE: the columns of a World that make up a state, and the values that they are expected to take.

What no step looks at is left out: times, counts for the reader, random streams, the lines of spinners (in an
exploration a task that finds a queue lock taken is not enabled). Two worlds that agree in these columns go on alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from engine.events import NONE
from engine.state import BROKEN, FREE_WAIT, World, element_types
from engine.state import GROUPS as TABLES

Span = tuple[int, int]


def _flags(w: World) -> Span:
    return 0, (1 << 15) - 1


def _word(w: World) -> Span:
    """Addresses in the direct map, tagged or not, and NULL."""
    return -(1 << 47), (1 << 47) - 1


def _bool(w: World) -> Span:
    return 0, 1


def _few(w: World) -> Span:
    return -1, 6


def _tasks(w: World) -> Span:
    return -1, w.rules.n_tasks


def _entries(w: World) -> Span:
    return -1, 2 * w.rules.n_tasks


def _pages(w: World) -> Span:
    return -1, w.pages.flags.array.size


def _files(w: World) -> Span:
    return -1, w.files.pages.array.size


def _lists(w: World) -> Span:
    return -1, w.lists.head.array.size


def _waits(w: World) -> Span:
    return -1, w.waits.base.array.size


def _program(w: World) -> Span:
    return 0, max(w.program.step.array.size - 1, 1)


def _steps(w: World) -> Span:
    return 0, 127


def _rounds(w: World) -> Span:
    return -1, max(int(w.tasks.rounds.array.max(initial=0)), 0)


def _bits(w: World) -> Span:
    return 0, 15


STATE: tuple[tuple[str, str, Callable[[World], Span]], ...] = (
    # group, column, least and greatest value expected (more makes the search lay out its states anew)
    ("pages", "flags", _flags),
    ("pages", "mapping", _word),
    ("pages", "refcount", _few),
    ("pages", "file", _files),
    ("pages", "index", lambda w: (0, w.pages.flags.array.size - 1)),
    ("pages", "owner", _tasks),
    ("pages", "mapped", _bool),
    ("pages", "doomed", _tasks),
    ("tasks", "step", _steps),
    ("tasks", "then", _steps),
    ("tasks", "outer", _steps),
    ("tasks", "at", _program),
    ("tasks", "rounds", _rounds),
    ("tasks", "page", _pages),
    ("tasks", "bit", _bits),
    ("tasks", "state", lambda w: (0, 3)),
    ("tasks", "drowsy", _bool),
    ("tasks", "unfairness", _few),
    ("tasks", "holds", lambda w: (0, 3)),
    ("tasks", "phase", lambda w: (0, 4)),
    ("tasks", "seen", _word),
    ("tasks", "made", _waits),
    ("tasks", "cursor", _entries),
    ("tasks", "walk_list", _lists),
    ("tasks", "matched", lambda w: (0, 7)),
    ("tasks", "other_bit", lambda w: (0, 7)),
    ("entries", "next", _entries),
    ("entries", "prev", _entries),
    ("entries", "list", _lists),
    ("entries", "page", _pages),
    ("entries", "bit", _bits),
    ("entries", "flags", lambda w: (0, 31)),
    ("lists", "head", _entries),
    ("lists", "tail", _entries),
    ("lists", "length", _tasks),
    ("lists", "lock", _tasks),
    ("waits", "base", _word),
    ("waits", "page", _pages),
    ("waits", "readers", _tasks),
    ("waits", "locked", _bool),
    ("waits", "free_next", _waits),
    ("files", "size", _pages),
)
CLOCK: tuple[tuple[int, str, Callable[[World], Span]], ...] = (
    (FREE_WAIT, "free_wait", _waits),
    (BROKEN, "broken", lambda w: (0, 1)),
)


TASK_ROWS = frozenset({"tasks", "entries"})
"""Tables with a row a task."""
TASK_REFERENCES = frozenset(
    {
        "pages.owner",
        "pages.doomed",
        "tasks.cursor",
        "entries.next",
        "entries.prev",
        "lists.head",
        "lists.tail",
        "lists.lock",
    }
)
"""Columns that hold rows of tasks, or of their wait entries (an entry of a row that is no task's is a bookmark)."""


class StateColumn(NamedTuple):
    """One column of a state: where it lies, the rows that can change, and the span expected.

    element: "I64" ..; U32 columns hold rows: NONE counts as -1.
    """

    group: str
    name: str
    element: str
    rows: tuple[int, ...]
    span: Span

    @property
    def title(self) -> str:
        """How a reader knows it: page->mapping as pages.mapping."""
        return f"{self.group}.{self.name}"


def state_columns(w: World) -> list[StateColumn]:
    """Return the columns of this world's states, but for those that its design never uses."""
    found = []
    for group, name, span in STATE:
        rows = tuple(_rows(w, group))
        if rows:
            found.append(StateColumn(group, name, element_types(TABLES[group])[name], rows, span(w)))
    for place, name, span in CLOCK:
        found.append(StateColumn("clock", name, "I64", (place,), span(w)))
    return found


def _rows(w: World, group: str) -> Iterator[int]:
    """Yield the rows of a table that can differ between two states."""
    if group == "lists" and w.rules.bits:
        yield from sorted(set(w.pages.queue.array.tolist()))
        yield from range(1 << w.rules.bits, w.lists.head.array.size)
    elif group == "entries":  # bookmarks are left after 65 entries: no small world has so many
        yield from range(w.rules.n_tasks)
    else:
        yield from range(getattr(w, group)[0].array.size)


def read(w: World, column: StateColumn) -> tuple[int, ...]:
    """Return the column's values in the rows that can change."""
    if column.group == "clock":
        return (w.clock[column.rows[0]],)
    array = getattr(getattr(w, column.group), column.name).array
    values = (int(array[row]) for row in column.rows)
    return tuple(-1 if column.element == "U32" and value == NONE else value for value in values)


def write(w: World, column: StateColumn, values: tuple[int, ...]) -> None:
    """Store values into the rows that can change."""
    if column.group == "clock":
        w.clock[column.rows[0]] = values[0]
        return
    array = getattr(getattr(w, column.group), column.name).array
    for row, value in zip(column.rows, values, strict=True):
        array[row] = NONE if column.element == "U32" and value == -1 else value
