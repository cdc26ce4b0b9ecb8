"""A scenario's world as Promela, so that SPIN can confirm what was found here: the engine's own steps, as C.

A state is one C struct, the columns that are state (worlds.columns); SPIN is told of nothing else that could tell two
states apart. A step is one d_step, tried on a copy: a task that finds a queue lock taken is not enabled. SPIN without
reduction finds as many states as the explorer, and one transition more than there are edges, as it counts the way into
the first state. Its errors (-c0 counts them all) are the states that go no further although not everybody has
finished: deadlocks, and states with an invariant broken.

The model's first lines say how SPIN searches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import numpy as np

from engine.designs import DESIGNS
from engine.errors import AskedWrongly
from engine.explore.worlds.columns import CLOCK, STATE, tidy
from engine.explore.worlds.to_c import ToC
from engine.mm.steps import NEXT_OP, PICK, SPIN, STEPS
from engine.state import BROKEN, DTYPES, FINISHED, GROUPS, READY, World, element_types

TASKS_MAX = 64
"""A walk over more waiters than this would leave a bookmark, an entry that is no state here."""
STATE_BYTES_MAX = 1 << 15
REPLACED = {
    "engine.trace.record": "",
    "engine.trace.witness": "",
    "engine.rng.exponential": "0LL",
    "engine.rng.alias_pick": "0LL",
}
"""What leaves no mark on a state: events, witnesses, times, and the choice among one page."""
_TYPEDEFS = """
typedef long long I64; typedef unsigned long long U64; typedef unsigned int U32;
typedef unsigned short U16; typedef unsigned char U8;
""".strip()

_SCHEDULER = """
/* Try one step of a task on a copy of the state. 0: it cannot move. */
static int attempt(int task) {
  if (here.tasks_state[task] != %(READY)d || here.clock[%(BROKEN)d]) return 0;
  __builtin_memcpy(&after, &here, sizeof(here));
  __builtin_memcpy(&scratch, &scratch_first, sizeof(scratch));
  if (ladder(task) == %(SPIN)d) return 0;
  %(TIDY)s
  return 1;
}
static int finished(const struct Tracked *w, int but) {
  for (int task = 0; task < %(TASKS)d; task++)
    if (task != but && w->tasks_state[task] != %(FINISHED)d) return 0;
  return 1;
}
/* The task can take a step, and then somebody has not finished yet. */
static int moves(int task) { return attempt(task) && !finished(&after, -1); }
/* The task can take a step, and then everybody has finished. */
static int ends(int task) { return finished(&here, task) && attempt(task) && finished(&after, -1); }
""".strip()


def written(name: str, w: World) -> str:
    """Return the model of a world at its start. Raises AskedWrongly for one that has more to it than a state holds."""
    _refuse_choices(w)
    return _Model(w).text(name)


def _refuse_choices(w: World) -> None:
    if w.rules.n_tasks > TASKS_MAX:
        raise AskedWrongly(
            f"{w.rules.n_tasks} tasks in all groups; a model has at most {TASKS_MAX}: use fewer", field="workload"
        )
    for step, argument in zip(w.program.step.array.tolist(), w.program.arg.array.tolist(), strict=True):
        if step == PICK and w.picks.count[argument] != 1:
            raise AskedWrongly("a pick among several pages is a draw, not a step: give it count = 1", field="workload")


class _Model:
    """The parts of a model: which column is what, the functions, the struct."""

    def __init__(self, w: World) -> None:
        self._w = w
        self._stored: set[tuple[str, str]] = set()
        self._read: set[tuple[str, str]] = set()
        self._lists = _lists_in_use(w)
        self._translated()  # finds out which columns are stored to
        self._to_c, self._steps = self._translated()

    def _translated(self) -> tuple[ToC, list[int]]:
        """Return the functions of all steps that can be reached, and the numbers of these steps."""
        to_c = ToC(self._w.rules._asdict(), self._element, REPLACED)
        numbers = {name: number for number, (name, _) in enumerate(STEPS)}
        reached: list[int] = []
        found = {NEXT_OP, *self._w.program.step.array.tolist(), *self._w.tasks.step.array.tolist()}
        while found - set(reached):
            number = min(found - set(reached))
            reached.append(number)
            module, _, function = STEPS[number][1].rpartition(".")
            to_c.call(getattr(import_module(module), function))
            found |= {value for name, value in to_c.globals if numbers.get(name) == value}
        to_c.call(tidy)
        return to_c, sorted(reached)

    # --- columns ----------------------------------------------------------------------------------------------------

    def _element(self, group: str, column: str, row: str, stored: bool) -> str:
        (self._stored if stored else self._read).add((group, column))
        if column == "clock":
            return f"after.clock[{CLOCK.index(int(row))}]" if int(row) in CLOCK else f"scratch.clock[{row}]"
        at = f"list_at[{row}]" if group == "lists" and self._is_state(group, column) else row
        if (group, column) not in self._stored:
            return f"{group}_{column}[{at}]"
        where = "after." if self._is_state(group, column) else "scratch."
        return f"{where}{group}_{column}[{at}]"

    @staticmethod
    def _is_state(group: str, column: str) -> bool:
        return column in STATE.get(group, ())

    def _values(self, group: str, column: str) -> list[int]:
        values: list[int] = getattr(getattr(self._w, group), column).array.tolist()
        if self._is_state(group, column):
            if group == "lists":
                return [values[row] for row in self._lists]
            if group == "entries":
                return values[: self._w.rules.n_tasks]
        return values

    def _struct(self, name: str, columns: Sequence[tuple[str, str]], clock: Sequence[int]) -> tuple[str, str, int]:
        """Return the struct's declaration, wide columns first so that it has no holes, its first values, its bytes."""
        kinds = {(g, c): element_types(GROUPS[g])[c] for g, c in columns}
        order = sorted(columns, key=lambda key: (-np.dtype(DTYPES[kinds[key]]).itemsize, key))
        fields = [f"  I64 clock[{len(clock)}];"]
        first = ["{" + ", ".join(f"{self._w.clock[place]}LL" for place in clock) + "}"]
        size = 8 * len(clock)
        for group, column in order:
            values = self._values(group, column)
            fields.append(f"  {kinds[group, column]} {group}_{column}[{len(values)}];")
            first.append("{" + _numbers(values, kinds[group, column]) + "}")
            size += np.dtype(DTYPES[kinds[group, column]]).itemsize * len(values)
        return "\n".join([f"struct {name} {{", *fields, "};"]), "{\n  " + ",\n  ".join(first) + "\n}", size

    # --- text -------------------------------------------------------------------------------------------------------

    def text(self, name: str) -> str:
        w, n = self._w, self._w.rules.n_tasks
        state = [key for key in sorted(self._stored) if self._is_state(*key)]
        scratch = sorted(self._stored - set(state) - {("", "clock")})
        fixed = sorted(self._read - self._stored - set(state) - {("", "clock")})
        tracked, tracked_first, size = self._struct("Tracked", state, CLOCK)
        if size > STATE_BYTES_MAX:
            raise AskedWrongly(
                f"a state has {size:,} bytes; a model's has at most {STATE_BYTES_MAX:,}: use fewer pages",
                field="workload",
            )
        other, other_first, _ = self._struct("Scratch", scratch, range(len(w.clock.array)))
        constants = [
            f"static const {element_types(GROUPS[g])[c]} {g}_{c}[] = "
            f"{{{_numbers(self._values(g, c), element_types(GROUPS[g])[c])}}};"
            for g, c in fixed
        ]
        listed = {row: place for place, row in enumerate(self._lists)}
        list_at = ", ".join(str(listed.get(row, 0)) for row in range(len(w.lists.head.array)))
        ladder = [
            f"    case {number}: return {self._named(number)}(task); /* {STEPS[number][0]} */" for number in self._steps
        ]
        scheduler = _SCHEDULER % {
            "READY": READY,
            "BROKEN": CLOCK.index(BROKEN),
            "SPIN": SPIN,
            "TASKS": n,
            "FINISHED": FINISHED,
            "TIDY": f"{self._to_c.call(tidy)[0]}(task, here.tasks_at[task]);",
        }
        declared = [
            "c_decl {",
            _TYPEDEFS,
            tracked,
            f"static struct Tracked here = {tracked_first}, after; /* the state; the state after a step */",
            other,
            f"static const struct Scratch scratch_first = {other_first};",
            "static struct Scratch scratch; /* begins anew with each step */",
            *constants,
            f"static const U8 list_at[] = {{{list_at}}}; /* lists that the pages can have, others are left out */",
            self._to_c.text(),
            "static I64 ladder(I64 task) {",
            "  switch (after.tasks_step[task]) {",
            *ladder,
            "  }",
            "  __builtin_trap(); /* a step that nothing leads to */",
            "  return 0;",
            "}",
            scheduler,
            "}",
            'c_track "&here" "sizeof(here)" "Matched"',
        ]
        options = []
        for task in range(n):
            go = "c_code { __builtin_memcpy(&here, &after, sizeof(here)); }"
            options += [
                f"  :: d_step {{ c_expr {{ (moves({task})) }}; {go} }} goto running",
                f"  :: d_step {{ c_expr {{ (ends({task})) }}; {go} }} goto end_finished",
            ]
        body = ["active proctype tasks() {", "running:", "  if", *options, "  fi;", "end_finished:", "  false", "}"]
        head = [
            f"/* {name.replace('*/', '* /')}: {n} tasks, design {_design(w)}",
            f"spin -a FILE && gcc -O2 -DNOREDUCE -DSAFETY -DVECTORSZ={size + 128} -o pan pan.c && "
            "./pan -c0 -n -m1000000 */",
        ]
        return "\n".join([*head, *declared, *body, ""])

    def _named(self, number: int) -> str:
        module, _, function = STEPS[number][1].rpartition(".")
        return self._to_c.call(getattr(import_module(module), function))[0]


def _design(w: World) -> str:
    return next(name for name, card in DESIGNS.items() if card.number == w.rules.design)


def _lists_in_use(w: World) -> list[int]:
    """Return the rows of lists that a task can come to: with shared queues, those that the pages hash to."""
    if w.rules.design != DESIGNS["hashed"].number:
        return list(range(len(w.lists.head.array)))
    wait_list = import_module(DESIGNS["hashed"].module).wait_list
    hashed = getattr(wait_list, "py_func", wait_list)
    with np.errstate(over="ignore"):  # the hash wraps around
        return sorted({int(hashed(w, page, 0)) for page in range(len(w.pages.address.array))})


def _numbers(values: Sequence[int], kind: str) -> str:
    suffix = {"I64": "LL", "U64": "ULL", "U32": "U"}.get(kind, "")
    return ", ".join(f"{value}{suffix}" for value in values)
