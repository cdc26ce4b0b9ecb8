"""The one wrapper around numba: every compiled function of the project is made here.

Reference counting is switched off (`_nrt=False`): our functions allocate nothing, and the counts cost five times the
work itself (DECISIONS 6). The option is numba's own internal one, so it is dropped if a later numba refuses it: slower,
same results. With NUMBA_DISABLE_JIT=1 the same source runs as plain Python and must give the same events.

numba's disk cache does not notice a change in a function that another file calls, so the cache lives in a folder named
by the content of the whole engine: a changed engine compiles anew, an unchanged one loads.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core.cpu import CPUTargetOptions

import engine.world_type  # noqa: F401 - teaches numba what a World is

F = TypeVar("F", bound=Callable[..., Any])

INTERPRETED: bool = bool(numba.config.DISABLE_JIT)
if INTERPRETED:
    # Words wrap around on purpose (hash, random numbers); numpy warns of that for its scalars, compiled code does not.
    np.seterr(over="ignore")


_NEVER_COMPILED = {"recordings", "scenarios"}


def _engine_digest() -> str:
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version_info[:2]}".encode())
    root = Path(__file__).parent
    for path in sorted(p for p in root.rglob("*.py") if p.parent.name not in _NEVER_COMPILED):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    """Return the folder for compiled code and generated ladders; FOLIOSCOPE_CACHE overrides the user's cache folder."""
    base = os.environ.get("FOLIOSCOPE_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "folioscope" / _engine_digest()


CACHE = _cache_folder()
CACHE.mkdir(parents=True, exist_ok=True)
numba.config.CACHE_DIR = str(CACHE)

OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
if hasattr(CPUTargetOptions, "_nrt"):
    OPTIONS["_nrt"] = False


def jit(function: F) -> F:
    """Compile a function of scalars and (tuples of) arrays that allocates nothing."""
    compiled: F = numba.njit(**OPTIONS)(function)
    return compiled


def inlined(function: F) -> F:
    """As jit, and always made part of its caller: for what is a few instructions long."""
    compiled: F = numba.njit(forceinline=True, **OPTIONS)(function)
    return compiled
