"""The stepper: a child of the server that has the engine, and answers questions about states. `python -m app.stepper`

JSON lines, one answer for each question; it ends when its input does:

    {"id": 1, "do": "at", "subject": {...}, "word": "a3.b"}     -> {"id": 1, "told": {"values": ..., "enabled": ...}}
    {"id": 2, "do": "check", "subject": {...}}                  -> {"id": 2, "told": {}}
    {"id": 3, "do": "export", "subject": {...}, "form": "pml"}  -> {"id": 3, "told": {"text": ...}}

What the asker can mend comes back as {"id": 1, "refused": {"status", "code", "field", "detail"}}.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

from engine.errors import AskedWrongly
from engine.explore import byhand, promela
from engine.explore.explorer import Explorer
from engine.explore.table import checked

log = logging.getLogger("folioscope.stepper")

NICE = 5
"""The server goes first."""


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one question."""
    table = checked(asked["subject"])
    if asked["do"] == "at":
        return byhand.at(table, asked["word"])
    explorer = Explorer(table)  # refuses what has no end
    return {"text": promela.written(explorer.table, explorer.spans)} if asked["do"] == "export" else {}


def main() -> None:
    """Answer until the input ends."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    os.nice(NICE)
    for line in sys.stdin:
        asked = json.loads(line)
        told: dict[str, Any]
        try:
            told = {"told": answer(asked)}
        except AskedWrongly as error:
            refused = {"status": error.status, "code": error.code, "field": error.field, "detail": str(error)}
            told = {"refused": refused}
        except Exception:
            log.exception("a question about %s could not be answered", asked["do"])
            told = {"failed": True}
        print(json.dumps({"id": asked["id"], **told}), flush=True)


if __name__ == "__main__":
    main()
