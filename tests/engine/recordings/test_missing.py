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
        (("qadd",), ["40 wake-ups but no waits (no qadd lines)"]),
        (("walk_begin",), ["90 waits but no wake-ups (no walk_begin lines)"]),
        (("fin",), ["No end of any wait (no fin lines)"]),
        (("mm_filemap_add_to_page_cache",), ["No mm_filemap lines"]),
        (("qadd", "walk_begin", "fin"), ["No page waits and no wake-ups"]),
        (("qadd", "mm_filemap_add_to_page_cache"), ["40 wake-ups but no waits", "No mm_filemap lines"]),
    ],
)
def test_given_lines_that_are_missing_then_each_gap_is_named(without: tuple[str, ...], said: list[str]) -> None:
    used = {name: count for name, count in WHOLE.items() if name not in without}
    found = missing(Report(form="ftrace", used=used))
    assert len(found) == len(said)
    assert all(text.startswith(beginning) for text, beginning in zip(found, said, strict=True))
