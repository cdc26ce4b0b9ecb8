"""Text that users write, and that is shown to other users: names, stories, tags."""

from __future__ import annotations

import unicodedata

NAME_MAX, STORY_MAX = 200, 2_000
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""General categories without a glyph: controls, format characters (among them those that reverse the direction of the
text behind them), surrogates, private and unassigned code points, line and paragraph separators."""


def unseen(text: str, allowed: str = "") -> str | None:
    """Return the first character of UNSEEN that is not in `allowed`, as U+202E; None if there is none."""
    found = (char for char in text if char not in allowed and unicodedata.category(char) in UNSEEN)
    char = next(found, None)
    return None if char is None else f"U+{ord(char):04X}"


def one_line(text: str, most: int = NAME_MAX) -> str:
    """Return a name in normal form (NFC), without spaces around it. Raises ValueError for UNSEEN characters, and for a
    name that has more than `most` characters or none in that form."""
    text = _normal(text, "", most).strip()
    if not text:
        raise ValueError("is empty")
    return text


def lines(text: str, most: int = STORY_MAX) -> str:
    """Return a text of several lines in normal form (NFC). Raises ValueError for UNSEEN characters but \\n and \\t."""
    return _normal(text, "\n\t", most)


def _normal(text: str, allowed: str, most: int) -> str:
    if char := unseen(text, allowed):
        raise ValueError(f"contains the character {char}: use letters, digits, marks and spaces")
    text = unicodedata.normalize("NFC", text)
    if len(text) > most:  # a few characters have a longer normal form
        raise ValueError(f"is too long: at most {most} characters")
    return text
