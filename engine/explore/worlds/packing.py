"""Pack and unpack a state's words from and to the World's memory, in machine code generated for one world.

It is straight-line code with constant addresses: each step unpacks and packs its world, and that must not cost more
than the step itself. The expand() and judge() that the search calls (native.py) are generated here too.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from engine.explore.layout import WORD, Layout
from engine.explore.search.native import Native
from engine.explore.worlds.columns import TASK_REFERENCES, TASK_ROWS, StateColumn
from engine.world.state import World

_I64 = ir.IntType(64)
_WORDS = _I64.as_pointer()
_TYPES = {"I64": 64, "U64": 64, "U32": 32, "U16": 16, "U8": 8}


def packed(
    w: World, columns: list[StateColumn], layout: Layout, code: tuple[int, int], judged: list[int], *, symmetry: bool
) -> Native:
    """Return expand() and judge() for this world and layout; symmetry: equal tasks are in the order of equals.arrange.

    code: addresses of expand and judge (engine.explore.worlds.stepping), called with the world and the packers before
    their own arguments; judged: further leading arguments of judge.
    """
    expand, judge = code
    module = ir.Module("world")
    module.triple = llvm.get_process_triple()
    _unpack(module, w, columns, layout)
    _pack(module, w, columns, layout, symmetry)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = _machine()
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    builder.getModulePassManager().run(parsed, builder)
    packers = llvm.create_mcjit_compiler(parsed, machine)
    packers.finalize_object()
    unpack, pack = packers.get_function_address("unpack"), packers.get_function_address("pack")
    doors = ir.Module("doors")
    doors.triple = llvm.get_process_triple()
    _door(doors, "expand", 4, expand, [w.pointer, unpack, pack, layout.width, int(symmetry)])
    _door(doors, "judge", 2, judge, [w.pointer, unpack, *judged])
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(doors)), _machine())
    engine.finalize_object()
    return Native(engine.get_function_address("expand"), engine.get_function_address("judge"), (engine, packers))


def _machine() -> Any:
    """Return a target machine for one compiler, which takes ownership of it."""
    return llvm.Target.from_default_triple().create_target_machine(opt=2)


def _door(module: ir.Module, name: str, arguments: int, to: int, given: list[int]) -> None:
    """Emit a function that calls the one at address `to`, with the numbers `given` before its own arguments."""
    function = ir.Function(module, ir.FunctionType(_I64, [_I64] * arguments), name)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    passed = [_I64(number) for number in given] + list(function.args)
    target = b.inttoptr(_I64(to), ir.FunctionType(_I64, [_I64] * len(passed)).as_pointer())
    b.ret(b.call(target, passed))


def _places(w: World, columns: list[StateColumn], layout: Layout) -> Any:
    """Yield column number, field, index in the field, type and address for each value of a state."""
    for number, (column, field) in enumerate(zip(columns, layout.variables, strict=True)):
        table = w.clock if column.group == "clock" else getattr(getattr(w, column.group), column.name)
        kind, begin = ir.IntType(_TYPES[column.element]), table.array.ctypes.data
        for index, row in enumerate(column.rows):
            yield number, field, index, kind, begin + row * kind.width // 8


def _unpack(module: ir.Module, w: World, columns: list[StateColumn], layout: Layout) -> None:
    function = ir.Function(module, ir.FunctionType(_I64, [_I64]), "unpack")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    here = b.inttoptr(function.args[0], _WORDS)
    words = [b.load(b.gep(here, [_I64(i)])) for i in range(layout.width)]
    for _, field, index, kind, address in _places(w, columns, layout):
        word, shift = field.place(index)
        value = b.lshr(words[word], _I64(shift)) if shift else words[word]
        if field.bits < WORD:
            value = b.and_(value, _I64(field.mask))
        value = b.add(value, _I64(field.low)) if field.low else value
        value = b.trunc(value, kind) if kind.width < WORD else value
        b.store(value, b.inttoptr(_I64(address), kind.as_pointer()))
    b.ret(_I64(0))


def _pack(module: ir.Module, w: World, columns: list[StateColumn], layout: Layout, symmetry: bool) -> None:
    """Emit pack(out), which returns 0, or 1 if a value does not fit. symmetry: row i is packed from task order[i], and
    references to a task become its place in the order."""
    function = ir.Function(module, ir.FunctionType(_I64, [_I64]), "pack")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    words: list[Any] = [_I64(0)] * layout.width
    misfit = ir.IntType(1)(0)
    n, scratch = w.rules.n_tasks, w.machine.woken.array.ctypes.data
    narrow = ir.IntType(32).as_pointer()
    order = [b.zext(b.load(b.inttoptr(_I64(scratch + 4 * i), narrow)), _I64) for i in range(n if symmetry else 0)]
    for number, field, index, kind, address in _places(w, columns, layout):
        column = columns[number]
        place: Any = _I64(address)
        if symmetry and column.group in TASK_ROWS:
            size, task = kind.width // 8, column.rows[index] % n
            place = b.add(_I64(address - task * size), b.mul(order[task], _I64(size)))
        value = b.load(b.inttoptr(place, kind.as_pointer()))
        if kind.width == 32:
            value = b.sext(value, _I64)  # NONE is -1
        elif kind.width < 32:
            value = b.zext(value, _I64)
        if symmetry and column.title in TASK_REFERENCES:
            is_task = b.icmp_unsigned("<", value, _I64(n))
            row = b.select(is_task, value, _I64(0))
            there = b.inttoptr(b.add(_I64(scratch + 4 * n), b.mul(row, _I64(4))), narrow)
            value = b.select(is_task, b.zext(b.load(there), _I64), value)
        value = b.sub(value, _I64(field.low)) if field.low else value
        if field.bits < WORD:
            misfit = b.or_(misfit, b.icmp_unsigned(">", value, _I64(field.mask)))
        word, shift = field.place(index)
        words[word] = b.or_(words[word], b.shl(value, _I64(shift)) if shift else value)
    out = b.inttoptr(function.args[0], _WORDS)
    for i, word in enumerate(words):
        b.store(word, b.gep(out, [_I64(i)]))
    b.ret(b.zext(misfit, _I64))
