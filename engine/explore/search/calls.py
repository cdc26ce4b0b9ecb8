"""Call code by its address from within compiled functions."""

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
"""Exceptions raised by interpreted code in a call by address, until the caller re-raises them."""


def kept(function: Callable[..., int]) -> Callable[..., int]:
    """Wrap a function: an exception is stored for `raise_kept`, and 0 is returned.

    ctypes prints an exception of a callback and continues with 0, so the search would take a failed assertion for a
    state without steps.
    """

    def guarded(*arguments: int) -> int:
        try:
            return function(*arguments)
        except BaseException as error:
            _raised.append(error)
            return 0

    return guarded


def raise_kept() -> None:
    """Re-raise the exception of a call by address, if there was one."""
    if _raised:
        raise _raised.pop()


@intrinsic
def call_expand(typing_context: Any, address: Any, state: Any, out: Any, only: Any) -> Any:
    """Call the expand() at an address."""
    signature = types.int64(types.int64, types.int64, types.int64, types.int64)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        function = builder.inttoptr(arguments[0], ir.FunctionType(word, [word] * 4).as_pointer())
        return builder.call(function, [word(0), *arguments[1:]])

    return signature, code


@intrinsic
def call_judge(typing_context: Any, address: Any, state: Any, wrong: Any) -> Any:
    """Call the judge() at an address."""
    signature = types.int64(types.int64, types.int64, types.int64)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        function = builder.inttoptr(arguments[0], ir.FunctionType(word, [word] * 2).as_pointer())
        return builder.call(function, arguments[1:])

    return signature, code


@intrinsic
def call_packer(typing_context: Any, address: Any, words: Any) -> Any:
    """Call a world's pack() or unpack() at an address."""
    signature = types.int64(types.int64, types.int64)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        function = builder.inttoptr(arguments[0], ir.FunctionType(word, [word]).as_pointer())
        return builder.call(function, arguments[1:])

    return signature, code


@intrinsic
def prefetch(typing_context: Any, address: Any) -> Any:
    """Prefetch the cache line at an address."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        builder.call(function, [builder.inttoptr(arguments[0], pointer), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.none(types.int64), code


if INTERPRETED:  # numba.extending has no plain form of these

    def call_expand(address: int, state: int, out: int, only: int) -> int:
        """Call the expand() at an address."""
        n = int(_EXPAND(int(address))(0, int(state), int(out), int(only)))
        raise_kept()
        return n

    def call_judge(address: int, state: int, wrong: int) -> int:
        """Call the judge() at an address."""
        bits = int(_JUDGE(int(address))(int(state), int(wrong)))
        raise_kept()
        return bits

    def call_packer(address: int, words: int) -> int:
        """Call a world's pack() or unpack() at an address."""
        return int(_PACKER(int(address))(int(words)))

    def prefetch(address: int) -> None:
        """Do nothing: interpreted code gains nothing from a prefetch."""
