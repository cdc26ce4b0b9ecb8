"""One-line messages for a faulty table: the place, the line, the reason and the fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from engine.errors import UserError
from engine.explore.tables.lines import line_of


class BadTable(UserError):
    """The table cannot be explored; the message names the line if it is known."""


def _path(location: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def parts_of(where: str) -> list[int | str]:
    """Return the keys and indices of a path like procs[0].name."""
    return [int(part[1:-1]) if part[0] == "[" else part for part in re.findall(r"\[\d+\]|[^.\[\]]+", where)]


def bad(location: Sequence[int | str], reason: str, source: str) -> BadTable:
    """Return the error for a location, with its line if the source text is given."""
    where, line = _path(location), line_of(source, location) if source else None
    return BadTable(f"{f'line {line}, ' if line else ''}{where or 'the table'}: {reason}", field=where)


_WORDS = {
    "missing": "is missing",
    "string_type": "must be a string: put it in quotation marks",
    "string_too_short": "is empty",
    "string_too_long": "has more than {max_length} characters",
    "string_pattern_mismatch": "is not a valid name: letters, digits and _, at most 63, no leading digit",
    "string_unicode": "contains a lone surrogate",
    "int_type": "is not an integer",
    "int_from_float": "is not an integer",
    "greater_than_equal": "does not fit into a signed 64-bit integer",
    "less_than": "does not fit into a signed 64-bit integer",
    "list_type": "is not a list: put it in [ ]",
    "tuple_type": "is not a range: write two integers in [ ], the lower bound first",
    "dict_type": "is not an object: put names and values in {{ }}",
    "model_type": "is not an object with names and values",
    "too_long": "has more than {max_length} items: {actual_length}",
    "too_short": "has {actual_length} items: at least {min_length}",
    "literal_error": "must be {expected}",
}
"""pydantic error type -> message."""


def refusal(
    error: ValidationError, source: str, known_at: Callable[[Sequence[int | str]], type[BaseModel]]
) -> BadTable:
    """Return the error for the first fault, unknown keys first: one may be the misspelling of a missing key.

    known_at: returns the model whose keys are allowed at a location.
    """
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    if first["loc"][:1] == ("vars",) and isinstance(first["input"], list):  # report why it is no valid list
        first = next(one for one in reversed(error.errors()) if one["loc"][:2] == first["loc"][:2])
    location = [part for part in first["loc"] if part != "[key]" and not _UNION.match(str(part))]
    if first["type"] == "extra_forbidden":
        known = known_at(location)
        meant = get_close_matches(str(location[-1]), known.model_fields, 1)
        words = f"did you mean {meant[0]!r}?" if meant else f"the keys are {', '.join(known.model_fields)}"
        return bad(location, f"is not a known key: {words}", source)
    if location[:1] == ["vars"] and len(location) == 2 and first["type"] in {"int_type", "int_from_float"}:
        return bad(location, "is neither a 64-bit integer nor a list of them", source)
    words = _WORDS.get(first["type"], first["msg"])
    return bad(location, words.format(**first.get("ctx", {})) if first["type"] in _WORDS else words, source)


_UNION = re.compile(r"constrained-int|list\[constrained-int\]")
