"""Plain text for mail: 75 columns, the numbers first, a link last."""

from __future__ import annotations

from app.differences import comparison, differences
from app.figures import tiles, verdict
from app.plain import COLUMNS, comparison_text, run_text
from tests.app.test_figures import STORM

LINK = "http://localhost:8340/r/3f9c0a51b7e2?v=1&t0=1000000000&t1=2000000000"
LONG = "A run whose name is so long that it does not fit into a line of mail by any means whatever, not even nearly"


def test_no_line_but_the_link_is_wider_than_mail_allows() -> None:
    facts = [
        ("Run", "3f9c0a51b7e2"),
        ("Design", "hashed, 256 queues"),
        ("Workload", "the demo recording"),
        ("Seal", "ab" * 32),
    ]
    text = run_text(LONG, facts, verdict(STORM), tiles(STORM, "page_wait"), LINK)
    assert [line for line in text.splitlines() if len(line) > COLUMNS and "://" not in line] == []
    assert text.endswith(f"Link: {LINK}\n(The link opens only on the machine that the server runs on.)\n")
    assert text.isascii()
    elsewhere = LINK.replace("localhost", "folioscope.example")
    assert run_text(LONG, facts, "", [], elsewhere).endswith(f"Link: {elsewhere}\n")


def test_a_comparison_has_both_runs_and_their_difference_in_columns() -> None:
    other = STORM | {"strangers": 0, "walked": 9_000}
    heads = [("A", f"{LONG}; hashed; run 3f9c0a51b7e2"), ("B", "short; page_wait; run 4a9c0a51b7e2")]
    text = comparison_text(heads, comparison(STORM, other, ("hashed", "page_wait")), differences(STORM, other), LINK)
    assert [line for line in text.splitlines() if len(line) > COLUMNS and "://" not in line] == []
    line = next(line for line in text.splitlines() if line.startswith("entries visited  "))
    assert line.split()[2:] == ["10,000", "9,000", "-10", "%"]
    assert text.isascii()
