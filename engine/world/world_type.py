"""The World as compiled code sees it: one pointer.

Passing a tuple of a hundred arrays costs hundreds of instructions per call, and minutes of compilation. So `w` is a
pointer to World.header, an array of words: the address of the clock, the rules, the address of each column.
`w.pages.flags[pfn]` is two loads, as in C. Importing this module registers the types with numba; engine.world.jit does.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.datamodel.models import PrimitiveModel
from numba.core.extending import NativeValue, lower_builtin, register_model, typeof_impl, unbox
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature

from engine.schema import element_types
from engine.world.state import GROUPS, Rules, World

_ELEMENTS = {
    "I64": (types.int64, types.int64),
    "U64": (types.uint64, types.uint64),
    "U32": (types.uint32, types.int64),
    "U16": (types.uint16, types.int64),
    "U8": (types.uint8, types.int64),
}
"""Type of an element in memory, and the type it is read as."""


def _slots() -> dict[tuple[str, str], tuple[int, str]]:
    """Return the header's place of each column, and its element type."""
    places, at = {("", "clock"): (0, "I64")}, 1
    for field in Rules._fields:
        places["rules", field] = (at, "")
        at += 1
    for group, table in GROUPS.items():  # tables of designs come last, so a new one moves no other
        for field, element in element_types(table).items():
            places[group, field] = (at, element)
            at += 1
    return places


SLOTS = _slots()


def places(attribute: str) -> tuple[tuple[str, int, str], ...]:
    """Return all World columns and rules of this name: table, place in the header, element type."""
    return tuple((group, *place) for (group, field), place in SLOTS.items() if field == attribute)


class WorldType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="World")


class GroupType(types.Type):
    def __init__(self, group: str) -> None:
        self.group = group
        super().__init__(name=f"World.{group}")


class ColumnType(types.Type):
    def __init__(self, slot: int, element: str) -> None:
        self.slot, self.element = slot, element
        super().__init__(name=f"Column({slot}, {element})")


@register_model(WorldType)
@register_model(GroupType)
@register_model(ColumnType)
class _PointerModel(PrimitiveModel):  # type: ignore[misc]
    """All three are the pointer to the header; only their types differ."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.IntType(64).as_pointer())


@typeof_impl.register(World)
def _typeof_world(value: World, context: Any) -> WorldType:
    return WorldType()


@unbox(WorldType)
def _unbox_world(kind: Any, value: Any, c: Any) -> Any:
    number = c.pyapi.object_getattr_string(value, "pointer")
    address = c.pyapi.number_as_ssize_t(number)
    c.pyapi.decref(number)
    return NativeValue(c.builder.inttoptr(address, ir.IntType(64).as_pointer()))


def load_invariant(builder: Any, header: Any, slot: int) -> Any:
    """Emit the load of a word of the header."""
    word = builder.load(builder.gep(header, [ir.Constant(ir.IntType(64), slot)]))
    # headers never change while compiled code runs: LLVM may reuse the loaded value
    word.set_metadata("invariant.load", builder.module.add_metadata([]))
    return word


@infer_getattr
class _WorldAttributes(AttributeTemplate):  # type: ignore[misc]
    key = WorldType

    def generic_resolve(self, kind: Any, attribute: str) -> Any:
        if attribute == "clock":
            return ColumnType(*SLOTS["", "clock"])
        return GroupType(attribute)


@infer_getattr
class _GroupAttributes(AttributeTemplate):  # type: ignore[misc]
    key = GroupType

    def generic_resolve(self, kind: Any, attribute: str) -> Any:
        if kind.group == "rules":
            return types.int64
        return ColumnType(*SLOTS[kind.group, attribute])


@lower_getattr_generic(WorldType)
def _lower_world(context: Any, builder: Any, kind: Any, header: Any, attribute: str) -> Any:
    return header


@lower_getattr_generic(GroupType)
def _lower_group(context: Any, builder: Any, kind: Any, header: Any, attribute: str) -> Any:
    if kind.group == "rules":
        return load_invariant(builder, header, SLOTS["rules", attribute][0])
    return header


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        column, row = args
        if isinstance(column, ColumnType) and isinstance(row, types.Integer):
            return signature(_ELEMENTS[column.element][1], column, row)
        return None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        column, row, value = args
        if (
            isinstance(column, ColumnType)
            and isinstance(row, types.Integer)
            and isinstance(value, types.Integer | types.Boolean)
        ):
            return signature(types.none, column, row, value)
        return None


def _place(context: Any, builder: Any, column: Any, header: Any, row: Any, row_kind: Any) -> Any:
    """Return the address of an element. Rows are never negative, so none count from the end."""
    stored = _ELEMENTS[column.element][0]
    element = context.get_data_type(stored)
    begin = builder.inttoptr(load_invariant(builder, header, column.slot), element.as_pointer())
    return builder.gep(begin, [context.cast(builder, row, row_kind, types.int64)])


@lower_builtin(operator.getitem, ColumnType, types.Integer)
def _lower_getitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    column, row_kind = sig.args
    stored, read = _ELEMENTS[column.element]
    value = builder.load(_place(context, builder, column, args[0], args[1], row_kind))
    return context.cast(builder, value, stored, read)


@lower_builtin(operator.setitem, ColumnType, types.Integer, types.Integer)
@lower_builtin(operator.setitem, ColumnType, types.Integer, types.Boolean)
def _lower_setitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    column, row_kind, value_kind = sig.args
    value = context.cast(builder, args[2], value_kind, _ELEMENTS[column.element][0])
    builder.store(value, _place(context, builder, column, args[0], args[1], row_kind))
    return context.get_dummy_value()
