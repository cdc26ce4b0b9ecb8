"""What a recording lacks is said at its import, in a sentence for each kind of line."""

from __future__ import annotations

import pytest

from engine.recordings.missing import missing
from engine.recordings.moves import Report

WHOLE = {"qadd": 90, "walk_begin": 40, "fin": 90, "mm_filemap_add_to_page_cache": 7}


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ((), []),
        (("qadd",), ["40 walk_begin lines but no qadd lines: waits are missing."]),
        (("walk_begin",), ["90 qadd lines but no walk_begin lines: wake-ups are missing."]),
        (("fin",), ["No fin lines: ends of waits are missing."]),
        (("mm_filemap_add_to_page_cache",), ["No mm_filemap lines"]),
        (("qadd", "walk_begin", "fin"), ["No qadd and no walk_begin lines: page waits and wake-ups are missing."]),
        (("qadd", "mm_filemap_add_to_page_cache"), ["40 walk_begin lines but no qadd lines", "No mm_filemap lines"]),
    ],
)
def test_given_lines_that_are_missing_then_each_gap_is_named(without: tuple[str, ...], said: list[str]) -> None:
    used = {name: count for name, count in WHOLE.items() if name not in without}
    found = missing(Report(form="ftrace", used=used))
    assert len(found) == len(said)
    assert all(text.startswith(beginning) for text, beginning in zip(found, said, strict=True))
