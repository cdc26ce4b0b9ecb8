"""The stepper: a child of the server that loads the engine and computes states. `python -m app.stepper`

JSON lines, one answer for each question; it ends when its input does:

    {"id": 1, "do": "at", "kind": "table", "subject": {...}, "word": "a3.b"}  ->  {"id": 1, "told": {"values": ...}}
    {"id": 2, "do": "check", "kind": ..., "subject": ...}                     ->  {"id": 2, "told": {}}
    {"id": 3, "do": "export", ..., "form": "dot", "word": "a3.b"}             ->  {"id": 3, "told": {"text": ...}}
    {"id": 4, "do": "story", ..., "word": "a3.b", "loop": ""}                 ->  {"id": 4, "told": {"steps": ...}}

kind is table or scenario. What an asker can mend comes back as refused: {status, code, field, detail}.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

from app.commands.exploring import promela_of, rendered, story_of, subject_of
from engine.errors import UserError
from engine.explore import byhand
from engine.explore.exports import EXPORTS
from engine.explore.search.explorer import Explorer
from engine.explore.search.subject import Subject, TableSubject
from engine.explore.tables.checking import checked
from engine.explore.tables.table import Table
from engine.scenario import Scenario

log = logging.getLogger("folioscope.stepper")

NICE = 5
"""The stepper yields the CPU to the server."""


FORMS = {"itf.json": "itf", "txt": "text"}
"""File suffix -> name of an export, where they differ."""


class Answers:
    """Answers requests one at a time; caches the last world, because the next request usually concerns it."""

    def __init__(self) -> None:
        self._last = ""
        self._subject: Subject | None = None

    def to(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one request. Raises UserError."""
        data = request["subject"]
        what = checked(data) if request["kind"] == "table" else Scenario.model_validate(data)
        if request["do"] == "export" and request["form"] == "pml":
            return {"text": promela_of(what)}
        subject = self._subject_of(what, json.dumps(data))
        if request["do"] == "check":
            Explorer(subject)  # rejects a subject with infinitely many states
            return {}
        if request["do"] == "at":
            return self._at(subject, request["word"])
        if request["do"] == "story":
            stem, loop = subject.read(request["word"]), request["loop"]
            moves = subject.read(".".join(filter(None, (request["word"], loop)))) if loop else stem
            return rendered(story_of(subject, moves[: len(stem)], moves[len(stem) :]))
        form = FORMS.get(request["form"], request["form"])
        return {"text": EXPORTS[form](story_of(subject, subject.read(request["word"])), request["word"])}

    def _subject_of(self, what: Table | Scenario, key: str) -> Subject:
        if self._subject is None or key != self._last:
            self._last, self._subject = key, subject_of(what)
        return self._subject

    def _at(self, subject: Subject, word: str) -> dict[str, Any]:
        if isinstance(subject, TableSubject):
            return byhand.at(subject.table, word)
        from engine.explore.worlds import byhand as worlds

        return worlds.at(subject, word)  # type: ignore[arg-type]


def main() -> None:
    """Answer requests until the input ends."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    os.nice(NICE)
    answers = Answers()
    for line in sys.stdin:
        request = json.loads(line)
        reply: dict[str, Any]
        try:
            reply = {"told": answers.to(request)}
        except UserError as error:
            refused = {"status": error.status, "code": error.code, "field": error.field, "detail": str(error)}
            reply = {"refused": refused}
        except Exception:
            log.exception("a request %s failed", request["do"])
            reply = {"failed": True}
        print(json.dumps({"id": request["id"], **reply}), flush=True)


if __name__ == "__main__":
    main()
