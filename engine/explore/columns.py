"""A story as text: a column for each process that moves, or one shared column if these would be too narrow."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from engine.explore.story import Story, Told, shown

WIDE = 120
"""Default length of a line, in characters."""
NARROW = 14
"""Minimum width of a column, in characters; below it, all processes share one, each indented a little further."""
GAP = "  "
HARD = "\u00a0"
"""Replaces a space while text is wrapped, so that no line is broken there."""


def columns(story: Story, wide: int = WIDE) -> str:
    """Return a story as lines of at most `wide` characters: which process moved, what changed, broke and repeats."""
    lines = _table(story, wide) if story.steps else []
    margin = " " * _gutter(story)
    still = [name for number, name in enumerate(story.processes) if number not in story.moving]
    if story.loop_from is not None:
        lines += _folded(f"steps {story.loop_from + 1} to {len(story.steps)} (marked |) repeat forever", wide, margin)
    if story.ending:
        lines += _folded(story.ending, wide, margin)
    if still and story.steps:
        lines += _folded(f"no steps by {', '.join(still)}", wide, margin)
    return "\n".join(lines)


def _gutter(story: Story) -> int:
    return max(4, len(str(len(story.steps)))) + 2


def _table(story: Story, wide: int) -> list[str]:
    cells = [_cell(step) for step in story.steps]
    moving = story.moving
    heads = {process: shown(story.processes[process]) for process in moving}
    texts = {p: [heads[p], *(c for c, s in zip(cells, story.steps, strict=True) if s.process == p)] for p in moving}
    room = wide - _gutter(story) - len(GAP) * (len(moving) - 1)
    widths = _fitted([max(map(len, texts[p])) for p in moving], [_least(texts[p]) for p in moving], room)
    if widths:
        at = {process: place for place, process in enumerate(moving)}
        rows = [(at[step.process], cell) for step, cell in zip(story.steps, cells, strict=True)]
        head = list(heads.values())
    else:
        longest, right = max(map(len, heads.values())), min(2, 24 // len(moving))
        before = {
            p: f"{heads[p]:<{longest}}  {' ' * right * place}".replace(" ", HARD) for place, p in enumerate(moving)
        }
        rows = [(0, before[step.process] + cell) for step, cell in zip(story.steps, cells, strict=True)]
        head, widths = ["process"], [wide - _gutter(story)]
    functions = [shown(step.function) for step in story.steps]
    beside = _gutter(story) + sum(widths) + len(GAP) * len(widths) + max(map(len, functions)) <= wide
    lines = ["step".ljust(_gutter(story)) + part for part in _side_by_side(list(enumerate(head)), widths)]
    lines[1:] = [" " * 4 + line[4:] for line in lines[1:]]
    for number, (step, row) in enumerate(zip(story.steps, rows, strict=True)):
        again = story.loop_from is not None and number >= story.loop_from
        first = f"{number + 1:>{_gutter(story) - 2}}{'|' if again else ' '} "
        margins = [first, " " * (_gutter(story) - 2) + ("| " if again else "  ")]
        rendered = [margins[min(i, 1)] + part for i, part in enumerate(_side_by_side([row], widths))]
        if beside and functions[number]:
            rendered[0] = rendered[0].ljust(_gutter(story) + sum(widths) + len(GAP) * len(widths)) + functions[number]
        if step.broken:
            note = f"<-- {shown(step.broken)}"
            if len(rendered[-1].rstrip()) + 3 + len(note) <= wide:
                rendered[-1] = f"{rendered[-1].rstrip()}   {note}"
            else:
                rendered += _folded(note, wide, " " * _gutter(story))
        lines += rendered
    return [line.rstrip() for line in lines] + ([] if beside else _legend(story, wide))


def _cell(step: Told) -> str:
    changes = ", ".join(shown(str(change)).replace(" ", HARD) for change in step.changed)
    return shown(step.label) + (f": {changes}" if changes else "")


def _least(texts: Sequence[str]) -> int:
    """Return the minimum width of a column: neither a change nor a word is broken."""
    indented = max(len(word) + len(GAP) * (place > 0) for text in texts for place, word in enumerate(text.split(" ")))
    return max(indented, min(NARROW, max(map(len, texts))))


def _fitted(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return a width for each column so that all fit into the room; [] if they would be too narrow."""
    for level in range(max(natural), NARROW - 1, -1):
        fitted = [max(low, min(one, level)) for one, low in zip(natural, least, strict=True)]
        if sum(fitted) <= room:
            return fitted
    return list(natural) if sum(natural) <= room else []


def _side_by_side(cells: Sequence[tuple[int, str]], widths: Sequence[int]) -> list[str]:
    """Return cells, each with its column, as lines; a cell that is too long is wrapped within its column."""
    parts = {
        column: textwrap.wrap(text, widths[column], subsequent_indent="  ", break_on_hyphens=False) or [""]
        for column, text in cells
    }
    return [
        GAP.join(
            (parts[column][line].replace(HARD, " ") if line < len(parts.get(column, ())) else "").ljust(width)
            for column, width in enumerate(widths)
        )
        for line in range(max(map(len, parts.values())))
    ]


def _legend(story: Story, wide: int) -> list[str]:
    """Return lines that name the kernel function of each label."""
    pairs = dict.fromkeys((step.label, step.function) for step in story.steps if step.function)
    margin = " " * _gutter(story)
    return [line for label, function in pairs for line in _folded(f"{label} = {function}", wide, margin)]


def _folded(text: str, wide: int, margin: str) -> list[str]:
    return textwrap.wrap(
        shown(text), wide, initial_indent=margin, subsequent_indent=margin + "  ", break_on_hyphens=False
    )
