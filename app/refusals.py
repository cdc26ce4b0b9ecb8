"""Refusal: an error response, raised anywhere below the guard; and how messages quote user input.

app.wording converts pydantic's errors to refusals; app.problems converts refusals to responses.
"""

from __future__ import annotations

import json
import unicodedata

from pydantic import BaseModel
from starlette.exceptions import HTTPException

from engine.text import UNSEEN

SHOWN = 80
"""Max. characters of user input quoted in a response."""


class FieldProblem(BaseModel):
    """One of several faults of a request."""

    field: str
    code: str
    detail: str
    line: int | None = None
    """Where the field stands in a text in TOML or JSON."""


class Refusal(HTTPException):
    """An error response, raised anywhere below the guard; becomes a Problem."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str = "",
        limit: int | float | str | None = None,
        errors: list[FieldProblem] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.code, self.field, self.limit, self.errors = code, field, limit, errors


def shown(value: object) -> str:
    """Return a user's value as one line of at most SHOWN characters, without control and format characters."""
    if isinstance(value, str):
        return f"'{visible(value, SHOWN)}'"
    if value is None or isinstance(value, bool | float):
        return json.dumps(value)
    if isinstance(value, int):
        # Converting thousands of digits is slow, and Python refuses it.
        return str(value) if value.bit_length() <= 200 else "a number of more than 60 digits"
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else "a value"


def visible(text: str, most: int) -> str:
    """Return at most `most` characters of a text, invisible ones as \\uXXXX escapes; a longer text ends with "..."."""
    parts, size = [], 0
    for char in text[: most + 1]:
        parts.append(f"\\u{ord(char):04x}" if unicodedata.category(char) in UNSEEN else char)
        size += len(parts[-1])
        if size > most:
            break
    else:
        return "".join(parts)
    while size > most - 3:
        size -= len(parts.pop())
    return "".join(parts) + "..."
