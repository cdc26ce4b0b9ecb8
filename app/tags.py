"""Tags of runs: checked alike whether they come over REST, from a form or from the command line."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.wording import refusal_of_model
from engine.text import one_line

TAG_MAX, TAGS_MAX = 50, 10
Tag = Annotated[
    str,
    Field(min_length=1, max_length=TAG_MAX, pattern=r"^[^\x00-\x20\x7f,]+$"),
    AfterValidator(lambda text: one_line(text, TAG_MAX)),
]
Tags = Annotated[list[Tag], Field(max_length=TAGS_MAX)]


class _Tagged(BaseModel):
    model_config = ConfigDict(strict=True)
    tags: Tags


def read_tags(given: list[str]) -> list[str]:
    """Return tags without repetitions, in their order. Raises Refusal for one that a run cannot have."""
    try:
        return list(dict.fromkeys(_Tagged(tags=given).tags))
    except ValidationError as error:
        raise refusal_of_model(error, _Tagged) from None
