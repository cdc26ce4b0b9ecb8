"""Input of the command line: parsed as strictly as requests, with the same error messages."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from app.changes import changed
from app.refusals import Refusal, shown
from app.strict import parse_json
from app.tags import read_tags
from app.wording import refusal_of_model
from engine.errors import BadScenario, UserError
from engine.scenario import Scenario
from engine.scenarios import read_toml, shipped

SCENARIO_BYTES_MAX = 1 << 20
Result = TypeVar("Result")


def read_scenario(given: str) -> Scenario:
    """Load a preset, or a scenario from a file: TOML by its suffix, otherwise JSON; - is standard input.

    Raises UserError with the invalid field, or with line and column.
    """
    if given in shipped():
        return shipped()[given]
    path = Path(given)
    if given != "-" and not path.is_file():
        text = f"no preset or file {given[:80]!r}; known presets: {', '.join(shipped())}"
        raise BadScenario(text, code="no_scenario", field="scenario", status=404)
    body = sys.stdin.buffer.read(SCENARIO_BYTES_MAX + 1) if given == "-" else _head(path)
    if len(body) > SCENARIO_BYTES_MAX:
        text = f"the scenario exceeds {SCENARIO_BYTES_MAX} bytes: shorten it"
        raise BadScenario(text, code="body_too_large", field="scenario", status=413)
    return _scenario(body, path.suffix == ".toml")


def with_changes(scenario: Scenario, given: Sequence[str]) -> Scenario:
    """Change fields of a scenario: wait.design=page_wait; a value that is no JSON is text. Raises UserError."""
    changes: dict[str, Any] = {}
    for text in given:
        path, sign, value = text.partition("=")
        if not sign:
            raise UserError(f"--set {shown(text)} has no value: write wait.design=page_wait", code="usage", field="set")
        try:
            changes[path.strip()] = json.loads(value)
        except ValueError:
            changes[path.strip()] = value
    return _in_one_line(lambda: changed(scenario, changes))


def read_run_tags(given: list[str]) -> list[str]:
    """Return tags of a run. Raises UserError."""
    return _in_one_line(lambda: read_tags(given))


def _in_one_line(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except Refusal as refusal:
        problem = refusal
    raise UserError(str(problem.detail), code=problem.code, field=problem.field, status=problem.status_code)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SCENARIO_BYTES_MAX + 1)


def _scenario(body: bytes, toml: bool) -> Scenario:
    """Parse JSON as strictly as the server, or TOML, with the server's error messages."""
    try:
        source = body.decode()
        return Scenario.model_validate(read_toml(source) if toml else parse_json(body, "the scenario"))
    except UnicodeDecodeError as error:
        raise BadScenario(f"the scenario is not valid UTF-8 at byte {error.start}", code="not_utf8") from None
    except Refusal as refusal:
        problem = refusal
    except ValidationError as error:
        problem = refusal_of_model(error, Scenario, source)
    raise BadScenario(str(problem.detail), code=problem.code, field=problem.field, status=problem.status_code)
