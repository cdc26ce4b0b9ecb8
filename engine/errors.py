"""The exceptions of this project.

    FolioscopeError
    ├── BadDesign               a design's folder lacks something: names the file and what is missing, at start
    ├── BadLayout               the words of a kind of event have no layout, or a wrong one: names the kind, at start
    ├── UserError            the user can mend it: names the field, the limit and the remedy
    │   ├── BadScenario
    │   └── BadRecording        a recording that cannot be read; carries the HTTP status that fits
    └── Damaged                 stored data does not match its checksum

A finding (a broken invariant, a race) is a result and no exception. A fault of ours is an AssertionError, never caught
below the runner.
"""

from __future__ import annotations


class FolioscopeError(Exception):
    """Every error that this project raises on purpose."""


class UserError(FolioscopeError):
    """What was asked cannot be done; code is stable, field says where, the text names the limit and the remedy."""

    def __init__(self, text: str, *, code: str = "invalid", field: str = "", status: int = 422) -> None:
        super().__init__(text)
        self.code, self.field, self.status = code, field, status


class BadScenario(UserError):
    """The scenario cannot be played."""


class BadRecording(UserError):
    """The recording cannot be read."""


class BadDesign(FolioscopeError):
    """A design cannot be used: its folder lacks something, or it is there twice."""


class BadLayout(FolioscopeError):
    """A layout of an event's words is missing or contradicts itself. The text is one line that names it."""


class Damaged(FolioscopeError):
    """A stored chunk, keyframe or recording does not match its checksum."""
