"""Cut a part out of a recording with its truth, between two moments at which no task waits.

    python -m tests.engine.recordings.cut FOLDER/collide-6.1 10.4 10.6 engine/recordings/demo "a line about it"

FOLDER holds NAME.trace.txt.gz and NAME.truth.csv.gz; times are those of the recording, in seconds. Written are the
header, the line given, the lines between both times, and the rows of the wakes among them, numbered from 0. A moment at
which a task waits is refused: its wake-up would visit an entry that the cut does not have.
"""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Iterator
from pathlib import Path

LINE = re.compile(r"^\s*(?P<comm>.+)-(?P<pid>\d+)\s+\[\d+\] \S+\s+(?P<time>\d+\.\d{6}): (?P<event>\w+): (?P<rest>.*)$")


def waiting(lines: list[str]) -> Iterator[tuple[float, int, int]]:
    """Yield for each event its time, how many tasks wait after it, and how many walks have begun."""
    asleep: set[str] = set()
    walks = 0
    for line in lines:
        found = LINE.match(line)
        assert found, line
        pid, rest = found["pid"], found["rest"]
        if found["event"] == "qadd" and re.search(rf"\bwpid={pid}\b", rest):
            asleep.add(pid)
        elif found["event"] == "fin":
            asleep.discard(pid)
        elif found["event"] == "walk_begin" and ("bm=" not in rest or re.search(r"\bbm=0x0\b", rest)):
            walks += 1
        yield float(found["time"]), len(asleep), walks


def cut(source: Path, begin: float, end: float, target: Path, about: str) -> None:
    """Write target.trace.txt.gz and target.truth.csv.gz. Raises ValueError where a task waits at one of the times."""
    text = gzip.decompress(Path(f"{source}.trace.txt.gz").read_bytes()).decode()
    header = [line for line in text.splitlines() if line.startswith("#")]
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    states = list(waiting(lines))
    inside = [number for number, (time, _, _) in enumerate(states) if begin <= time < end]
    first, last = inside[0], inside[-1]
    before = states[first - 1] if first else (0.0, 0, 0)
    if before[1] or states[last][1]:
        raise ValueError(f"{before[1]} tasks wait at {begin}, {states[last][1]} at {end}: choose other times")
    noted = [header[0], *(f"# {line}" for line in about.splitlines()), *header[3:]]
    written(f"{target}.trace.txt.gz", [*noted, *lines[first : last + 1]])
    names, *rows = gzip.decompress(Path(f"{source}.truth.csv.gz").read_bytes()).decode().splitlines()
    kept = rows[before[2] : states[last][2]]
    written(f"{target}.truth.csv.gz", [names, *(f"{n},{row.partition(',')[2]}" for n, row in enumerate(kept))])


def written(path: str, lines: list[str]) -> None:
    """Write lines, compressed; the same lines give the same bytes."""
    Path(path).write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))


if __name__ == "__main__":
    _, name, begin, end, target, about = sys.argv
    cut(Path(name), float(begin), float(end), Path(target), about)
