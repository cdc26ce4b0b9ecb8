"""Subjects of explorations: parsed from JSON or TOML, and validated without the engine before they are queued."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from app.refusals import Refusal, shown
from app.strict import parse_json
from app.wording import refusal_of_model
from engine.explore.small import check_small
from engine.explore.tables import table as tables
from engine.explore.tables.checking import checked
from engine.explore.tables.lines import line_of
from engine.explore.tables.table import Table, TableSpec
from engine.formats import upgraded_scenario
from engine.scenario import FORMAT as SCENARIO
from engine.scenario import Scenario, Tasks
from engine.scenarios import read_toml

Asked = TypeVar("Asked", bound=BaseModel)

TEXT_MAX = 1 << 18
"""Max. characters of a subject as text."""
FORMATS = (tables.FORMAT, SCENARIO)
DOTTED = re.compile(r"""(?:(?:[\w-]{1,80}|"[^"\n]{0,80}"|'[^'\n]{0,80}')[ \t]*\.[ \t]*){16}""")
"""Deeply dotted keys: parsing them takes quadratic time, and no valid subject has them."""

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

    Raises Refusal or UserError, with the line if known.
    """
    if len(text) > TEXT_MAX:
        detail = f"{field} has {len(text)} characters: the maximum is {TEXT_MAX}"
        raise Refusal(422, "too_long", detail, field=field, limit=TEXT_MAX)
    if not text.strip():
        raise Refusal(422, "too_short", f"{field} is empty: give a table or a scenario as TOML or JSON", field=field)
    if text.lstrip()[:1] == "{":
        return read_subject(parse_json(text.encode("utf-8", "surrogatepass"), f"the {field}"), text)
    if deep := DOTTED.search(text):
        line = text.count("\n", 0, deep.start()) + 1
        raise Refusal(422, "too_deep", f"line {line} has a key of more than 15 parts: the maximum is 15", field=field)
    return read_subject(read_toml(text), text)


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


def _table(data: Any, source: str) -> Subject:
    table = _valid(TableSpec, data, source)
    _refuse_unseen(table)
    return Subject("table", table.name, table.why, table.model_dump(exclude_unset=True), checked(table, source))


def _valid(model: type[Asked], data: Any, source: str) -> Asked:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _at_line(error, model, source) from None


def _at_line(error: ValidationError, model: type[BaseModel], source: str) -> Refusal:
    """Convert a validation error of a subject, with the line of its text if known."""
    refusal = refusal_of_model(error, model)
    refusal.field = UNION.sub("", refusal.field)
    refusal.detail = UNION.sub("", str(refusal.detail))
    fault = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    if source and (at := line_of(source, fault["loc"])):
        refusal.detail = f"line {at}, {refusal.detail}"
    return refusal


def _refuse_unseen(table: TableSpec) -> None:
    """Reject names with invisible characters."""
    names = [("name", table.name), ("why", table.why.replace("\n", " "))]
    for number, process in enumerate(table.procs):
        names += [(f"procs[{number}].name", process.name), (f"procs[{number}].start", process.start)]
        names += [(f"procs[{number}].steps[{at}].at", step.at) for at, step in enumerate(process.steps)]
    for field, text in names:
        char = next((char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn"}), None)
        if char is not None:
            detail = f"{field} contains the character U+{ord(char):04X}: use letters, digits, punctuation and spaces"
            raise Refusal(422, "not_text", detail, field=field)
