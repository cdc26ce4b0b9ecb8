"""Verdicts of the matrix that ship with a release, a file for each kernel profile; `make matrix` writes them.

A file holds the answer of each exploration by its digest (subject and settings), and which engine gave it. Another
engine may give another answer: readers compare the fingerprints, and say whose verdict they show.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from engine import VERSION
from engine.errors import Damaged
from engine.identity import engine_fingerprint

FOLDER = Path(__file__).parent
FORMAT = "verdicts/1"
KEPT = ("verdict", "error", "schedule", "shortest_error", "states", "edges", "broken", "witnessed", "liveness")
"""What is kept of an answer besides its bounds: what a verdict, its schedule and its bounds are read from."""
MEASURED = ("seconds", "memory_bytes")
"""Bounds that the machine decides; without them the same engine writes the same bytes."""


class Release(NamedTuple):
    """The shipped verdicts of a kernel profile. answers: by the digest of subject and settings."""

    kernel: str
    version: str
    fingerprint: str
    answers: dict[str, dict[str, Any]]

    @property
    def engine(self) -> str:
        """The engine that gave the answers, in words."""
        return f"{self.version} ({self.fingerprint})"

    @property
    def current(self) -> bool:
        """Whether the running engine gave the answers."""
        return self.fingerprint == engine_fingerprint()


def path_of(kernel: str) -> Path:
    """Return the path of a kernel profile's file, which need not exist."""
    return FOLDER / f"{kernel.rstrip('+')}.json.gz"


@cache
def release(kernel: str) -> Release | None:
    """Return the shipped verdicts of a kernel profile, None if there are none. Raises Damaged for a broken file."""
    path = path_of(kernel)
    if not path.is_file():
        return None
    try:
        value = json.loads(gzip.decompress(path.read_bytes()))
        if value["format"] != FORMAT or value["kernel"] != kernel:
            return None
        return Release(kernel, value["version"], value["fingerprint"], value["answers"])
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{path.name}: not a file of verdicts: {error}") from None


def write_release(kernel: str, answers: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write the verdicts of this engine for a kernel profile, and return the file. answers: digest -> answer."""
    value = {
        "format": FORMAT,
        "kernel": kernel,
        "version": VERSION,
        "fingerprint": engine_fingerprint(),
        "answers": {digest: _kept(answers[digest]) for digest in sorted(answers)},
    }
    path = path_of(kernel)
    draft = path.with_suffix(".draft")
    draft.write_bytes(gzip.compress(json.dumps(value, separators=(",", ":")).encode(), 9, mtime=0))
    draft.replace(path)
    release.cache_clear()
    return path


def _kept(answer: Mapping[str, Any]) -> dict[str, Any]:
    bounds = {name: value for name, value in answer["bounds"].items() if name not in MEASURED}
    return {name: answer[name] for name in KEPT} | {"bounds": bounds}
