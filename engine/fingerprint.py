"""Hash everything that a compiled function depends on: the key of its entry in the compile cache.

The hash covers the function's code without its docstring and line numbers, and everything its globals refer to: other
functions with their code, constants, named tuples with their fields, World columns with their places. So a changed
message or comment recompiles nothing, and a changed constant recompiles exactly the functions that use it.
"""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Callable, Iterator
from enum import Enum
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

FOREIGN = ("numba", "llvmlite", "numpy", "builtins")
"""Packages whose functions are hashed by name: their versions are part of the cache folder's name."""

_known: dict[FunctionType, str] = {}
_under_way: set[FunctionType] = set()


class NotHashable(Exception):
    """A compiled function uses a global of a kind that no rule here covers."""


def python_function(value: Any) -> FunctionType | None:
    """Return the Python function behind a function, a numba dispatcher or an intrinsic; None for anything else."""
    if isinstance(value, FunctionType):
        return value
    inner = getattr(value, "py_func", None) or getattr(value, "_defn", None)
    return inner if isinstance(inner, FunctionType) else None


def fingerprint(function: Any, columns: Callable[[str], tuple[Any, ...]] = lambda name: ()) -> str:
    """Return 32 hexadecimal digits that change when the compiled form of a function may change.

    columns: returns the World columns with a given attribute name (engine.world.world_type.places). Raises NotHashable.
    """
    python = python_function(function)
    assert python is not None, f"{function!r} is not a function"
    if python in _known:
        return _known[python]
    if python in _under_way:
        return f"recursion {python.__qualname__}"
    _under_way.add(python)
    try:
        parts = [repr(python.__defaults__), *_code(python.__code__, python.__doc__)]
        for name in names_used(python.__code__):
            parts += [f"{name}={text}" for text in _named(python, name, columns)]
        for name, annotation in python.__annotations__.items():
            kind = python.__globals__.get(annotation) if isinstance(annotation, str) else annotation
            if isinstance(kind, type) and hasattr(kind, "_fields"):
                parts.append(f"{name}: {_value(kind, columns)}")
        for cell in python.__closure__ or ():
            parts.append(_value(cell.cell_contents, columns))
    except NotHashable as problem:
        raise NotHashable(f"{python.__module__}.{python.__qualname__}: {problem}") from None
    finally:
        _under_way.discard(python)
    _known[python] = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    return _known[python]


def names_used(code: CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes in a function's code, including its inner functions."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_used(constant)


def _code(code: CodeType, docstring: str | None) -> Iterator[str]:
    yield f"{code.co_name} {code.co_argcount} {code.co_varnames} {code.co_names} {code.co_freevars} {code.co_cellvars}"
    yield code.co_code.hex()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = constant.co_consts[0] if constant.co_consts else None
            yield from _code(constant, inner if isinstance(inner, str) else None)
        elif constant is None or constant != docstring:
            yield f"{type(constant).__name__} {constant!r}"


def _named(python: FunctionType, name: str, columns: Callable[[str], tuple[Any, ...]]) -> Iterator[str]:
    """Yield what a name in the code may refer to: a global, an attribute of one of our modules, a column."""
    scope = python.__globals__
    if name in scope:
        yield _value(scope[name], columns)
    elif hasattr(builtins, name):
        yield "builtin"
    for other in python.__code__.co_names:
        module = scope.get(other)
        if isinstance(module, ModuleType) and not module.__name__.startswith(FOREIGN) and hasattr(module, name):
            yield _value(getattr(module, name), columns)
    yield from (repr(place) for place in columns(name))


def _value(value: Any, columns: Callable[[str], tuple[Any, ...]]) -> str:
    """Return a text that changes when a global's value changes."""
    python = python_function(value)
    if python is not None:
        options = getattr(value, "targetoptions", None)
        inside = not python.__module__.startswith(FOREIGN)
        return f"{sorted(options.items()) if options else ''} " + (
            fingerprint(python, columns) if inside else f"{python.__module__}.{python.__qualname__}"
        )
    if isinstance(value, ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return f"({', '.join(_value(item, columns) for item in value)})"
    if isinstance(value, frozenset | set):
        return f"{{{', '.join(sorted(_value(item, columns) for item in value))}}}"
    if isinstance(value, dict):
        pairs = (f"{_value(key, columns)}: {_value(item, columns)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if value is None or isinstance(value, bool | int | float | str | bytes | np.generic | np.dtype):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, type):
        members = [f"{m.name}={m.value}" for m in value] if issubclass(value, Enum) else getattr(value, "_fields", ())
        return f"class {value.__module__}.{value.__qualname__} {members!r}"
    if isinstance(value, BuiltinFunctionType | np.ufunc):
        return f"function {value.__name__}"
    if type(value).__module__.split(".")[0] in {"numba", "llvmlite", "typing", "ctypes", "_ctypes"}:
        return f"{type(value).__name__} {getattr(value, 'key', None) or getattr(value, '__name__', '')}"
    if hasattr(value, "_fields") or not type(value).__module__.startswith(FOREIGN):
        return repr(value)
    raise NotHashable(f"a global of type {type(value).__module__}.{type(value).__qualname__} cannot be hashed")
