"""TOML files of the engine: litmus tests, layouts of struct page, what design pages tell."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path, model: type[Model]) -> Model:
    """Return the file as a model. Raises ValueError, in one line that names the file and what is wrong."""
    return parse_toml(path.read_text("utf-8"), model, str(path))


def parse_toml(text: str, model: type[Model], name: str) -> Model:
    """Return a file's text as a model. Raises ValueError, in one line with the file's name and what is wrong."""
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as problem:
        raise ValueError(f"{name}: {problem}") from None
    except ValidationError as problem:
        first = problem.errors()[0]
        raise ValueError(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
