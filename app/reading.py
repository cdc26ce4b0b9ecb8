"""The import process: store one recording from standard input, and print its id or the error.

python -m app.reading --name NAME < file
"""

from __future__ import annotations

import argparse
import json
import sys

from app.settings import load_settings
from app.store import open_store
from engine.errors import UserError
from engine.recordings import read_file


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.reading")
    parser.add_argument("--name", required=True)
    name = parser.parse_args().name
    store = open_store(load_settings())  # the server has it open, so a failure here is an internal error
    try:
        row = store.add_recording(read_file(sys.stdin.buffer), name)
    except UserError as error:
        result = {"status": error.status, "code": error.code, "detail": str(error), "field": error.field}
    else:
        result = {"id": row.id}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
