"""Compiled code on disk: processes that compile at the same time never load each other's code for their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SAVING = """
import json, sys
from engine.world.jit import CACHE, EntryFile
CACHE.mkdir(parents=True, exist_ok=True)
file, own = EntryFile(str(CACHE), "one-function", ""), sys.argv[1]
sys.stdin.readline()
for number in range(300):
    file.save((own, number), [own, number])
"""
LOADING = """
import json, sys
from engine.world.jit import CACHE, EntryFile
file = EntryFile(str(CACHE), "one-function", "")
json.dump([[file.load((own, number)) for number in range(300)] for own in "ab"], sys.stdout)
"""


def test_given_two_processes_that_save_code_of_one_function_then_each_signature_loads_its_own(tmp_path: Path) -> None:
    environment = {**os.environ, "FOLIOSCOPE_CACHE": str(tmp_path)}
    saving = [
        subprocess.Popen([sys.executable, "-c", SAVING, own], stdin=subprocess.PIPE, env=environment, text=True)
        for own in "ab"
    ]
    for process in saving:  # both have loaded the engine when the first line arrives
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.close()
    assert [process.wait() for process in saving] == [0, 0]
    loaded = subprocess.run(
        [sys.executable, "-c", LOADING], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(loaded.stdout) == [[[own, number] for number in range(300)] for own in "ab"]
