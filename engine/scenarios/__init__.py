"""The scenarios that ship with the project: one TOML file each, named after itself, with the story it tells."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.errors import BadScenario
from engine.scenario import Scenario

FOLDER = Path(__file__).parent


def read_toml(text: str) -> dict[str, Any]:
    """Return the value of a TOML text. Raises BadScenario with line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadScenario(f"this is not TOML: {str(error)[:200]}", code="not_toml") from None
    except RecursionError:
        raise BadScenario("this TOML nests brackets too deep", code="too_deep") from None
    except ValueError:  # Python refuses to convert an integer of thousands of digits
        raise BadScenario("this TOML has a number with too many digits", code="too_large") from None


def shipped_text(name: str) -> str:
    """Return the TOML text of a shipped scenario."""
    return (FOLDER / f"{name}.toml").read_text("utf-8")


@cache
def shipped() -> MappingProxyType[str, Scenario]:
    """Return the shipped scenarios by name, the demo first."""
    names = sorted((path.stem for path in FOLDER.glob("*.toml")), key=lambda name: (not name.startswith("demo"), name))
    values = {name: read_toml(shipped_text(name)) for name in names}
    return MappingProxyType({name: Scenario.model_validate(value) for name, value in values.items()})
