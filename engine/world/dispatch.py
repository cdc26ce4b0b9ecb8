"""Calls from compiled code to steps and verbs, through tables of addresses in the World's header, like the kernel's
*_operations. Each step and each verb is compiled once, on its own; callers hold no copy of it.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from engine.axes import VERBS
from engine.world.jit import INTERPRETED, inlined
from engine.world.state import World
from engine.world.world_type import SLOTS, WorldType, load_invariant

WORLD, WORD = WorldType(), types.int64
STEP = WORD(WORLD, WORD)
"""Signature of a step: the World and the task; returns a cost in ns, BLOCKED or SPIN."""


def verb_signature(number: int) -> Any:
    """Return the signature for which every design's function for this verb is compiled."""
    verb = VERBS[number].verb
    return (WORD if verb.returns else types.none)(WORLD, *[WORD] * len(verb.parameters))


def _write_call(context: Any, builder: Any, address: Any, signature: Any, arguments: Any) -> Any:
    """Emit a call of the function at an address."""
    word, pointer = ir.IntType(64), ir.IntType(64).as_pointer()
    result = ir.VoidType() if signature.return_type == types.none else word
    kind = ir.FunctionType(result, [pointer, *[word] * (len(arguments) - 1)])
    words = [
        context.cast(builder, value, arg_type, WORD)
        for value, arg_type in zip(arguments[1:], signature.args[1:], strict=True)
    ]
    value = builder.call(builder.inttoptr(address, kind.as_pointer()), [arguments[0], *words])
    return context.get_dummy_value() if signature.return_type == types.none else value


def _address(builder: Any, header: Any, column: str, row: Any) -> Any:
    """Emit the load of an address from a table; the table does not change while compiled code runs."""
    begin = load_invariant(builder, header, SLOTS["code", column][0])
    table = builder.inttoptr(begin, ir.IntType(64).as_pointer())
    word = builder.load(builder.gep(table, [row]))
    word.set_metadata("invariant.load", builder.module.add_metadata([]))
    return word


@intrinsic
def _call_step(typing_context: Any, w: Any, task: Any, number: Any) -> Any:
    """Call the step with this number."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        header, task, number = arguments
        row = context.cast(builder, number, signature.args[2], WORD)
        callee = signature.replace(args=signature.args[:2])
        return _write_call(context, builder, _address(builder, header, "steps", row), callee, [header, task])

    return WORD(w, task, number), code


def _call_plain_step(w: World, task: int, number: int) -> Any:
    return w.step_functions[number](w, task)


_call = _call_plain_step if INTERPRETED else _call_step


@inlined
def step(w: World, task: int) -> int:
    """Run the task's next step. Returns nanoseconds, BLOCKED or SPIN."""
    cost: int = _call(w, task, w.tasks.step[task])
    return cost


def verb(name: str) -> Callable[..., Any]:
    """Return the function that paths call for a verb; it dispatches to the run's design."""
    number = next(number for number, row in enumerate(VERBS) if row.verb.name == name)
    if INTERPRETED:

        def answered(w: World, *arguments: int) -> Any:
            function = w.verb_functions[number]
            return VERBS[number].verb.default if function is None else function(w, *arguments)

        answered.verb = name  # type: ignore[attr-defined]
        return answered
    result, default = verb_signature(number).return_type, VERBS[number].verb.default

    def definition(typing_context: Any, w: Any, *arguments: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            word = ir.IntType(64)
            address = _address(builder, values[0], "verbs", ir.Constant(word, number))
            if default is None:
                return _write_call(context, builder, address, signature, values)
            result = cgutils.alloca_once_value(builder, ir.Constant(word, default))
            with builder.if_then(builder.icmp_unsigned("!=", address, ir.Constant(word, 0))):
                value = _write_call(context, builder, address, signature, values)
                if signature.return_type != types.none:
                    builder.store(value, result)
            return context.get_dummy_value() if signature.return_type == types.none else builder.load(result)

        return result(w, *arguments), code

    # numba lowers only calls with fixed arguments, and reads them from this signature
    names = ("typing_context", "w", *VERBS[number].verb.parameters)
    definition.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    )
    stub: Any = intrinsic(definition)
    stub.verb = name
    called: Callable[..., Any] = stub
    return called
