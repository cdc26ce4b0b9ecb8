"""What is wrong with a table, in one line: where, on which line, why, and what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from engine.errors import UserError
from engine.explore.tables.lines import line_of


class BadTable(UserError):
    """The table cannot be explored; the text names the line where it is known."""


def _path(location: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def parts_of(where: str) -> list[int | str]:
    """Return the keys and places that a path like procs[0].name is made of."""
    return [int(part[1:-1]) if part[0] == "[" else part for part in re.findall(r"\[\d+\]|[^.\[\]]+", where)]


def bad(location: Sequence[int | str], reason: str, source: str) -> BadTable:
    """Return the refusal of what stands at a place, with its line where there is a text that it came from."""
    where, line = _path(location), line_of(source, location) if source else None
    return BadTable(f"{f'line {line}, ' if line else ''}{where or 'the table'}: {reason}", field=where)


_WORDS = {
    "missing": "is missing",
    "string_type": "is no text: put it in quotation marks",
    "string_too_short": "is empty",
    "string_too_long": "has more than {max_length} characters",
    "string_pattern_mismatch": "is no name: letters, digits and _, at most 63, and no digit first",
    "string_unicode": "holds half a character",
    "int_type": "is no whole number",
    "int_from_float": "is no whole number",
    "greater_than_equal": "does not fit into 64 bits with a sign",
    "less_than": "does not fit into 64 bits with a sign",
    "list_type": "is no list: put it in [ ]",
    "tuple_type": "is no range: two whole numbers in [ ], the least and the greatest",
    "dict_type": "holds no names: put them and their values in {{ }}",
    "model_type": "is no object with names and values",
    "too_long": "has more than {max_length} items: {actual_length}",
    "too_short": "has {actual_length} items: at least {min_length}",
    "literal_error": "must be {expected}",
}
"""Type of pydantic's error -> what it says here."""


def refusal(
    error: ValidationError, source: str, known_at: Callable[[Sequence[int | str]], type[BaseModel]]
) -> BadTable:
    """Return the first fault in plain words: a key that is not known first, it may be another that is then missing.

    known_at: the model whose keys may stand at a place.
    """
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    if first["loc"][:1] == ("vars",) and isinstance(first["input"], list):  # as a number it is wrong anyway
        first = next(one for one in reversed(error.errors()) if one["loc"][:2] == first["loc"][:2])
    location = [part for part in first["loc"] if part != "[key]" and not _UNION.match(str(part))]
    if first["type"] == "extra_forbidden":
        known = known_at(location)
        meant = get_close_matches(str(location[-1]), known.model_fields, 1)
        words = f"did you mean {meant[0]!r}?" if meant else f"there are {', '.join(known.model_fields)}"
        return bad(location, f"is not known here: {words}", source)
    if location[:1] == ["vars"] and len(location) == 2 and first["type"] in {"int_type", "int_from_float"}:
        return bad(location, "is no whole number of 64 bits, and no list of such", source)
    words = _WORDS.get(first["type"], first["msg"])
    return bad(location, words.format(**first.get("ctx", {})) if first["type"] in _WORDS else words, source)


_UNION = re.compile(r"constrained-int|list\[constrained-int\]")
