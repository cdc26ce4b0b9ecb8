"""Strict parsing of JSON bodies and query parameters, where the framework is lenient.

Python's json accepts NaN and 1e999, keeps the last of two equal keys and fails on deep nesting with a traceback;
FastAPI uses the last of a repeated parameter and ignores unknown ones. Here each of these is an error.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from app.refusals import Refusal, shown, visible
from app.wording import nearest

DEPTH = 32
"""Max. nesting depth of a JSON body; a scenario needs 8."""
DIGITS = 20
"""Max. digits of an integer in a JSON body: 2^63 has 19."""
PARAMETERS = 100
LAST = 2**53
"""The largest integer that JavaScript represents exactly: no number of this API is larger."""


class Fault(NamedTuple):
    """Placeholder for an invalid value, so that its place can be reported after parsing."""

    code: str
    text: str
    key: str = ""


class _Duplicate(dict[str, Any]):
    """An object with a duplicate key."""

    fault: Fault


def parse_json(body: bytes, what: str = "the body") -> Any:
    """Return the value of a JSON text in UTF-8; what: the name of the text in messages.

    Raises Refusal: 400 for invalid JSON, 422 for a value that no field can hold.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(400, "not_utf8", f"{what} is not valid UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise Refusal(400, "not_utf8", f"{what} starts with a byte order mark: send UTF-8 without it")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_real, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Refusal(400, "not_json", f"{what} is not valid JSON: {error.msg.lower()} at {where}") from None
    except RecursionError:
        raise _too_deep(400, "", what) from None
    _refuse_faults(value, what)
    return value


def _constant(text: str) -> Fault:
    return Fault("not_finite", f"is {text}: it must be a finite number")


def _real(text: str) -> float | Fault:
    number = float(text)
    return number if math.isfinite(number) else Fault("not_finite", f"is {shown(text)}: it must be a finite number")


def _integer(text: str) -> int | Fault:
    digits = len(text.lstrip("-"))
    return int(text) if digits <= DIGITS else Fault("too_large", f"has {digits} digits: the maximum is {DIGITS}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    double = _Duplicate(found)
    double.fault = Fault("duplicate_key", "appears twice: remove one", twice)
    return double


def _too_deep(status: int, field: str, what: str) -> Refusal:
    detail = f"{what} is nested too deeply: at most {DEPTH} levels"
    return Refusal(status, "too_deep", detail, field=field, limit=DEPTH)


def _refuse_faults(value: Any, what: str) -> None:
    """Raise the first fault with its place; visits each object and list once."""
    waiting: list[tuple[Any, str, int]] = [(value, "", 1)]
    while waiting:
        node, place, depth = waiting.pop()
        if isinstance(node, _Duplicate):
            _refuse(node.fault, place, what)
        elif isinstance(node, Fault):
            _refuse(node, place, what)
        elif depth > DEPTH:
            raise _too_deep(422, visible(place, 200), what)
        if isinstance(node, dict):
            waiting += [(inner, _under(place, key), depth + 1) for key, inner in node.items() if _nests(inner)]
        elif isinstance(node, list):
            waiting += [(inner, f"{place}[{number}]", depth + 1) for number, inner in enumerate(node) if _nests(inner)]


def _nests(value: Any) -> bool:
    return isinstance(value, dict | list | Fault)


def _under(place: str, key: str) -> str:
    name = visible(key, 40)
    return f"{place}.{name}" if place else name


def _refuse(fault: Fault, place: str, what: str) -> None:
    field = visible(_under(place, fault.key) if fault.key else place, 200)
    raise Refusal(422, fault.code, f"{field or what} {fault.text}", field=field)


class StrictRequest(Request):
    """A request with a strictly parsed JSON body; the guard limits its size and time."""

    async def body(self) -> bytes:
        body = await super().body()
        media_type, _, parameters = self.headers.get("content-type", "").partition(";")
        charset = parameters.strip().lower().replace('"', "")
        if body and (media_type.strip().lower() != "application/json" or charset not in {"", "charset=utf-8"}):
            raise Refusal(415, "not_json", "the body must be application/json in UTF-8", field="Content-Type")
        if body and self.headers.get("content-encoding", "identity") != "identity":
            raise Refusal(415, "compressed", "the body must not be compressed", headers={"Accept-Encoding": "identity"})
        return body

    async def json(self) -> Any:
        return parse_json(await self.body())


class StrictRoute(APIRoute):
    """A route with a strictly parsed JSON body that rejects unknown query parameters."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        reads_json = self.body_field is not None
        many = _known_parameters(self.dependant)

        async def strict(request: Request) -> Response:
            refuse_strange_parameters(request, many)
            return await handle(StrictRequest(request.scope, request.receive) if reads_json else request)

        return strict


def _known_parameters(dependant: Dependant) -> dict[str, bool]:
    """Return the query parameters of a handler and its dependencies, and whether each may be repeated."""
    known = {parameter.alias: _is_list(parameter.field_info.annotation) for parameter in dependant.query_params}
    for needed in dependant.dependencies:
        known |= _known_parameters(needed)
    return known


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(get_origin(part) is list for part in get_args(annotation))


def refuse_strange_parameters(request: Request, many: dict[str, bool]) -> None:
    """Reject an unknown query parameter, and a repeated one that takes a single value.

    many: known parameter -> whether it may be repeated.
    """
    pairs = request.query_params.multi_items()
    if len(pairs) > PARAMETERS:
        detail = f"the query has {len(pairs)} parameters: the maximum is {PARAMETERS}"
        raise Refusal(422, "too_long", detail, field="query", limit=PARAMETERS)
    seen: set[str] = set()
    for name, _ in pairs:
        if name not in many:
            detail = f"unknown query parameter {shown(name)}{nearest(name, many)}"
            raise Refusal(422, "unknown_parameter", detail, field=visible(name, 40))
        if name in seen and not many[name]:
            raise Refusal(422, "repeated", f"the query parameter {name} appears twice: give it once", field=name)
        seen.add(name)


def _digits(value: object) -> object:
    """Accept decimal digits only: pydantic also accepts 7.0, 1_000 and surrounding blanks."""
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,20}", value, re.ASCII):
        raise PydanticCustomError("whole", "must be an integer in decimal digits")
    return value


Whole = Annotated[int, BeforeValidator(_digits)]
"""An integer in a path or a query, in decimal digits."""
