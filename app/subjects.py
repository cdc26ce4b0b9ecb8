"""Subjects of explorations: parsed from JSON or TOML, and validated without the engine before they are queued."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from app.changes import changed, preset_named
from app.refusals import Refusal, shown
from app.strict import parse_json
from app.wording import path_of, refusal_of_model
from engine.errors import UserError
from engine.explore.small import check_small
from engine.explore.tables import examples
from engine.explore.tables import table as tables
from engine.explore.tables.checking import checked
from engine.explore.tables.lines import line_of
from engine.explore.tables.table import Table, TableSpec
from engine.formats import upgraded_scenario
from engine.scenario import FORMAT as SCENARIO
from engine.scenario import Scenario
from engine.scenarios import read_toml, shipped
from engine.text import unseen
from engine.workloads import Tasks

Asked = TypeVar("Asked", bound=BaseModel)

TEXT_MAX = 1 << 18
"""Max. characters of a subject as text."""
FORMATS = (tables.FORMAT, SCENARIO)
DOTTED = re.compile(r"""(?:(?:[\w-]{1,80}|"[^"\n]{0,80}"|'[^'\n]{0,80}')[ \t]*\.[ \t]*){16}""")
"""Deeply dotted keys: parsing them takes quadratic time, and no valid subject has them."""

NAMES = ("name", "start", "at", "to")
"""Fields of a table that are one line."""
UNION = re.compile(r"\.(?:constrained-int|list\[constrained-int\])")
"""Names that pydantic gives to the two forms of a variable's value."""


class Subject(NamedTuple):
    """A validated subject. data: its JSON data, without defaults; what: the engine's object."""

    kind: Literal["table", "scenario"]
    name: str
    why: str
    data: dict[str, Any]
    what: Table | Scenario

    @property
    def json(self) -> str:
        """The subject as JSON text, keys in their given order."""
        return json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))

    @property
    def sha256(self) -> str:
        """The digest of the subject, independent of key order."""
        return digest(self.data)


def digest(value: Any) -> str:
    """Return the SHA-256 of a value as canonical JSON."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_text(text: str, field: str = "table") -> Subject:
    """Parse a subject from TOML or JSON text (JSON starts with a brace); field: its name in error messages.

    Raises Refusal or UserError, with the lines if known.
    """
    return read_subject(parse_text(text, field, "a table or a scenario"), text)


def read_scenario_text(text: str) -> Scenario:
    """Parse a scenario from TOML or JSON text. Raises Refusal or UserError, with the lines if known."""
    data = parse_text(text, "the scenario", "a scenario")
    if not isinstance(data, dict):
        raise Refusal(422, "wrong_type", "the scenario must be an object", field="scenario")
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise refusal_of_model(error, Scenario, text) from None


def parse_text(text: str, field: str, wanted: str) -> Any:
    """Return the data of a text in TOML or JSON. field: its name, wanted: what it should contain, for messages."""
    if len(text) > TEXT_MAX:
        detail = f"{field} has {len(text)} characters: the maximum is {TEXT_MAX}"
        raise Refusal(422, "too_long", detail, field=field, limit=TEXT_MAX)
    if not text.strip():
        raise Refusal(422, "too_short", f"{field} is empty: give {wanted} as TOML or JSON", field=field)
    if text.lstrip()[:1] == "{":
        name = field if field.startswith("the ") else f"the {field}"
        return parse_json(text.encode("utf-8", "surrogatepass"), name)
    if deep := DOTTED.search(text):
        line = text.count("\n", 0, deep.start()) + 1
        raise Refusal(422, "too_deep", f"line {line} has a key of more than 15 parts: the maximum is 15", field=field)
    return read_toml(text)


def read_subject(data: Any, source: str = "") -> Subject:
    """Validate a subject given as data; source: its text, for line numbers."""
    if isinstance(data, dict):
        data = upgraded_scenario(data)
    form = data.get("format") if isinstance(data, Mapping) else None
    if form == tables.FORMAT:
        return _table(data, source)
    if form == SCENARIO or (form is None and isinstance(data, Mapping) and "workload" in data):
        return scenario_subject(_valid(Scenario, data, source))
    words = f"format is {shown(form)}" if form is not None else "format is missing"
    raise Refusal(422, "unknown_value", f"{words}: it must be {' or '.join(FORMATS)}", field="format")


def scenario_subject(scenario: Scenario) -> Subject:
    """Return a scenario as a subject, without its schedule. Raises UserError if it is not small."""
    check_small(scenario)
    assert isinstance(scenario.workload, Tasks), "a recording is never small"
    data = scenario.model_dump(exclude_unset=True) | {"format": SCENARIO}
    data.pop("schedule", None)
    return Subject("scenario", scenario.name, scenario.story, data, scenario.model_copy(update={"schedule": None}))


@cache
def shipped_tables() -> dict[str, str]:
    """Return the text of the tables that ship with the server, by name."""
    folder = Path(examples.__file__).parent
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.toml"))}


@cache
def small_presets() -> dict[str, Scenario]:
    """Return the presets that are small enough to explore."""
    found = {}
    for name, scenario in shipped().items():
        with contextlib.suppress(UserError):
            check_small(scenario)
            found[name] = scenario
    return found


def read_preset(name: str, changes: Mapping[str, Any]) -> Subject:
    """Return a shipped table, or a small preset with some fields changed. Raises Refusal or UserError."""
    if name in shipped_tables():
        if changes:
            raise Refusal(422, "no_field", f"{name} is a table: set changes fields of a scenario", field="set")
        return read_text(shipped_tables()[name])
    return scenario_subject(changed(preset_named(name, {**shipped_tables(), **small_presets()}), changes))


def _table(data: Any, source: str) -> Subject:
    table = _valid(TableSpec, data, source)
    values = table.model_dump(exclude_unset=True)
    _refuse_unseen(values, source)
    return Subject("table", table.name, table.why, values, checked(table, source))


def _valid(model: type[Asked], data: Any, source: str) -> Asked:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _at_line(error, model, source) from None


def _at_line(error: ValidationError, model: type[BaseModel], source: str) -> Refusal:
    """Convert a validation error of a subject, with the lines of its text if known."""
    refusal = refusal_of_model(error, model, source)
    refusal.field, refusal.detail = UNION.sub("", refusal.field), UNION.sub("", str(refusal.detail))
    for problem in refusal.errors or []:
        problem.field, problem.detail = UNION.sub("", problem.field), UNION.sub("", problem.detail)
    return refusal


def _refuse_unseen(data: Any, source: str) -> None:
    """Reject texts with invisible characters, wherever they stand in a table's data."""
    waiting: list[tuple[Any, tuple[str | int, ...]]] = [(data, ())]
    while waiting:
        node, place = waiting.pop()
        if isinstance(node, dict):
            waiting += [(inner, (*place, name)) for name, inner in node.items()]
        elif isinstance(node, list | tuple):
            waiting += [(inner, (*place, number)) for number, inner in enumerate(node)]
        elif isinstance(node, str) and (char := unseen(node, "" if place[-1] in NAMES else "\n\t")):
            field = path_of(place, None)
            at = f"line {line}, " if source and (line := line_of(source, place)) else ""
            detail = f"{at}{field} contains the character {char}: use letters, digits, punctuation and spaces"
            raise Refusal(422, "not_text", detail, field=field)
