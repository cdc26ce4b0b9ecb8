"""The scenarios that ship with the project: one TOML file each, named after itself, with the story it tells."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from engine.errors import BadScenario
from engine.scenario import Scenario

FOLDER = Path(__file__).parent


def read_toml(text: str) -> Scenario:
    """Return the scenario of a TOML text. Raises BadScenario with line and column, or with the field that is wrong."""
    try:
        value = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadScenario(f"this is not TOML: {str(error)[:200]}", code="not_toml") from None
    try:
        return Scenario.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(step)[:40] for step in first["loc"])
        raise BadScenario(f"{field}: {first['msg']}", code="invalid", field=field) from None


@cache
def shipped() -> MappingProxyType[str, Scenario]:
    """Return the shipped scenarios by name, the demo first."""
    names = sorted((path.stem for path in FOLDER.glob("*.toml")), key=lambda name: (not name.startswith("demo"), name))
    return MappingProxyType({name: read_toml((FOLDER / f"{name}.toml").read_text("utf-8")) for name in names})
