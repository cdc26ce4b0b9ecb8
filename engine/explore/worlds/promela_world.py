"""Write a scenario's world as Promela with the engine's own steps as C, so that SPIN can confirm the explorer's counts.

A state is one C struct: the state columns (columns.py) that are ever stored to. SPIN tracks nothing else, so nothing
else can distinguish two states. A move is one d_step, tried on a copy: a task that finds a queue lock taken is not
enabled. SPIN without reduction finds as many states as the explorer, and one more transition than edges, because it
counts the transition into the first state. Its errors (-c0 counts them all) are the states without successors, except
those in which all tasks have finished and all invariants hold: deadlocks, broken invariants, failed end conditions.
The model's first lines give the commands for SPIN.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from engine.axes import VERBS
from engine.errors import UserError
from engine.explore.worlds.columns import state_columns
from engine.explore.worlds.to_c import ToC
from engine.mm.steps import NEXT_OP, PICK, STEPS
from engine.runs.schedule import at_end, choices, make_move
from engine.runs.scheduled import references
from engine.schema import DTYPES, element_types
from engine.world.linking import NUMBER_OF_VERB, verb_function
from engine.world.state import ASLEEP, BROKEN, FINISHED, GROUPS, NONE, READY, World

REPLACED = {
    "trace.record": "",
    "trace.record_entry": "",
    "trace.record_walk": "",
    "trace.record_pte": "",
    "trace.record_flush": "",
    "trace.record_range": "",
    "trace.record_unprotected": "",
    "trace.record_transfer": "",
    "trace.witness": "",
    "rng.exponential": "0LL",
    "dispatch.step": "ladder({})",
}
"""Calls that do not change a state: events, witnesses, times. dispatch.step becomes a switch over reachable steps."""
STATE_BYTES_MAX = 1 << 15
BLOCK_MAX = 60_000
"""Characters of a c_decl block; SPIN takes about 65,000."""
OVERHEAD_BYTES = 128
"""At least what SPIN adds to a state."""
TYPES = """
typedef long long I64; typedef unsigned long long U64; typedef unsigned int U32;
typedef unsigned short U16; typedef unsigned char U8;
""".strip()
SCHEDULER = """
/* Try a move of a task on a copy of the state. 0: it is not possible. */
static int attempt(int task, int choice) {
  if (here.tasks_state[task] != %(READY)d || here.clock[%(BROKEN)d]) return 0;
  __builtin_memcpy(&after, &here, sizeof(here));
  __builtin_memcpy(&scratch, &scratch_first, sizeof(scratch));
  return choice < %(CHOICES)s(task) && %(MOVE)s(task, choice);
}
static int finished(const struct Tracked *w, int but) {
  for (int task = 0; task < %(TASKS)d; task++)
    if (task != but && w->tasks_state[task] != %(FINISHED)d &&
        !(task >= %(ACTORS)d && w->tasks_state[task] == %(ASLEEP)d)) return 0;
  return 1;
}
/* All tasks have finished, and every invariant holds. */
static int sound(void) { return finished(&after, -1) && !after.clock[%(BROKEN)d] && !%(AT_END)s(%(JUDGED)s); }
/* The task can make this move, and it does not lead to a sound end. */
static int moves(int task, int choice) { return attempt(task, choice) && !sound(); }
/* The task can make this move, and it leads to a sound end. */
static int ends(int task, int choice) { return finished(&here, task) && attempt(task, choice) && sound(); }
""".strip()

Key = tuple[str, str]


def written(name: str, w: World) -> str:
    """Return the model of a world in its first state. Raises UserError if its states are too large."""
    return _Model(w).text(name)


def _blocks(*parts: str) -> list[str]:
    """Return the parts in as few c_decl blocks as SPIN takes; each part stays whole."""
    blocks, size = [["c_decl {"]], 0
    for part in parts:
        if size + len(part) > BLOCK_MAX:
            blocks[-1].append("}")
            blocks.append(["c_decl {"])
            size = 0
        blocks[-1].append(part)
        size += len(part) + 1
    return ["\n".join([*block, "}"] if block[-1] != "}" else block) for block in blocks]


class _Model:
    """The parts of a model: columns by their use, functions, structs."""

    def __init__(self, w: World) -> None:
        self._w = w
        columns = [column for column in state_columns(w) if column.group != "clock"]
        self._rows = {(column.group, column.name): column.rows for column in columns}
        self._clock = [column.rows[0] for column in state_columns(w) if column.group == "clock"]
        # rows that can change are contiguous in a state; those at the start of a table keep their numbers
        self._placed = {c.group: c.rows for c in columns if c.rows != tuple(range(len(c.rows)))}
        self._stored: set[Key] = set()
        self._read: set[Key] = set()
        self._translated()  # the first pass finds the columns that are stored to
        self._to_c, self._steps = self._translated()

    def _translated(self) -> tuple[ToC, dict[int, str]]:
        """Return all functions, and the reachable steps: number -> C function."""
        to_c = ToC(self._w.rules._asdict(), self._element, REPLACED, self._verb)
        numbers = {name: number for number, (name, _) in enumerate(STEPS)}
        for root in (make_move, choices, at_end):
            to_c.call(root)
        reached: dict[int, str] = {}
        rules = self._w.rules
        found = {NEXT_OP, *self._w.program.step.array.tolist(), *self._w.tasks.step.array.tolist()}
        found |= {rules.lock_step, rules.unlock_step, rules.unmap_step, rules.unmap_page_step, rules.write_step} - {
            NONE
        }
        while left := found - set(reached) - {PICK}:  # make_move handles PICK itself
            number = min(left)
            module, _, function = STEPS[number][1].rpartition(".")
            reached[number] = to_c.call(getattr(import_module(module), function))[0]
            found |= {value for name, value in to_c.globals if numbers.get(name) == value}
        return to_c, dict(sorted(reached.items()))

    def _verb(self, name: str) -> Any:
        number = NUMBER_OF_VERB[name]
        function = verb_function(number, self._w.designs[VERBS[number].axis])
        return VERBS[number].verb.default if function is None else function

    # --- columns ----------------------------------------------------------------------------------------------------

    def _element(self, group: str, column: str, row: str, stored: bool) -> str:
        if column == "clock":
            return f"after.clock[{self._clock.index(int(row))}]" if int(row) in self._clock else f"scratch.clock[{row}]"
        key = group, column
        (self._stored if stored else self._read).add(key)
        if key in self._rows and group in self._placed:
            row = f"place_of_{group}[{row}]"
        where = "" if key not in self._stored else "after." if key in self._rows else "scratch."
        return f"{where}{group}_{column}[{row}]"

    def _values(self, key: Key) -> list[int]:
        array = getattr(getattr(self._w, key[0]), key[1]).array
        return [int(array[row]) for row in self._rows.get(key, range(array.size))]

    def _struct(self, name: str, columns: Sequence[Key], clock: Sequence[int]) -> tuple[str, str, int]:
        """Return the struct's declaration (wide columns first: no holes), its initializer and its size in bytes."""
        width = {key: np.dtype(DTYPES[_kind(key)]).itemsize for key in columns}
        fields = [f"  I64 clock[{len(clock)}];"]
        first = ["{" + ", ".join(f"{self._w.clock[place]}LL" for place in clock) + "}"]
        size = 8 * len(clock)
        for key in sorted(columns, key=lambda key: (-width[key], key)):
            values = self._values(key)
            fields.append(f"  {_kind(key)} {key[0]}_{key[1]}[{len(values)}];")
            first.append("{" + _numbers(values, _kind(key)) + "}")
            size += width[key] * len(values)
        return "\n".join([f"struct {name} {{", *fields, "};"]), "{\n  " + ",\n  ".join(first) + "\n}", size

    # --- text -------------------------------------------------------------------------------------------------------

    def text(self, name: str) -> str:
        """Return the whole model."""
        tracked, first, size = self._struct("Tracked", sorted(self._stored & set(self._rows)), self._clock)
        if size > STATE_BYTES_MAX:
            text = f"a state has {size:,} bytes; the limit of a model is {STATE_BYTES_MAX:,}: use fewer pages"
            raise UserError(text, field="scenario.workload")
        other, other_first, _ = self._struct(
            "Scratch", sorted(self._stored - set(self._rows)), range(len(self._w.clock.array))
        )
        return "\n".join(
            [
                f"/* {name.replace('*/', '* /')}: {self._w.rules.n_tasks} tasks",
                f"spin -a FILE && gcc -O2 -DNOREDUCE -DSAFETY -DVECTORSZ={size + OVERHEAD_BYTES} -o pan pan.c && "
                "./pan -c0 -n -m1000000 */",
                *_blocks(
                    TYPES,
                    tracked,
                    f"static struct Tracked here = {first}, after; /* the state; the state after a move */",
                    other,
                    f"static const struct Scratch scratch_first = {other_first};",
                    "static struct Scratch scratch; /* reset before each move */",
                    *self._constants(),
                    "static I64 ladder(I64 task);",
                    *self._to_c.parts(),
                    "\n".join(self._ladder()),
                    self._scheduler(),
                ),
                'c_track "&here" "sizeof(here)" "Matched"',
                *self._process(),
                "",
            ]
        )

    def _constants(self) -> list[str]:
        """Return the constant columns, and for each table with constant rows the place of every row in the state."""
        lines = [
            f"static const {_kind(key)} {key[0]}_{key[1]}[] = {{{_numbers(self._values(key), _kind(key))}}};"
            for key in sorted(self._read - self._stored)
        ]
        for group, rows in self._placed.items():
            places = [rows.index(row) if row in rows else 0 for row in range(max(rows) + 1)]
            lines.append(f"static const U16 place_of_{group}[] = {{{', '.join(map(str, places))}}};")
        return lines

    def _ladder(self) -> list[str]:
        """Return the C function that runs a task's next step."""
        cases = [
            f"    case {number}: return {name}(task); /* {STEPS[number][0]} */" for number, name in self._steps.items()
        ]
        none = "  __builtin_trap(); /* an unreachable step */"
        return ["static I64 ladder(I64 task) {", "  switch (after.tasks_step[task]) {", *cases, "  }", none, "}"]

    def _scheduler(self) -> str:
        w = self._w
        return SCHEDULER % {
            "READY": READY,
            "BROKEN": self._clock.index(BROKEN),
            "FINISHED": FINISHED,
            "TASKS": w.rules.n_tasks,
            "ACTORS": w.rules.first_actor,
            "ASLEEP": ASLEEP,
            "CHOICES": self._to_c.call(choices)[0],
            "MOVE": self._to_c.call(make_move)[0],
            "AT_END": self._to_c.call(at_end)[0],
            "JUDGED": f"{w.pages.flags.array.size}, {references(w)}",
        }

    def _process(self) -> list[str]:
        """Return the only process: it makes every task's moves, and its location adds nothing to the state."""
        go = "c_code { __builtin_memcpy(&here, &after, sizeof(here)); }"
        options = []
        for task in range(self._w.rules.n_tasks):
            for choice in range(max(self._w.picks.count.array.tolist(), default=1)):
                options += [
                    f"  :: d_step {{ c_expr {{ (moves({task}, {choice})) }}; {go} }} goto running",
                    f"  :: d_step {{ c_expr {{ (ends({task}, {choice})) }}; {go} }} goto end_sound",
                ]
        return ["active proctype tasks() {", "running:", "  if", *options, "  fi;", "end_sound:", "  false", "}"]


def _kind(key: Key) -> str:
    return element_types(GROUPS[key[0]])[key[1]]


def _numbers(values: Sequence[int], kind: str) -> str:
    suffix = {"I64": "LL", "U64": "ULL", "U32": "U"}.get(kind, "")
    return ", ".join(f"{value}{suffix}" for value in values)
