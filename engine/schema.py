"""How a column of the World is declared, once: element type, first value, and what the explorer must know of it.

    class Elements(NamedTuple):                 # a table of a design, in its folder
        page: U32 = row("pages")                # a row of pages, NONE at first
        length: I64 = count("tasks")            # 0 .. number of tasks
        seen: I64 = unseen()                    # for the reader of events alone: no step looks at it

From it come the arrays, their places in the header, the columns of an explored state with the values expected, and
which of them name tasks, so that states that differ by the names of equal tasks can be taken for one.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray


class Column:
    """An array of integers that gives and takes plain numbers: what compiled and interpreted code both see.

    Elements come as Python ints (64-bit signed when compiled); only columns of uint64 stay unsigned words. The array
    itself, for numpy, is `array`.
    """

    __slots__ = ("_word", "array")

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self._word = array.dtype == np.uint64

    def __getitem__(self, row: int) -> int:
        value = self.array[row]
        return value if self._word else int(value)

    def __setitem__(self, row: int, value: int) -> None:
        self.array[row] = value


# A table names the element type of each column by one of these.
I64: TypeAlias = Column
U64: TypeAlias = Column
U32: TypeAlias = Column
U16: TypeAlias = Column
U8: TypeAlias = Column
DTYPES = {"I64": np.int64, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8}
NULL = 0xFFFFFFFF
"""NONE of engine.events: a row that is no row."""


ENGINE_TABLES = frozenset(
    ("pages", "tasks", "frames", "entries", "lists", "waits", "files", "program", "picks", "machine", "trace", "code")
)
"""Names of the tables that every World holds; a design's have other names."""


class Declared(NamedTuple):
    """What is declared of a column besides its element type."""

    low: int
    """Least and greatest value expected; one beyond makes a search lay out its states anew."""
    high: int
    per: str
    """Table whose number of rows is added to high; "" for none."""
    refers: str
    """Table that its values are rows of; "" for plain numbers."""
    start: int
    state: bool
    """Whether it is part of a state: some step reads it."""
    by: str = ""
    """The one function that fills it, "" for any: no part of a state in worlds that never call that."""


def number(low: int, high: int, *, by: str = "") -> Any:
    """A number in this range."""
    return Declared(low, high, "", "", 0, True, by)


def flag(*, by: str = "") -> Any:
    """0 or 1."""
    return number(0, 1, by=by)


def word() -> Any:
    """A word that holds addresses in the direct map, tagged or not, or NULL."""
    return number(-(1 << 47), (1 << 47) - 1)


def count(table: str) -> Any:
    """How many rows of a table."""
    return Declared(0, 0, table, "", 0, True)


def place(table: str) -> Any:
    """A place from 0 to the number of a table's rows, with no reference to them."""
    return Declared(0, -1, table, "", 0, True)


def row(table: str, start: int = NULL, *, by: str = "") -> Any:
    """A row of a table, or NONE."""
    return Declared(-1, -1, table, table, start, True, by)


def unseen(start: int = 0) -> Any:
    """No step looks at it before it is written anew: times, random streams, counts for the reader, fixed tables."""
    return Declared(0, 0, "", "", start, False)


def element_types(table: Any) -> dict[str, str]:
    """Return the element type ("I64" ..) of each column of a table, in order."""
    return {field: reference.__forward_arg__ for field, reference in table.__annotations__.items()}


def declared(table: Any) -> dict[str, Declared]:
    """Return what is declared of each column of a table. Raises TypeError for a column without a declaration."""
    found = dict(table._field_defaults)
    for field in table._fields:
        if not isinstance(found.get(field), Declared):
            raise TypeError(f"{table.__module__}.{table.__name__}.{field}: say what it holds (engine.schema)")
        if not hasattr(table.__annotations__[field], "__forward_arg__"):
            raise TypeError(f"{table.__module__}: begin the module with `from __future__ import annotations`")
    return found
