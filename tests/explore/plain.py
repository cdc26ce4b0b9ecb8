"""A second opinion: the plainest breadth-first search of a protocol table that we could write.

It shares no code with the explorer it judges, and wants to be seen to be right, not fast: an expression becomes nested
closures by precedence climbing, a state is one tuple, and the traces are counted by walking every schedule.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

Cells = Sequence[int]  # the words of a state: a tuple, or the list of a half-done step
Expr = Callable[[Cells], int]
State = tuple[int, ...]
Grain = Literal["cell", "variable"]

END = "-"
SCHEDULES_WALKED_MAX = 20_000  # schedules; beyond it the traces are not counted


@dataclass(frozen=True)
class Counts:
    """What a search without reduction counts, in the words of the format. `schedules` is None for a cyclic graph,
    `traces` also where there are more schedules than SCHEDULES_WALKED_MAX."""

    states: int
    edges: int
    deadlock_states: int
    assert_failures: int
    final_states: int
    final_violations: int
    depth: int
    shortest_error: int | None
    outcomes: dict[tuple[int, ...], int]
    schedules: int | None
    traces: int | None


# --- expressions: C's precedence, 64-bit words that wrap, division toward zero -------------------------------------

TOKEN = re.compile(r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|\|\||&&|[=!<>]=|<<|>>|[-+*/%&|^~!<>()\[\]=])")
LEVELS = "|| : && : | : ^ : & : == != : < <= > >= : << >> : + - : * / %"  # C's, from what binds least
BINDS = {sign: number for number, level in enumerate(LEVELS.split(" : "), 1) for sign in level.split()}


def wrapped(value: int) -> int:
    """Return the value as a signed 64-bit word."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def divided(a: int, b: int) -> int:
    if b == 0:
        raise ValueError("division by zero")
    quotient = abs(a) // abs(b)
    return wrapped(quotient if (a < 0) == (b < 0) else -quotient)


def remainder(a: int, b: int) -> int:
    if b == 0:
        raise ValueError("division by zero")
    rest = abs(a) % abs(b)
    return -rest if a < 0 else rest


def shift_count(b: int) -> int:
    if not 0 <= b < 64:
        raise ValueError(f"a shift by {b} bits")
    return b


VALUE_OF: dict[str, Callable[[int, int], int]] = {
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&": lambda a, b: a & b,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    "<=": lambda a, b: int(a <= b),
    ">": lambda a, b: int(a > b),
    ">=": lambda a, b: int(a >= b),
    "<<": lambda a, b: wrapped(a << shift_count(b)),
    ">>": lambda a, b: a >> shift_count(b),
    "+": lambda a, b: wrapped(a + b),
    "-": lambda a, b: wrapped(a - b),
    "*": lambda a, b: wrapped(a * b),
    "/": divided,
    "%": remainder,
}


@dataclass(frozen=True)
class Variable:
    """Where a variable lives in the tuple; `length` is None for a plain integer."""

    name: str
    first: int
    length: int | None
    bounds: tuple[int, int] | None


def tokens_of(text: str) -> list[str]:
    found, at = [], 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"not an expression: {text!r} at {text[at:]!r}")
        found.append(match[1])
        at = match.end()
    return found


def element(variable: Variable, index: Expr) -> Expr:
    """Return the place of name[index] in the tuple, as a function of the state."""
    length = variable.length
    if length is None:
        raise ValueError(f"{variable.name} is no array")

    def place(cells: Cells) -> int:
        i = index(cells)
        if not 0 <= i < length:
            raise ValueError(f"index out of range: {variable.name}[{i}]")
        return variable.first + i

    return place


class Reader:
    """Reads one expression, assignment or assertion, token by token."""

    def __init__(self, text: str, variables: Mapping[str, Variable]) -> None:
        self.text, self.variables, self.tokens, self.at = text, variables, tokens_of(text), 0
        self.named: list[tuple[Variable, Expr]] = []  # each variable read, and where in the tuple

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise ValueError(f"{self.text!r}: {wanted or 'more'} expected, not {token or 'the end'}")
        self.at += 1
        return token

    def whole(self) -> Expr:
        value = self.expression()
        self.done()
        return value

    def done(self) -> None:
        if self.peek():
            raise ValueError(f"{self.text!r}: {self.peek()!r} is left over")

    def expression(self, least: int = 1) -> Expr:
        left = self.unary()
        while BINDS.get(self.peek(), 0) >= least:
            sign = self.take()
            left = joined(sign, left, self.expression(BINDS[sign] + 1))
        return left

    def unary(self) -> Expr:
        token = self.take()
        if token in ("!", "-", "~", "+"):
            inner = self.unary()
            if token == "!":
                return lambda cells: int(inner(cells) == 0)
            if token == "-":
                return lambda cells: wrapped(-inner(cells))
            if token == "~":
                return lambda cells: ~inner(cells)
            return inner
        if token == "(":
            inner = self.expression()
            self.take(")")
            return inner
        if token[0].isdigit():
            value = wrapped(int(token, 16 if token[:2] in ("0x", "0X") else 10))
            return lambda cells: value
        variable, place = self.place(token)
        self.named.append((variable, place))
        if variable.length is None:
            first = variable.first
            return lambda cells: cells[first]
        return lambda cells: cells[place(cells)]

    def place(self, name: str) -> tuple[Variable, Expr]:
        """Return the variable of a name or name[...], and where in the tuple that is."""
        variable = self.variables.get(name)
        if variable is None:
            raise ValueError(f"{self.text!r}: no variable {name!r}")
        if self.peek() != "[":
            if variable.length is not None:
                raise ValueError(f"{self.text!r}: {name} is an array")
            return variable, lambda cells: variable.first
        self.take("[")
        index = self.expression()
        self.take("]")
        return variable, element(variable, index)


def joined(sign: str, left: Expr, right: Expr) -> Expr:
    if sign == "&&":
        return lambda cells: int(left(cells) != 0 and right(cells) != 0)
    if sign == "||":
        return lambda cells: int(left(cells) != 0 or right(cells) != 0)
    value = VALUE_OF[sign]
    return lambda cells: value(left(cells), right(cells))


# --- a table, made ready to be played ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """One entry of `do`. `target` is what it stores to and where that is, None for an assertion."""

    value: Expr
    target: tuple[Variable, Expr] | None
    named: tuple[tuple[Variable, Expr], ...]

    def play(self, cells: list[int]) -> bool:
        """Do it in place; return whether it held (an assignment always does)."""
        if self.target is None:
            return self.value(cells) != 0
        variable, place = self.target
        at, value = place(cells), self.value(cells)
        if variable.bounds is not None and not variable.bounds[0] <= value <= variable.bounds[1]:
            raise ValueError(f"{variable.name} = {value} leaves its range")
        cells[at] = value
        return True


@dataclass(frozen=True)
class Step:
    number: int  # over the whole table
    guard: Expr
    effects: tuple[Effect, ...]
    to: int
    named: tuple[tuple[Variable, Expr], ...]  # by the guard


@dataclass(frozen=True)
class Edge:
    """One step of one process out of a state, and whether all its assertions held."""

    proc: int
    step: Step
    after: State
    held: bool


class Model:
    """A table ready to play: a state is the words of the variables, then one position for each process."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.variables: dict[str, Variable] = {}
        words: list[int] = []
        for name, value in table["vars"].items():
            bounds = table.get("ranges", {}).get(name)
            length = len(value) if isinstance(value, list) else None
            self.variables[name] = Variable(name, len(words), length, tuple(bounds) if bounds else None)
            words += value if isinstance(value, list) else [value]
        self.n_words = len(words)
        self.steps: list[list[list[Step]]] = []  # process -> position -> alternatives; position 0 is the end
        starts, number = [], 0
        for proc in table["procs"]:
            labels = [END, *dict.fromkeys([proc["start"], *(step["at"] for step in proc["steps"])])]
            labels = list(dict.fromkeys(labels))
            alternatives: list[list[Step]] = [[] for _ in labels]
            for step in proc["steps"]:
                if step["to"] not in labels:
                    raise ValueError(f"{proc['name']}: no step is at {step['to']!r}")
                alternatives[labels.index(step["at"])].append(self.step(number, step, labels.index(step["to"])))
                number += 1
            self.steps.append(alternatives)
            starts.append(labels.index(proc["start"]))
        self.start: State = (*map(wrapped, words), *starts)
        self.final = self.expression(table["final"]) if "final" in table else None
        self.shown = [self.expression(text) for text in table.get("outcomes", [])]

    def expression(self, text: str) -> Expr:
        return Reader(text, self.variables).whole()

    def step(self, number: int, step: Mapping[str, Any], to: int) -> Step:
        reader = Reader(step["guard"], self.variables)
        guard = reader.whole()
        return Step(number, guard, tuple(map(self.effect, step.get("do", []))), to, tuple(reader.named))

    def effect(self, text: str) -> Effect:
        reader = Reader(text, self.variables)
        name = reader.take()
        target = None
        if name == "assert":
            reader.take("(")
            value = reader.expression()
            reader.take(")")
            reader.done()
        else:
            target = reader.place(name)
            reader.take("=")
            value = reader.whole()
        return Effect(value, target, tuple(reader.named))

    def edges(self, state: State) -> Iterator[Edge]:
        """Yield every step that is enabled, in the order of the table."""
        for proc, alternatives in enumerate(self.steps):
            for step in alternatives[state[self.n_words + proc]]:
                if step.guard(state):
                    cells = list(state)
                    held = [effect.play(cells) for effect in step.effects]
                    cells[self.n_words + proc] = step.to
                    yield Edge(proc, step, tuple(cells), all(held))

    def at_end(self, state: State) -> bool:
        return not any(state[self.n_words :])

    def breaks_final(self, state: State) -> bool:
        return self.final is not None and self.final(state) == 0


# --- the search ----------------------------------------------------------------------------------------------------


def explore(table: Mapping[str, Any], grain: Grain = "cell") -> Counts:
    """Search every state of the table and count. `grain` says what two steps may share where traces are counted: a
    word (then two elements of one array are strangers), or a whole variable.

    Raises ValueError for a table that cannot be read, a division by zero, an index out of range, a shift by fewer
    than 0 or more than 63 bits, and a variable that leaves its range.
    """
    model = Model(table)
    number_of: dict[State, int] = {model.start: 0}
    next_of: list[list[int]] = []  # state -> the states its edges lead to, in the order of the edges
    level: list[State] = [model.start]
    depth = -1
    deadlocks = asserts = finals = violations = 0
    errors: list[int] = []  # steps to each error found
    outcomes: Counter[tuple[int, ...]] = Counter()
    while level:
        depth, found = depth + 1, []
        for state in level:
            edges = list(model.edges(state))
            for edge in edges:
                if edge.after not in number_of:
                    number_of[edge.after] = len(number_of)
                    found.append(edge.after)
                if not edge.held:
                    asserts += 1
                    errors.append(depth + 1)
            next_of.append([number_of[edge.after] for edge in edges])
            if model.at_end(state):
                finals += 1
                outcomes[tuple(shown(state) for shown in model.shown)] += 1
                if model.breaks_final(state):
                    violations += 1
                    errors.append(depth)
            elif not edges:
                deadlocks += 1
                errors.append(depth)
        level = found
    schedules = schedules_of(next_of)
    walked = schedules is not None and schedules <= SCHEDULES_WALKED_MAX
    return Counts(
        states=len(number_of),
        edges=sum(map(len, next_of)),
        deadlock_states=deadlocks,
        assert_failures=asserts,
        final_states=finals,
        final_violations=violations,
        depth=depth,
        shortest_error=min(errors, default=None),
        outcomes=dict(outcomes) if model.shown else {},
        schedules=schedules,
        traces=traces_of(model, grain) if walked else None,
    )


def schedules_of(next_of: list[list[int]]) -> int | None:
    """Return the number of ways from state 0 to a state without a way on; None where some way comes back."""
    came_in = [0] * len(next_of)
    for afters in next_of:
        for after in afters:
            came_in[after] += 1
    ways = [0] * len(next_of)
    ways[0] = 1
    ready = [state for state, count in enumerate(came_in) if count == 0]
    ended = states_sorted = 0
    while ready:
        state = ready.pop()
        states_sorted += 1
        if not next_of[state]:
            ended += ways[state]
        for after in next_of[state]:
            ways[after] += ways[state]
            came_in[after] -= 1
            if came_in[after] == 0:
                ready.append(after)
    return ended if states_sorted == len(next_of) else None


# --- Mazurkiewicz traces -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Letter:
    """A step as a letter of a schedule: who did what, and the words it read and wrote."""

    proc: int
    step: int
    reads: frozenset[int]
    writes: frozenset[int]

    def depends_on(self, other: Letter) -> bool:
        return bool(
            self.proc == other.proc
            or self.writes & other.writes
            or self.writes & other.reads
            or self.reads & other.writes
        )


def letter_of(state: State, edge: Edge, grain: Grain) -> Letter:
    """Return the step as a letter. All that an expression names counts as read, also where && or || skip it; an index
    is what it is at that point of the step, and one without a value stands for the whole array."""
    reads: set[int] = set()
    writes: set[int] = set()
    cells = list(state)

    def places(variable: Variable, place: Expr) -> Iterable[int]:
        if grain == "cell":
            with suppress(ValueError):
                return [place(cells)]
        return range(variable.first, variable.first + (variable.length or 1))

    for named in edge.step.named:
        reads.update(places(*named))
    for effect in edge.step.effects:
        for named in effect.named:
            reads.update(places(*named))
        if effect.target is not None:
            writes.update(places(*effect.target))
        effect.play(cells)
    return Letter(edge.proc, edge.step.number, frozenset(reads), frozenset(writes))


def foata(schedule: list[Letter]) -> tuple[frozenset[Letter], ...]:
    """Return Foata's normal form: every letter in the first row after all rows that hold one it depends on. Two
    schedules have the same form if and only if exchanging independent neighbours leads from one to the other."""
    rows: list[set[Letter]] = []
    for letter in schedule:
        row = len(rows)
        while row and not any(letter.depends_on(other) for other in rows[row - 1]):
            row -= 1
        if row == len(rows):
            rows.append(set())
        rows[row].add(letter)
    return tuple(frozenset(row) for row in rows)


def traces_of(model: Model, grain: Grain) -> int:
    """Walk every schedule of an acyclic graph and count their normal forms."""
    forms: set[tuple[frozenset[Letter], ...]] = set()
    schedule: list[Letter] = []

    def walk(state: State) -> None:
        ended = True
        for edge in model.edges(state):
            ended = False
            schedule.append(letter_of(state, edge, grain))
            walk(edge.after)
            schedule.pop()
        if ended:
            forms.add(foata(schedule))

    walk(model.start)
    return len(forms)
