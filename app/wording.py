"""Convert pydantic's errors to messages: one sentence each, with field, limit and remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from app.refusals import FieldProblem, Refusal, shown, visible
from engine.designs import AXES
from engine.explore.tables.lines import lines_of, nearest_line

NUMBERED_MAX = 1 << 16
"""Max. characters of a text in which errors are given lines: finding them takes seconds in a text of megabytes."""
ERRORS_MAX = 10
"""Max. faults reported per request; a form may show each beside its field."""

# pydantic error type -> (our code, our message). Braces are filled from the error's context.
WORDS: dict[str, tuple[str, str]] = {
    "missing": ("missing", "is missing"),
    "extra_forbidden": ("unknown_key", "is not a known field"),
    "finite_number": ("not_finite", "must be a finite number"),
    "greater_than_equal": ("too_small", "is {value}: the minimum is {ge}"),
    "greater_than": ("too_small", "is {value}: it must be greater than {gt}"),
    "less_than_equal": ("too_large", "is {value}: the maximum is {le}"),
    "less_than": ("too_large", "is {value}: it must be less than {lt}"),
    "string_too_long": ("too_long", "is too long: at most {max_length} characters"),
    "string_too_short": ("too_short", "is too short: at least {min_length} characters"),
    "too_long": ("too_long", "has too many items: at most {max_length}"),
    "too_short": ("too_short", "has too few items: at least {min_length}"),
    "string_pattern_mismatch": ("bad_form", "is {value}, which does not match {pattern}"),
    "string_unicode": ("not_text", "contains a lone surrogate"),
    "string_type": ("wrong_type", "must be a string"),
    "int_type": ("wrong_type", "must be an integer, without decimal point or quotes"),
    "int_parsing": ("wrong_type", "must be an integer"),
    "int_from_float": ("wrong_type", "must be an integer"),
    "int_parsing_size": ("too_large", "has too many digits"),
    "float_type": ("wrong_type", "must be a number"),
    "float_parsing": ("wrong_type", "must be a number"),
    "bool_type": ("wrong_type", "must be true or false"),
    "bool_parsing": ("wrong_type", "must be true or false"),
    "list_type": ("wrong_type", "must be a list"),
    "dict_type": ("wrong_type", "must be an object"),
    "model_type": ("wrong_type", "must be an object"),
    "model_attributes_type": ("wrong_type", "must be an object"),
    "literal_error": ("unknown_value", "is {value}: it must be {expected}"),
    "enum": ("unknown_value", "is {value}: it must be {expected}"),
    "union_tag_invalid": ("unknown_value", "is '{tag}': it must be one of {expected_tags}"),
    "union_tag_not_found": ("missing", "is missing the field {discriminator}"),
    "value_error": ("invalid", "{error}"),
    "whole": ("wrong_type", "must be an integer in decimal digits"),
}
LIMITS = ("ge", "gt", "le", "lt", "max_length", "min_length")


def refusal_of_validation(request: Request, error: RequestValidationError) -> Refusal:
    """Return the refusal that lists every fault (at most ERRORS_MAX), the first in full.

    A path that does not match its pattern gives 404, like an unknown one that does.
    """
    faults = error.errors()
    if any(fault["loc"][0] == "path" for fault in faults):
        return Refusal(404, "not_found", "no such address")
    return _refusal(faults, body_model(request))


def refusal_of_model(error: ValidationError, model: type[BaseModel], source: str = "") -> Refusal:
    """Return the same for input from elsewhere (a scenario file). source: its text, for line numbers."""
    return _refusal([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()], model, source)


def _refusal(faults: Sequence[Mapping[str, Any]], model: type[BaseModel] | None, source: str = "") -> Refusal:
    # A misspelt key comes first: it is more helpful than the missing field that it causes.
    faults = sorted(faults, key=lambda fault: fault["type"] != "extra_forbidden")[:ERRORS_MAX]
    problems = [field_problem(fault, model) for fault in faults]
    if source and len(source) <= NUMBERED_MAX:
        known, places = lines_of(source), [untagged(fault["loc"][1:], model) for fault in faults]
        problems = [at_line(problem, nearest_line(known, at)) for problem, at in zip(problems, places, strict=True)]
    context = faults[0].get("ctx", {})
    limit = next((context[name] for name in LIMITS if name in context), None)
    first, errors = problems[0], problems if len(problems) > 1 else None
    return Refusal(422, first.code, first.detail, field=first.field, limit=limit, errors=errors)


def body_model(request: Request) -> type[BaseModel] | None:
    """Return the model of the request's JSON body, if the route has one."""
    field = getattr(request.scope.get("route"), "body_field", None)
    annotation = getattr(getattr(field, "field_info", None), "annotation", None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def field_problem(fault: Mapping[str, Any], model: type[BaseModel] | None) -> FieldProblem:
    """Convert one of pydantic's errors."""
    place = tuple(fault["loc"])
    field = path_of(place[1:], model)
    if fault["type"] == "union_tag_invalid":  # pydantic names the object; the error is in its tag
        name = str(fault["ctx"]["discriminator"]).strip("'")
        field = f"{field}.{name}" if field else name
    subject = field or ("the body" if place[0] == "body" else f"the {place[0]}")
    code, words = WORDS.get(fault["type"], ("invalid", ""))
    given = fault.get("input")
    context = {
        name: value if name == "error" else visible(str(value), 400) for name, value in fault.get("ctx", {}).items()
    }
    sentence = words.format(value=shown(given), **context) if words else f"is invalid: {fault['msg']}"
    if fault["type"] == "extra_forbidden" and len(place) > 2 and place[-2] in AXES.get(str(place[-3]), {}):
        sentence = f"is not an option of {place[-2]}"
    if fault["type"] == "extra_forbidden" and model is not None and place[0] == "body":
        sentence += nearest(str(place[-1]), names_at(model, place[1:-1]))
    elif fault["type"] in {"literal_error", "union_tag_invalid"}:
        wanted = str(fault.get("ctx", {}).get("expected", fault.get("ctx", {}).get("expected_tags", "")))
        value = given if fault["type"] == "literal_error" else fault.get("ctx", {}).get("tag")
        sentence += nearest(
            str(value), [word.strip(" '") for word in wanted.replace(" or ", ",").split(",")], or_list=False
        )
    join = ": " if fault["type"] == "value_error" else " "
    return FieldProblem(field=field, code=code, detail=visible(subject + join + sentence, 400))


def at_line(problem: FieldProblem, line: int | None) -> FieldProblem:
    """Return a problem with the line of its field, if that is known."""
    if line is None:
        return problem
    return problem.model_copy(update={"line": line, "detail": visible(f"line {line}, {problem.detail}", 400)})


def nearest(given: str, known: Iterable[str], *, or_list: bool = True) -> str:
    """Return "; did you mean 'x'?" if a known name is close, otherwise the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(given[:100], names, 1, 0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known names: {', '.join(names)}" if or_list and names else ""


def path_of(place: Iterable[object], model: type[BaseModel] | None) -> str:
    """Return a location as scenario.workload.groups[0].name, without pydantic's union tags."""
    text = ""
    for step in untagged(place, model):
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{visible(step, 40)}" if text else visible(step, 40)
    return text


def untagged(place: Iterable[object], model: type[BaseModel] | None) -> list[str | int]:
    """Return a location without pydantic's union tags."""
    found: list[str | int] = []
    kinds: list[Any] = [model]
    for step in place:
        is_tag, kinds = enter(kinds, step)
        if not is_tag:
            found.append(step if isinstance(step, int) else str(step))
    return found


def names_at(model: type[BaseModel], place: Iterable[object]) -> set[str]:
    """Return the field names allowed at a location of a model's JSON."""
    kinds: list[Any] = [model]
    for step in place:
        _, kinds = enter(kinds, step)
    return {name for kind in kinds for name in fields(kind)}


def enter(kinds: list[Any], step: object) -> tuple[bool, list[Any]]:
    """Return whether a step of a location is a union tag, and the types that can follow it.

    kinds: the types possible before the step; if several are models, a tag comes first and selects one.
    """
    if isinstance(step, int):
        return False, [item for kind in kinds for item in parts(kind) if item is not kind]
    models = [kind for kind in kinds if fields(kind)]
    if len(models) > 1 and (tagged := [kind for kind in models if step in tags(kind)]):
        return True, tagged
    return False, [inner for kind in models for inner in parts(fields(kind).get(str(step)))]


def fields(kind: Any) -> dict[str, Any]:
    """Return the annotations of a model's fields by name; {} for a type that is not a model."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    return {}


def tags(kind: Any) -> frozenset[str]:
    """Return the union tags of this model: the values of its Literal fields."""
    found: set[str] = set()
    for annotation in fields(kind).values():
        if get_origin(annotation) is Literal:
            found.update(map(str, get_args(annotation)))
    return frozenset(found)


def parts(annotation: Any) -> list[Any]:
    """Return the types within an annotation: union members, and a list together with its item types."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return parts(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [inner for member in get_args(annotation) for inner in parts(member)]
    if origin is list:
        return [annotation, *parts(get_args(annotation)[0])]
    return [annotation]
