"""Declaration of a World column, in one place: element type, initial value, and what the explorer must know about it.

    class Elements(NamedTuple):                 # a table of a design, in its folder
        page: U32 = row("pages")                # a row of pages, NONE at first
        length: I64 = count("tasks")            # 0 .. number of tasks
        seen: I64 = unseen()                    # for readers of events only: no step reads it

It determines the arrays, their places in the header, the columns of an explored state with the expected values, and
which of them refer to tasks, so that states that differ only by a permutation of equal tasks count as one.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray


class Column:
    """An array of integers, read and written as plain numbers: the same in compiled and interpreted code.

    Elements are Python ints (64-bit signed when compiled); only columns of uint64 stay unsigned words. The array
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
"""NONE of engine.events: not a row."""


_TABLES = """
pages tasks frames entries lists waits files mms ptes rmap protection sleepers devices copies
contents emulations ksm_items ksm_nodes ksmd swap_slots swap_pages swap_entries
program picks machine trace code
"""
ENGINE_TABLES = frozenset(_TABLES.split())
"""Names of the tables that every World has; tables of designs have other names."""


class Declared(NamedTuple):
    """What is declared about a column besides its element type."""

    low: int
    """Min. and max. expected value; a value outside them makes a search change its state layout."""
    high: int
    per: str
    """Table whose number of rows is added to high; "" for none."""
    refers: str
    """Table whose rows its values refer to; "" for plain numbers."""
    start: int
    state: bool
    """Whether it is part of a state: some step reads it."""
    by: str = ""
    """The only function that fills it, "" for any; not part of a state in worlds that never call that function."""


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
    """A number of rows of a table."""
    return Declared(0, 0, table, "", 0, True)


def place(table: str) -> Any:
    """A number from 0 to below a table's number of rows, but not a reference to a row."""
    return Declared(0, -1, table, "", 0, True)


def row(table: str, start: int = NULL, *, by: str = "") -> Any:
    """A row of a table, or NONE."""
    return Declared(-1, -1, table, table, start, True, by)


def unseen(start: int = 0) -> Any:
    """No step reads it before it is written again: times, random streams, counts for the reader, fixed tables."""
    return Declared(0, 0, "", "", start, False)


def element_types(table: Any) -> dict[str, str]:
    """Return the element type ("I64" ..) of each column of a table, in order."""
    return {field: reference.__forward_arg__ for field, reference in table.__annotations__.items()}


def declared(table: Any) -> dict[str, Declared]:
    """Return the declaration of each column of a table. Raises TypeError for a column without one."""
    found = dict(table._field_defaults)
    for field in table._fields:
        if not isinstance(found.get(field), Declared):
            raise TypeError(f"{table.__module__}.{table.__name__}.{field}: say what it holds (engine.schema)")
        if not hasattr(table.__annotations__[field], "__forward_arg__"):
            raise TypeError(f"{table.__module__}: begin the module with `from __future__ import annotations`")
    return found
