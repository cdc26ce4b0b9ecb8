"""The one wrapper around numba: every compiled function of the project is made here.

Reference counting is switched off (`_nrt=False`): our functions allocate nothing, and the counts cost five times the
work itself (DECISIONS 6). The option is internal to numba, so it is dropped if a later numba refuses it: slower, with
the same results. With NUMBA_DISABLE_JIT=1 the same source runs as plain Python and must give the same events.

Compiled code is kept on disk, one entry per function, found by a hash of everything the function depends on
(engine.fingerprint). numba's own key, the modification time of one file, misses changes in other files.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, _Cache
from numba.core.ccallback import CFunc
from numba.core.cpu import CPUTargetOptions
from numba.core.registry import CPUDispatcher
from numba.core.types.containers import BaseTuple
from numba.core.types.misc import unliteral

import engine.world.world_type as world_type
from engine.fingerprint import fingerprint

F = TypeVar("F", bound=Callable[..., Any])

INTERPRETED: bool = bool(numba.config.DISABLE_JIT)
if INTERPRETED:
    # Words wrap around on purpose (hash, random numbers); numpy warns about its scalars, compiled code does not.
    np.seterr(over="ignore")

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
if hasattr(CPUTargetOptions, "_nrt"):
    OPTIONS["_nrt"] = False


def _cache_folder() -> Path:
    """Return the folder for compiled code; FOLIOSCOPE_CACHE overrides the user's cache folder.

    Its name is a hash of the compilers' versions and of the module that registers the World with numba.
    """
    base = os.environ.get("FOLIOSCOPE_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    versions = f"{numba.__version__} {llvmlite.__version__} {np.__version__} {sys.version} {sorted(OPTIONS.items())}"
    lowering = Path(world_type.__file__).read_bytes()
    return Path(base) / "folioscope" / hashlib.sha256(versions.encode() + lowering).hexdigest()[:16]


CACHE = _cache_folder()
USED: set[str] = set()
"""Cache entries that this process has loaded or written, as prefixes of their file names."""


class _Locator:
    """Location of one function's cache entries; their names hold its fingerprint, so they are never stale."""

    def __init__(self, python: Any) -> None:
        self._py_file = python.__code__.co_filename

    def get_cache_path(self) -> str:
        return str(CACHE)

    def get_source_stamp(self) -> str:
        return ""

    def ensure_cache_path(self) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)


class _Impl(CompileResultCacheImpl):  # type: ignore[misc]
    kind = ""

    def __init__(self, python: Any) -> None:
        self._lineno = python.__code__.co_firstlineno
        self._locator = _Locator(python)
        module = python.__module__.removeprefix("engine.")
        self._filename_base = f"{module}.{python.__name__}{self.kind}-{fingerprint(python, world_type.places)}"
        USED.add(self._filename_base)


class _CallbackImpl(_Impl):
    kind = "-callback"  # an index of its own: two processes may compile both forms at the same time


class EntryFile(IndexDataCacheFile):  # type: ignore[misc]
    """One function's entries on disk, saved under a lock.

    numba reads the index, takes the next free number and writes the index back. Of two processes that do so at the same
    time, both take one number, and the index then names the machine code of one for the signature of the other.
    """

    def save(self, key: Any, data: Any) -> None:
        """Save an entry; another process that saves one waits."""
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # closing it ends the lock
            super().save(key, data)


class _ByFingerprint(FunctionCache):  # type: ignore[misc]
    _impl_class = _Impl

    def __init__(self, python: Any, impl: type[_Impl]) -> None:
        self._impl_class = impl
        super().__init__(python)
        self._cache_file = EntryFile(self._cache_path, self._impl.filename_base, "")

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return (*super()._index_key(sig, codegen), tuple(_fields(kind) for kind in getattr(sig, "args", sig)))


def _fields(kind: Any) -> Any:
    """Return the field names of a named tuple type, nested ones too: compiled code finds a field by its place."""
    if isinstance(kind, BaseTuple):
        return getattr(kind, "fields", ()), tuple(_fields(part) for part in kind)
    return ()


class _LazyCache(_Cache):  # type: ignore[misc]
    """The cache of one function; the fingerprint is computed at the first call, when the whole module is loaded."""

    def __init__(self, python: Any, impl: type[_Impl] = _Impl) -> None:
        self._python, self._impl = python, impl
        self._real: Any = None

    def _cache(self) -> Any:
        if self._real is None:
            self._real = _ByFingerprint(self._python, self._impl)
        return self._real

    @property
    def cache_path(self) -> str:
        return str(CACHE)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        return self._cache().load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        self._cache().save_overload(sig, data)

    def enable(self) -> None:
        """Do nothing: the cache is always enabled."""

    def disable(self) -> None:
        """Do nothing: the cache is never disabled."""

    def flush(self) -> None:
        self._cache().flush()


class _Callee(CPUDispatcher):  # type: ignore[misc]
    """A function for compiled code: without the wrapper that Python needs, a seventh of its compilation. A call from
    Python runs it as Python, which gives the same.
    """

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Return the template of a call, compiled once for all constants: inlined code has them in any case."""
        return super().get_call_template([unliteral(kind) for kind in args], kws)

    def add_overload(self, result: Any) -> None:
        """Keep the compiled code, but no entry point for Python, which would be NULL."""
        self.overloads[tuple(result.signature.args)] = result

    def _compile_for_args(self, *args: Any, **named: Any) -> Any:
        """Return what a call from Python calls."""
        return self.py_func


def jit(function: F) -> F:
    """Compile a function of scalars and (tuples of) arrays that allocates nothing."""
    compiled: Any = numba.njit(**OPTIONS, no_cfunc_wrapper=True)(function)
    if not INTERPRETED:
        compiled._cache = _LazyCache(function)
    result: F = compiled
    return result


def inlined(function: F) -> F:
    """Like jit, but always inlined into the caller: for functions of a few instructions."""
    if INTERPRETED:
        return function
    options = {**OPTIONS, "nopython": True, "forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled: Any = _Callee(py_func=function, targetoptions=options)
    compiled._cache = _LazyCache(function)
    result: F = compiled
    return result


def callback(function: Any, signature: Any) -> Any:
    """Return the function compiled for this signature with C's calling convention; its `address` is the entry point.

    Keep the returned object for as long as the address is used.
    """
    python = getattr(function, "py_func", function)
    arguments, result = signature.args, signature.return_type
    compiled: Any = CFunc(python, (arguments, result), locals={}, options=dict(OPTIONS))
    compiled._cache = _LazyCache(python, _CallbackImpl)
    compiled.compile()
    return compiled
