"""Plain text for mail: a run, a comparison or a list in 75 columns, with a Link: line. ASCII apart from names."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from app.differences import Difference
from app.figures import Tile

COLUMNS = 75
_ASCII = str.maketrans({"–": "-", "−": "-", "±": "+", "µ": "u", "→": "->"})


def link_lines(link: str) -> list[str]:
    """Return the line of a link, never wrapped, with a warning if others cannot open it."""
    host = urlsplit(link).hostname or ""
    local = host == "localhost" or host == "::1" or host.startswith("127.")
    return [f"Link: {link}", *(["(The link opens only on the machine that the server runs on.)"] if local else [])]


def _fold(text: str, indent: str = "") -> list[str]:
    """Wrap a text at COLUMNS; a longer word gets its own line, unbroken, so that links stay intact."""
    return textwrap.wrap(
        text, COLUMNS, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def run_text(name: str, facts: Sequence[tuple[str, str]], verdict: str, tiles: Sequence[Tile], link: str) -> str:
    """Return a run as text: its facts, its results, its link."""
    lines = [*_fold(name), "=" * min(COLUMNS, len(name)), ""]
    lines += [f"{label + ':':<10}{value}" for label, value in facts]
    lines += ["", *_fold(verdict), ""]
    for tile in tiles:
        value = f"{tile.value} {tile.unit}".strip()
        line = f"  {tile.label:<28}{value:>14}  ({tile.more})"
        lines += (
            [line] if len(line) <= COLUMNS else [f"  {tile.label:<28}{value:>14}", *_fold(f"({tile.more})", " " * 6)]
        )
    return "\n".join([*lines, "", *link_lines(link), ""]).translate(_ASCII)


def listed(title: str, lines: Iterable[tuple[str, str]], link: str, more: str = "") -> str:
    """Return a list as text: two or more lines an item, its facts, then its name indented; more: where the rest is."""
    text = [title, "=" * len(title), ""]
    for facts, name in lines:
        text += [*_fold(facts), *_fold(name, " " * 4)]
    return "\n".join([*text, "", *([more] if more else []), *link_lines(link), ""]).translate(_ASCII)


def comparison_text(
    heads: Sequence[tuple[str, str]], verdict: str, differences: Sequence[Difference], link: str
) -> str:
    """Return a comparison as text; heads: (letter, description) per run; the last column is the change in B."""
    lines = [line for letter, words in heads for line in _fold(f"{letter}: {words}")]
    lines += ["", *_fold(verdict), "", f"{'':<35}{'A':>13}{'B':>13}{'B-A':>13}"]
    lines += [f"{row.label:<35}{row.a:>13}{row.b:>13}{row.ratio:>13}" for row in differences]
    return "\n".join([*lines, "", *link_lines(link), ""]).translate(_ASCII)
