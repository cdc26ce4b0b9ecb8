"""Refusal: an answer other than 2xx, raised anywhere below the guard; and how it may quote what was sent.

app.wording makes refusals out of pydantic's errors, app.problems makes responses out of refusals.
"""

from __future__ import annotations

import json
import unicodedata

from pydantic import BaseModel
from starlette.exceptions import HTTPException

SHOWN = 80
"""The most characters of foreign text that an answer quotes."""


class FieldProblem(BaseModel):
    """One of several faults of a request."""

    field: str
    code: str
    detail: str


class Refusal(HTTPException):
    """An answer other than 2xx, raised anywhere below the guard; becomes a Problem."""

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
    """Return a foreign value as one line of at most SHOWN characters, without control and format characters."""
    if isinstance(value, str):
        return f"'{visible(value, SHOWN)}'"
    if value is None or isinstance(value, bool | float):
        return json.dumps(value)
    if isinstance(value, int):
        # Turning thousands of digits into text takes time, and Python refuses it.
        return str(value) if value.bit_length() <= 200 else "a number of more than 60 digits"
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else "a value"


def visible(text: str, most: int) -> str:
    """Return text cut to about `most` characters; what cannot be seen or not be sent becomes its number."""
    cut = text if len(text) <= most else text[: most - 3] + "..."
    return "".join(f"\\u{ord(char):04x}" if unicodedata.category(char)[0] == "C" else char for char in cut)
