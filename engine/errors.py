"""The exceptions of this project.

    FolioscopeError
    ├── BadDesign               a design's folder is incomplete: names the file and what is missing, at start
    ├── BadLayout               an event kind's words have no layout, or a wrong one: names the kind, at start
    ├── UserError               the user can fix it: names the field, the limit and the remedy
    │   ├── BadScenario
    │   └── BadRecording        a recording that cannot be read; carries the HTTP status
    └── Damaged                 stored data does not match its checksum

A finding (a broken invariant, a race) is a result, not an exception. A bug in this project is an AssertionError, never
caught below the runner.
"""

from __future__ import annotations


class FolioscopeError(Exception):
    """Base class of the errors that this project raises on purpose."""


class UserError(FolioscopeError):
    """The request cannot be carried out; code is stable, field names the input, the text the limit and the remedy."""

    def __init__(self, text: str, *, code: str = "invalid", field: str = "", status: int = 422) -> None:
        super().__init__(text)
        self.code, self.field, self.status = code, field, status


class BadScenario(UserError):
    """The scenario cannot be run."""


class BadRecording(UserError):
    """The recording cannot be read."""


class BadDesign(FolioscopeError):
    """A design cannot be used: its folder is incomplete, or its name is taken."""


class BadLayout(FolioscopeError):
    """A layout of an event's words is missing or contradicts itself. The text is one line that names it."""


class Damaged(FolioscopeError):
    """A stored chunk, keyframe or recording does not match its checksum."""
