"""Names of the kernel: which function a step of the model stands for, in which file, under each kernel profile.

functions.toml holds the table. The names of 2018 are those of pages (lock_page), later ones those of folios
(folio_lock).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from engine.kernels import KERNELS
from engine.toml_file import read_toml

FILE = Path(__file__).with_name("functions.toml")
_ORDER = {name: number for number, name in enumerate(KERNELS)}


class KernelFunction(NamedTuple):
    """A function of the kernel: `name` without parentheses, and the file that defines it."""

    file: str
    name: str


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Function(_Part):
    steps: Annotated[list[str], Field(min_length=1)]
    events: list[str] = []
    names: Annotated[dict[str, Annotated[str, Field(pattern=r"^[\w/-]+\.[ch]: \w+$")]], Field(min_length=1)]

    def under(self, kernel: str) -> KernelFunction | None:
        """Return the function in a kernel profile, None if that kernel does not have it."""
        since = [name for name in self.names if _ORDER[name] <= _ORDER[kernel]]
        if not since:
            return None
        return KernelFunction(*self.names[max(since, key=_ORDER.__getitem__)].split(": "))


class _Other(_Part):
    steps: Annotated[list[str], Field(min_length=1)]
    says: str


class _File(_Part):
    function: list[_Function]
    other: list[_Other]


@cache
def _read() -> _File:
    return read_toml(FILE, _File)


@cache
def table() -> tuple[dict[str, _Function], dict[str, str]]:
    """Return the step names of kernel functions, and of steps that stand for something else, in words."""
    read = _read()
    functions = {step: one for one in read.function for step in one.steps}
    return functions, {step: one.says for one in read.other for step in one.steps}


def function_of(step: str, kernel: str) -> KernelFunction | None:
    """Return the kernel function that a step models under a kernel profile, None if there is none.

    Raises KeyError for an unknown profile.
    """
    _ORDER[kernel]
    one = table()[0].get(step)
    return None if one is None else one.under(kernel)


def step_words(step: str, kernel: str) -> str:
    """Return what a step of the model stands for: model step of folio_lock(), include/linux/pagemap.h."""
    if found := function_of(step, kernel):
        return f"model step of {found.name}(), {found.file}"
    functions, others = table()
    if step in functions:
        later = next(iter(functions[step].names.values())).split(": ")[1]
        return f"model step of {later}(), which {kernel} does not have"
    return f"model step of {others[step]}" if step in others else "model step of a design"


def functions_of_event(event: str) -> dict[str, KernelFunction]:
    """Return the kernel function in which an event happens, by kernel profile; empty if the table names none."""
    one = next((one for one in _read().function if event in one.events), None)
    return {kernel: found for kernel in KERNELS if one and (found := one.under(kernel))}
