"""Changes to a scenario, by the paths that error messages use: {"wait.design": "page_wait", "workload.pages": 8}."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, JsonValue, ValidationError

from app.refusals import Refusal, shown
from app.wording import nearest, refusal_of_model
from engine.designs import AXES
from engine.scenario import Scenario
from engine.scenarios import shipped

PATH = re.compile(r"[a-z_]\w*(?:\.[a-z_]\w*|\.\d{1,5}|\[\d{1,5}\])*", re.ASCII)
Changes = Annotated[dict[Annotated[str, Field(min_length=1, max_length=200)], JsonValue], Field(max_length=50)]


def preset_named(name: str, known: Mapping[str, Any] | None = None) -> Scenario:
    """Return a preset. known: the names to suggest. Raises Refusal for an unknown one."""
    if name not in shipped():
        detail = f"unknown preset {shown(name)}{nearest(name, known or shipped())}"
        raise Refusal(422, "no_preset", detail, field="preset")
    return shipped()[name]


def changed(scenario: Scenario, changes: Mapping[str, Any]) -> Scenario:
    """Return a scenario with other values in some fields. Options that a newly chosen design does not have are dropped.

    Raises Refusal for a path that leads nowhere, and for a value that does not fit.
    """
    if not changes:
        return scenario
    data = copy.deepcopy(scenario.model_dump(exclude_unset=True))
    for axis, designs in AXES.items():
        card = designs.get(str(changes.get(f"{axis}.design")))
        if card is not None and isinstance(options := data.get(axis), dict):
            data[axis] = {name: value for name, value in options.items() if name in card.options.model_fields}
    for path, value in changes.items():
        _put(data, path, value)
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise refusal_of_model(error, Scenario) from None


def _put(data: dict[str, Any], path: str, value: Any) -> None:
    """Set the field at a path; objects on the way that are not there are created."""
    if not PATH.fullmatch(path):
        raise _nowhere(path, "write it as wait.design or workload.groups[0].tasks")
    *way, last = (int(step) if step.isdigit() else step for step in re.findall(r"\w+", path))
    node: Any = data
    for step in way:
        node = (
            node.setdefault(step, {}) if isinstance(node, dict) and isinstance(step, str) else _item(node, step, path)
        )
    if isinstance(node, dict) and isinstance(last, str):
        node[last] = value
    else:
        _item(node, last, path)
        node[last] = value


def _item(node: Any, step: int | str, path: str) -> Any:
    """Return an item of a list on the way."""
    if not isinstance(node, list):
        raise _nowhere(path, f"{step} is not in an object" if isinstance(step, str) else f"{step} is not in a list")
    if not isinstance(step, int) or step >= len(node):
        raise _nowhere(path, f"the list there has {len(node)} items, numbered from 0")
    return node[step]


def _nowhere(path: str, why: str) -> Refusal:
    return Refusal(422, "no_field", f"set names {shown(path)}, which is no field of the scenario: {why}", field="set")
