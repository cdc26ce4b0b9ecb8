"""Compile a table's steps to machine code: LLVM takes milliseconds, where a compiler of Python would take seconds.

The two functions are called by address, with pointers as 64-bit numbers:

    expand(context, state, out, only) -> n   writes each successor: its words, then TAIL words about the step to it;
                                             `only`: a process, or -1 for all. Returns how many there are, or -1 - s
                                             if a value of step s does not fit its field.
    judge(state, wrong) -> bits              ENDED, FINAL, EVENTUALLY, STOPPED, WRONG; with WRONG, the invariants that
                                             do not hold are stored at the address `wrong`

The state's words are held in SSA values: an operand that would fault is replaced by a harmless one, and the fault is
reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from llvmlite import ir

from engine.explore.layout import WORD, Field, Layout
from engine.explore.tables.expressions import Tree
from engine.explore.tables.table import Effect, Group, Process, Step, Table

TAIL = 3
"""Words after a successor's state: the step's number (32 bits) and flags; then, if REPORTED is set, the invariants that
the step broke and the witnesses that it met, as bits by number (engine.invariants)."""
FAILED, OUTSIDE, FAULT, REPORTED = 1 << 32, 1 << 33, 1 << 34, 1 << 35
"""Flags of a step: an assertion did not hold; a variable left its range; an expression had no value; the other two
words of the tail are valid."""
ENDED, FINAL, EVENTUALLY, STOPPED, WRONG = 1, 2, 4, 8, 16
"""Flags of a state: all processes have ended; `final` holds (or there is none); `eventually` holds; the path here
broke an invariant; an invariant of end states does not hold."""
_ONES = (1 << WORD) - 1
_I64, _I1 = ir.IntType(64), ir.IntType(1)
_WORDS = _I64.as_pointer()

Value = Any


class Native(NamedTuple):
    """Addresses of the two functions, valid as long as `engine`, which owns their code."""

    expand: int
    judge: int
    engine: Any


def compiled(table: Table, layout: Layout, groups: Sequence[Group] = ()) -> Native:
    """Return a table's code for states of this layout; groups: of equal processes, kept sorted by label."""
    module = ir.Module("table")
    module.triple = llvm.get_process_triple()
    _Expand(table, layout, groups).write(module)
    _judge(table, layout, module)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=2)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    builder.getModulePassManager().run(parsed, builder)
    engine = llvm.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    return Native(engine.get_function_address("expand"), engine.get_function_address("judge"), engine)


class _State:
    """The words of a state at some point of the code, and the errors up to there."""

    def __init__(self, builder: ir.IRBuilder, words: list[Value]) -> None:
        self.b, self.words = builder, words
        self.fault = self.failed = self.outside = self.misfit = _I1(0)

    def moved(self) -> _State:
        return _State(self.b, list(self.words))

    # --- fields ------------------------------------------------------------------------------------------------------

    def read(self, field: Field, index: Value | int = 0) -> Value:
        b = self.b
        if isinstance(index, int):
            word, shift = field.place(index)
            stored = b.lshr(self.words[word], _I64(shift)) if shift else self.words[word]
        else:
            word_of, shift_of = self._spot(field, index)
            whole = self.words[field.word]
            for number in range(1, field.words):
                here = b.icmp_unsigned("==", word_of, _I64(number))
                whole = b.select(here, self.words[field.word + number], whole)
            stored = b.lshr(whole, shift_of)
        stored = b.and_(stored, _I64(field.mask))
        return b.add(stored, _I64(field.low)) if field.low else stored

    def write(self, field: Field, index: Value | int, value: Value) -> None:
        b = self.b
        stored = b.sub(value, _I64(field.low)) if field.low else value
        if field.bits < WORD:
            self.misfit = b.or_(self.misfit, b.icmp_unsigned(">", stored, _I64(field.mask)))
            stored = b.and_(stored, _I64(field.mask))
        if isinstance(index, int):
            word, shift = field.place(index)
            kept = b.and_(self.words[word], _I64(_ONES ^ field.mask << shift))
            self.words[word] = b.or_(kept, b.shl(stored, _I64(shift)))
            return
        word_of, shift_of = self._spot(field, index)
        hole = b.not_(b.shl(_I64(field.mask), shift_of))
        stored = b.shl(stored, shift_of)
        for number in range(field.words):
            whole = self.words[field.word + number]
            changed = b.or_(b.and_(whole, hole), stored)
            here = b.icmp_unsigned("==", word_of, _I64(number))
            self.words[field.word + number] = changed if field.words == 1 else b.select(here, changed, whole)

    def _spot(self, field: Field, index: Value) -> tuple[Value, Value]:
        b = self.b
        if field.words == 1:
            return _I64(0), b.add(b.mul(index, _I64(field.bits)), _I64(field.shift))
        word = b.udiv(index, _I64(field.per))
        return word, b.mul(b.sub(index, b.mul(word, _I64(field.per))), _I64(field.bits))

    # --- expressions -------------------------------------------------------------------------------------------------

    def value(self, table: Table, layout: Layout, tree: Tree) -> tuple[Value, Value]:
        """Return an expression's value, and a bit that is set if it has none."""
        b = self.b
        match tree:
            case ("num", number):
                return _I64(number), _I1(0)
            case ("var", name):
                return self.read(layout.variables[table.variable(name)]), _I1(0)
            case ("elem", name, ("num", number)):
                return self.read(layout.variables[table.variable(name)], number), _I1(0)
            case ("elem", name, index):
                field = layout.variables[table.variable(name)]
                place, fault = self.index(table, layout, field, index)
                return self.read(field, place), fault
            case ("un", operator, inner):
                value, fault = self.value(table, layout, inner)
                if operator == "!":
                    return self._flag(b.icmp_unsigned("==", value, _I64(0))), fault
                return (b.not_(value) if operator == "~" else b.neg(value)), fault
            case ("bin", operator, left, right):
                one, first = self.value(table, layout, left)
                other, second = self.value(table, layout, right)
                if operator in {"&&", "||"}:
                    is_one, is_other = (b.icmp_unsigned("!=", value, _I64(0)) for value in (one, other))
                    looks = is_one if operator == "&&" else b.not_(is_one)  # C evaluates the right side only then
                    both = b.and_(is_one, is_other) if operator == "&&" else b.or_(is_one, is_other)
                    return self._flag(both), b.or_(first, b.and_(looks, second))
                value, fault = self._operation(operator, one, other)
                return value, b.or_(fault, b.or_(first, second))
        raise AssertionError(tree)

    def index(self, table: Table, layout: Layout, field: Field, tree: Tree) -> tuple[Value, Value]:
        """Return an index within the field, and whether the actual index is out of bounds."""
        index, fault = self.value(table, layout, tree)
        beyond = self.b.icmp_unsigned(">=", index, _I64(field.size))
        return self.b.select(beyond, _I64(0), index), self.b.or_(fault, beyond)

    def _flag(self, bit: Value) -> Value:
        return self.b.zext(bit, _I64)

    def _operation(self, operator: str, one: Value, other: Value) -> tuple[Value, Value]:
        b = self.b
        if operator in _COMPARE:
            return self._flag(b.icmp_signed(operator, one, other)), _I1(0)
        if operator in {"/", "%"}:
            zero = b.icmp_unsigned("==", other, _I64(0))
            minus = b.icmp_unsigned("==", other, _I64(-1))  # avoid the division trap: the minimum has no negative
            safe = b.select(b.or_(zero, minus), _I64(1), other)
            if operator == "%":
                return b.srem(one, safe), zero
            return b.select(minus, b.neg(one), b.sdiv(one, safe)), zero
        if operator in {"<<", ">>"}:
            wide = b.icmp_unsigned(">=", other, _I64(WORD))
            count = b.and_(other, _I64(WORD - 1))
            return (b.shl(one, count) if operator == "<<" else b.ashr(one, count)), wide
        return _PLAIN[operator](b, one, other), _I1(0)


_COMPARE = ("==", "!=", "<", "<=", ">", ">=")
_PLAIN: dict[str, Any] = {
    "+": ir.IRBuilder.add,
    "-": ir.IRBuilder.sub,
    "*": ir.IRBuilder.mul,
    "&": ir.IRBuilder.and_,
    "|": ir.IRBuilder.or_,
    "^": ir.IRBuilder.xor,
}


class _Expand:
    """Emit expand(): try the steps of each process at its label, in order."""

    def __init__(self, table: Table, layout: Layout, groups: Sequence[Group]) -> None:
        self.table, self.layout, self.groups = table, layout, groups

    def write(self, module: ir.Module) -> None:
        self.sorters = [_sorter(module, self.layout, group, number) for number, group in enumerate(self.groups)]
        function = ir.Function(module, ir.FunctionType(_I64, [_I64, _I64, _I64, _I64]), "expand")
        _, source, out, only = function.args
        self.function, self.b = function, ir.IRBuilder(function.append_basic_block("entry"))
        b = self.b
        here = b.inttoptr(source, _WORDS)
        words = [b.load(b.gep(here, [_I64(i)])) for i in range(self.layout.width)]
        self.out, self.count = b.inttoptr(out, _WORDS), b.alloca(_I64)
        b.store(_I64(0), self.count)
        for number, process in enumerate(self.table.processes):
            selected = b.or_(b.icmp_signed("<", only, _I64(0)), b.icmp_signed("==", only, _I64(number)))
            block, after = function.append_basic_block(), function.append_basic_block()
            b.cbranch(selected, block, after)
            b.position_at_end(block)
            self._process(number, process, words, after)
            b.position_at_end(after)
        b.ret(b.load(self.count))

    def _process(self, number: int, process: Process, words: list[Value], after: ir.Block) -> None:
        b = self.b
        place = _State(b, words).read(self.layout.places[number])
        switch = b.switch(place, after)
        for label in range(process.end):
            block = self.function.append_basic_block()
            switch.add_case(_I64(label), block)
            b.position_at_end(block)
            for step in process.steps:
                if step.at == label:
                    self._step(step, _State(b, words))
            b.branch(after)

    def _step(self, step: Step, state: _State) -> None:
        b, function = self.b, self.function
        guard, fault = state.value(self.table, self.layout, step.guard)
        # A guard without a value is an error: the step is taken, and reports the fault.
        enabled = b.or_(b.icmp_unsigned("!=", guard, _I64(0)), fault)
        block, after = function.append_basic_block(), function.append_basic_block()
        b.cbranch(enabled, block, after)
        b.position_at_end(block)
        new = state.moved()
        new.fault = fault
        for effect in step.effects:
            self._effect(new, effect)
        new.write(self.layout.places[step.process], 0, _I64(step.to))
        fits, misfits = function.append_basic_block(), function.append_basic_block()
        b.cbranch(b.and_(new.misfit, b.not_(new.fault)), misfits, fits)
        b.position_at_end(misfits)
        b.ret(_I64(-1 - step.number))
        b.position_at_end(fits)
        self._emit(step, new)
        b.branch(after)
        b.position_at_end(after)

    def _effect(self, state: _State, effect: Effect) -> None:
        b, table, layout = self.b, self.table, self.layout
        value, fault = state.value(table, layout, effect.value)
        state.fault = b.or_(state.fault, fault)
        if effect.variable < 0:
            state.failed = b.or_(state.failed, b.icmp_unsigned("==", value, _I64(0)))
            return
        field, variable = layout.variables[effect.variable], table.variables[effect.variable]
        if variable.low is not None and variable.high is not None:
            below = b.icmp_signed("<", value, _I64(variable.low))
            above = b.icmp_signed(">", value, _I64(variable.high))
            state.outside = b.or_(state.outside, b.or_(below, above))
        match effect.element:
            case None:
                index: Value | int = 0
            case ("num", number):
                index = int(number)
            case tree:
                index, fault = state.index(table, layout, field, tree)
                state.fault = b.or_(state.fault, fault)
        state.write(field, index, value)

    def _emit(self, step: Step, state: _State) -> None:
        b = self.b
        count = b.load(self.count)
        first = b.mul(count, _I64(self.layout.width + TAIL))
        for i, word in enumerate(state.words):
            b.store(word, b.gep(self.out, [b.add(first, _I64(i))]))
        written = {effect.variable for effect in step.effects}
        for group, sorter in zip(self.groups, self.sorters, strict=True):
            if step.process in group.members or written & {cell[0] for own in group.owned for cell in own}:
                b.call(sorter, [b.gep(self.out, [first])])
        tail: Value = _I64(step.number)
        for flag, bit in ((state.failed, FAILED), (state.outside, OUTSIDE), (state.fault, FAULT)):
            tail = b.or_(tail, b.select(flag, _I64(bit), _I64(0)))
        b.store(tail, b.gep(self.out, [b.add(first, _I64(self.layout.width))]))
        b.store(b.add(count, _I64(1)), self.count)


def _sorter(module: ir.Module, layout: Layout, group: Group, number: int) -> ir.Function:
    """Return a function that sorts the members of a group by label, then by their own values.

    Odd-even transposition sort. Each member is packed into as few words as possible, the label in the highest bits.
    """
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_WORDS]), f"sort{number}")
    function.linkage = "internal"
    b = ir.IRBuilder(function.append_basic_block("entry"))
    here = function.args[0]
    state = _State(b, [b.load(b.gep(here, [_I64(i)])) for i in range(layout.width)])
    fields = [
        [(layout.places[member], 0), *((layout.variables[variable], index) for variable, index in own)]
        for member, own in zip(group.members, group.owned, strict=True)
    ]
    chunks = _chunks([field.bits for field, _ in fields[0]])
    rows = []
    for mine in fields:
        stored = [state.read(field._replace(low=0), index) for field, index in mine]
        row = []
        for chunk in chunks:
            word: Value = _I64(0)
            for place in chunk:
                word = b.or_(b.shl(word, _I64(mine[place][0].bits % WORD)), stored[place])
            row.append(word)
        rows.append(row)
    for round_ in range(len(rows)):
        for i in range(round_ % 2, len(rows) - 1, 2):
            one, other = rows[i], rows[i + 1]
            more: Value = _I1(0)
            for left, right in reversed(list(zip(one, other, strict=True))):
                same = b.icmp_unsigned("==", left, right)
                more = b.or_(b.icmp_unsigned(">", left, right), b.and_(same, more))
            pairs = list(zip(one, other, strict=True))
            rows[i] = [b.select(more, right, left) for left, right in pairs]
            rows[i + 1] = [b.select(more, left, right) for left, right in pairs]
    for mine, row in zip(fields, rows, strict=True):
        for chunk, whole in zip(chunks, row, strict=True):
            word = whole
            for place in reversed(chunk):
                field, index = mine[place]
                state.write(field._replace(low=0), index, b.and_(word, _I64(field.mask)))
                word = b.lshr(word, _I64(field.bits % WORD))
    for i, word in enumerate(state.words):
        b.store(word, b.gep(here, [_I64(i)]))
    b.ret_void()
    return function


def _chunks(bits: list[int]) -> list[list[int]]:
    """Return lists of consecutive places whose values share a word."""
    chunks: list[list[int]] = []
    left = 0
    for place, wide in enumerate(bits):
        if wide > left:
            chunks.append([])
            left = WORD
        chunks[-1].append(place)
        left -= wide
    return chunks


def _judge(table: Table, layout: Layout, module: ir.Module) -> None:
    function = ir.Function(module, ir.FunctionType(_I64, [_I64, _I64]), "judge")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    here = b.inttoptr(function.args[0], _WORDS)
    state = _State(b, [b.load(b.gep(here, [_I64(i)])) for i in range(layout.width)])
    ended: Value = _I1(1)
    for process, field in zip(table.processes, layout.places, strict=True):
        ended = b.and_(ended, b.icmp_unsigned("==", state.read(field), _I64(process.end)))
    flags = b.select(ended, _I64(ENDED), _I64(0))
    for tree, bit, otherwise in ((table.final, FINAL, True), (table.eventually, EVENTUALLY, False)):
        if tree is None:
            flags = b.or_(flags, _I64(bit if otherwise else 0))
            continue
        value, fault = state.value(table, layout, tree)
        holds = b.and_(b.icmp_unsigned("!=", value, _I64(0)), b.not_(fault))
        flags = b.or_(flags, b.select(holds, _I64(bit), _I64(0)))
    b.ret(flags)
