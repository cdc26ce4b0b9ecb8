"""Words: the layout of an event's two words, declared in one place.

    Words(
        queue=word("a", "queue"),
        length=bits("b", 0, 32, "queue length after"),
        bit=bits("b", 32, 8, "page bit waited for", "page_bit"),
    )

Packers and readers are generated from the declaration, as plain Python on numbers: they take ints and columns alike,
and compiled code uses the same functions (engine.world.packers). The API's schema and display text come from `fields`.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

from engine.errors import BadLayout

FORMS = (
    "number",
    "mapping",
    "flags",
    "page_bit",
    "entry_flags",
    "stop",
    "yes",
    "invariant",
    "mark",
    "pte",
    "refusal",
    "notifier",
    "protect_refusal",
)
"""What a field's number represents, and so how it is displayed; a mapping is a word of page->mapping."""
WORD_BITS = 64


@dataclass(frozen=True)
class Bits:
    """A field: `size` bits of word a or b, from bit `shift` up. Unsigned, unless it takes a whole word."""

    word: Literal["a", "b"]
    shift: int
    size: int
    label: str
    form: str = "number"

    @property
    def whole(self) -> bool:
        return self.size == WORD_BITS

    @property
    def mask(self) -> int:
        """The field's bits within its word; -1 for a whole word."""
        return -1 if self.whole else (1 << self.size) - 1 << self.shift

    def at(self, value: int) -> int:
        """Return the value shifted to its place in the word."""
        return value << self.shift

    def holds(self, value: int) -> bool:
        """Return whether the value fits in the field."""
        return -(1 << WORD_BITS - 1) <= value < 1 << WORD_BITS - 1 if self.whole else 0 <= value < 1 << self.size

    def expression(self) -> str:
        """Return Python that reads the field from a and b."""
        if self.whole:
            return self.word
        shifted = f"{self.word} >> {self.shift}" if self.shift else self.word
        return f"({shifted} & {(1 << self.size) - 1:#x})"


@dataclass(frozen=True)
class Less:
    """A field that is computed, not stored: one field minus others."""

    whole: str
    parts: tuple[str, ...]
    label: str
    form: str = "number"


def bits(word: Literal["a", "b"], shift: int, size: int, label: str, form: str = "number") -> Bits:
    """Return a field of `size` bits of a word, from bit `shift` up."""
    return Bits(word, shift, size, label, form)


def word(word: Literal["a", "b"], label: str, form: str = "number") -> Bits:
    """Return a field that takes a whole word."""
    return Bits(word, 0, WORD_BITS, label, form)


def less(whole: str, *parts: str, label: str) -> Less:
    """Return a field computed from others: `whole` minus the sum of `parts`."""
    return Less(whole, parts, label)


class Words:
    """The fields of an event's two words. Raises BadLayout if two fields overlap or one exceeds its word."""

    def __init__(self, **fields: Bits | Less) -> None:
        self.fields = fields
        self.stored = {name: field for name, field in fields.items() if isinstance(field, Bits)}
        taken = {"a": 0, "b": 0}
        for name, field in fields.items():
            if field.form not in FORMS:
                raise BadLayout(f"field {name}: no form {field.form!r}; there are {', '.join(FORMS)}")
            if isinstance(field, Less):
                if unknown := {field.whole, *field.parts} - self.stored.keys():
                    raise BadLayout(f"field {name}: it is computed from {min(unknown)}, which is not in the words")
                continue
            last = field.shift + field.size - 1
            if not 0 <= field.shift <= last < WORD_BITS:
                raise BadLayout(f"field {name}: bits {field.shift} to {last} of word {field.word}, which has 64")
            if taken[field.word] & field.mask:
                raise BadLayout(f"field {name}: its bits of word {field.word} belong to another field too")
            taken[field.word] |= field.mask

    def __getitem__(self, name: str) -> Bits:
        return self.stored[name]

    @cached_property
    def packing(self) -> Callable[..., tuple[int, int]]:
        """The function that takes the stored fields, in order, and returns words a and b, without any checks."""
        terms: dict[str, list[str]] = {"a": [], "b": []}
        for name, field in self.stored.items():
            terms[field.word].append(f"({name} << {field.shift})" if field.shift else name)
        both = ", ".join(" | ".join(terms[which]) or "0" for which in "ab")
        return _written("pack", tuple(self.stored), f"({both})")

    def pack(self, *values: int, **named: int) -> tuple[int, int]:
        """Return words a and b, given all stored fields. Raises AssertionError if a value does not fit in its field."""
        given = dict(zip(self.stored, values, strict=False)) | named
        for name, value in given.items():
            assert self.stored[name].holds(value), f"{name} is {value}: it has {self.stored[name].size} bits"
        return self.packing(**given)

    def reader(self, name: str) -> Callable[[Any, Any], Any]:
        """Return the function that reads a field from words a and b, which are ints or columns of them."""
        return _reader(self._expression(name), name)

    def _expression(self, name: str) -> str:
        field = self.fields[name]
        if isinstance(field, Bits):
            return field.expression()
        return " - ".join(self.stored[part].expression() for part in (field.whole, *field.parts))

    @cached_property
    def _tuple(self) -> Any:
        return namedtuple("Fields", self.fields)

    def unpack(self, a: Any, b: Any) -> Any:
        """Return all fields as a named tuple, read from words a and b: ints, or columns of them."""
        return self._tuple(*(self.reader(name)(a, b) for name in self.fields))


@cache
def _reader(expression: str, name: str) -> Callable[[Any, Any], Any]:
    return _written(f"read_{name}", ("a", "b"), expression)


def _written(name: str, parameters: tuple[str, ...], expression: str) -> Callable[..., Any]:
    """Return a function compiled from generated source; numba compiles it like any other."""
    assert all(re.fullmatch(r"[a-z_][a-z_0-9]*", each) for each in (name, *parameters))
    scope: dict[str, Any] = {"__name__": __name__}
    exec(compile(f"def {name}({', '.join(parameters)}):\n    return {expression}\n", f"<{name}>", "exec"), scope)
    function: Callable[..., Any] = scope[name]
    return function
