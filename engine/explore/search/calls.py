"""Calls of code that is known by its address only, from within compiled functions."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from engine.world.jit import INTERPRETED

_EXPAND = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 5)
_JUDGE = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 3)
_PACKER = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 2)

_raised: list[BaseException] = []
"""What interpreted code raised within a call by address, until the caller raises it again."""


def kept(function: Callable[..., int]) -> Callable[..., int]:
    """Return a function that keeps what it raises for `raise_kept` and returns 0 then.

    ctypes prints an exception of a callback and goes on with 0, so that a failed assertion would be a state without
    steps to the search.
    """

    def guarded(*arguments: int) -> int:
        try:
            return function(*arguments)
        except BaseException as error:
            _raised.append(error)
            return 0

    return guarded


def raise_kept() -> None:
    """Raise what a call by address has raised, if it has."""
    if _raised:
        error = _raised.pop()
        _raised.clear()
        raise error


@intrinsic
def call_expand(typing_context: Any, address: Any, state: Any, out: Any, only: Any) -> Any:
    """Call expand() at an address."""
    signature = types.int64(types.int64, types.int64, types.int64, types.int64)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        function = builder.inttoptr(arguments[0], ir.FunctionType(word, [word] * 4).as_pointer())
        return builder.call(function, [word(0), *arguments[1:]])

    return signature, code


@intrinsic
def call_judge(typing_context: Any, address: Any, state: Any, wrong: Any) -> Any:
    """Call judge() at an address."""
    signature = types.int64(types.int64, types.int64, types.int64)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        function = builder.inttoptr(arguments[0], ir.FunctionType(word, [word] * 2).as_pointer())
        return builder.call(function, arguments[1:])

    return signature, code


@intrinsic
def call_packer(typing_context: Any, address: Any, words: Any) -> Any:
    """Call pack() or unpack() of a world at an address."""
    signature = types.int64(types.int64, types.int64)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        function = builder.inttoptr(arguments[0], ir.FunctionType(word, [word]).as_pointer())
        return builder.call(function, arguments[1:])

    return signature, code


@intrinsic
def prefetch(typing_context: Any, address: Any) -> Any:
    """Begin to load the cache line at an address."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        builder.call(function, [builder.inttoptr(arguments[0], pointer), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.none(types.int64), code


if INTERPRETED:  # numba.extending has no plain form of these

    def call_expand(address: int, state: int, out: int, only: int) -> int:
        """Call expand() at an address."""
        n = int(_EXPAND(int(address))(0, int(state), int(out), int(only)))
        raise_kept()
        return n

    def call_judge(address: int, state: int, wrong: int) -> int:
        """Call judge() at an address."""
        bits = int(_JUDGE(int(address))(int(state), int(wrong)))
        raise_kept()
        return bits

    def call_packer(address: int, words: int) -> int:
        """Call pack() or unpack() of a world at an address."""
        return int(_PACKER(int(address))(int(words)))

    def prefetch(address: int) -> None:
        """Nothing to gain here."""
