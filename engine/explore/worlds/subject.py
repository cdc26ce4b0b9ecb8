"""WorldSubject: a small scenario as a subject of the search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from engine import schedule_word
from engine.errors import UserError
from engine.explore.layout import Layout, Spans, laid_out
from engine.explore.search import walks
from engine.explore.search.search import Reduction
from engine.explore.search.subject import Shape
from engine.explore.small import check_small
from engine.explore.tables.table import Values
from engine.explore.worlds.columns import read, state_columns, write
from engine.explore.worlds.equals import arrange, groups, renamed
from engine.explore.worlds.packing import packed
from engine.explore.worlds.stepping import EXPAND, JUDGE, KNOWN
from engine.mm.steps import LOCAL, STEPS
from engine.runs.schedule import make_move
from engine.runs.scheduled import references
from engine.runs.timed_run import TimedRun
from engine.scenario import Scenario
from engine.workloads import Tasks
from engine.world.state import EVENTS, World

VALUES_MAX = 1_024
"""Values in a state; larger worlds have too many states to explore."""


class WorldSubject:
    """A scenario's world. Its tasks are the processes; a move is task + choice * tasks."""

    outcomes: tuple[tuple[int, bool], ...] = ()

    def __init__(self, scenario: Scenario) -> None:
        """Raises UserError for a scenario that cannot be explored."""
        check_small(scenario)
        self.scenario = scenario
        self.name, self.why, self.kernel = scenario.name, scenario.story, scenario.profile
        run = TimedRun(scenario, watched=True)
        self.world: World = run.world
        self.cast = run.cast
        KNOWN[self.world.pointer] = self.world
        w = self.world
        self.processes = tuple(task.name for task in run.cast.tasks)
        self.columns = state_columns(w)
        if (values := sum(len(column.rows) for column in self.columns)) > VALUES_MAX:
            text = f"a state of this scenario has {values} values; the limit is {VALUES_MAX}: use fewer pages or queues"
            raise UserError(text, code="too_large", field="scenario.workload")
        assert isinstance(scenario.workload, Tasks)
        self.promises = any(group.repeat is not None for group in scenario.workload.groups)
        self.symmetric = groups(w)
        n = len(self.processes)
        self.choices = max([1, *(count for count in w.picks.count.array.tolist())])
        self.moves = n * self.choices
        self.process_of = np.arange(self.moves, dtype=np.int64) % n
        self._start = tuple(read(w, column) for column in self.columns)
        self.references = references(w)

    def asked_json(self) -> str:
        return self.scenario.model_dump_json()

    def spans(self) -> Spans:
        return [
            (min(column.span[0], *values), max(column.span[1], *values))
            for column, values in zip(self.columns, self._start, strict=True)
        ]

    def start(self, *, symmetry: bool) -> Values:
        return Values(self._start, ())

    def shape(self, spans: Spans, *, bounded: bool, symmetry: bool, reduced: bool) -> Shape:
        layout = laid_out([len(column.rows) for column in self.columns], spans, bounded=bounded)
        w = self.world
        judged = [w.pages.flags.array.size, self.references]
        native = packed(w, self.columns, layout, (EXPAND, JUDGE), judged, symmetry=symmetry and bool(self.symmetric))
        return Shape(layout, native, self._reduction(layout) if reduced else None)

    def _reduction(self, layout: Layout) -> Reduction:
        """A step that touches only its own task is explored alone; every other step may depend on any step."""
        n = len(self.processes)
        touched = np.ones((n, len(STEPS) + 1), np.uint64)
        later = touched.copy()
        touched[:, sorted(LOCAL)] = 0
        field = layout.variables[[column.title for column in self.columns].index("tasks.step")]
        place = [(*field.place(task), field.mask) for task in range(n)]
        return Reduction(touched, touched, later, later, np.array(place, np.int64))

    def look(self, shape: Shape) -> walks.Look | None:
        return None

    def missed(self, number: int, values: Values) -> Iterator[tuple[int, int]]:
        self.restore(values)
        make_move(self.world, number % len(self.processes), number // len(self.processes))
        for variable, column in enumerate(self.columns):
            for value in read(self.world, column):
                yield variable, value

    def restore(self, values: Values) -> None:
        """Set the world to a state."""
        for column, rows in zip(self.columns, values.variables, strict=True):
            write(self.world, column, rows)

    def begin(self) -> None:
        """Set the world to its first state."""
        self.restore(Values(self._start, ()))

    def here(self) -> Values:
        """Return the world's current state."""
        return Values(tuple(read(self.world, column) for column in self.columns), ())

    def bounded(self, variable: int) -> bool:
        return self.columns[variable].group == "clock"  # FREE_WAIT is a row of a pool, BROKEN a set of bits

    def named(self, variable: int) -> str:
        return self.columns[variable].title

    def schedule(self, moves: Sequence[int], *, symmetry: bool) -> list[int]:
        if not (symmetry and self.symmetric):
            return list(moves)
        # each state of the path has its own order of tasks: names[i] is the original number of its i-th task
        n, w = len(self.processes), self.world
        names, own = list(range(n)), list[int]()
        self.begin()
        for move in moves:
            choice, task = divmod(move, n)
            own.append(names[task] + choice * n)
            w.clock[EVENTS] = 0
            make_move(w, task, choice)
            arrange(w)
            order = w.machine.woken.array[:n].tolist()
            names = [names[at] for at in order]
            self.restore(renamed(self.columns, self.here(), order))
        return own

    def written(self, schedule: Sequence[int]) -> str:
        return schedule_word.written(len(self.processes), schedule)

    def read(self, word: str) -> list[int]:
        return schedule_word.read(len(self.processes), word)
