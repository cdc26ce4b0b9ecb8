"""Verdicts of the matrix: the answer of an exploration to the question of a cell."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.explore.cases import Cell
from engine.invariants import INVARIANTS
from engine.litmus import ANY

NEVER, SOMETIMES, NOT_EXPLORED = "Never", "Sometimes", "not explored"
_AT_END = {one.name for one in INVARIANTS if one.at_end}
"""Invariants checked only at the end of a path: a violation does not cut the path short."""


class Verdict(NamedTuple):
    """The verdict of a cell. why: its evidence, or why it is unknown; schedule: a word that shows it."""

    word: str
    expected: str | None
    why: str
    schedule: str | None
    loop: str | None = None

    @property
    def surprising(self) -> bool:
        """Whether another verdict was expected."""
        return self.expected is not None and self.word in {NEVER, SOMETIMES} and self.word != self.expected


def judged(cell: Cell, answer: dict[str, Any]) -> Verdict:
    """Return the verdict of a cell, from the answer of its exploration."""
    bounds, broken = answer["bounds"], answer["broken"]
    within = (
        f"{answer['states']:,} states, {bounds['processes']} tasks, {bounds['search']}, reduction {bounds['reduction']}"
    )
    if cell.question == "starvation":
        live = answer["liveness"]
        if live is not None and live["loop"]:
            return Verdict(SOMETIMES, cell.expected, within, live["stem"], live["loop"])
        if live is not None and live["holds"] and not broken:
            return Verdict(NEVER, cell.expected, within, None)
    elif cell.question == ANY and broken:
        first = min(broken, key=lambda name: int(broken[name]["steps"]))
        why = f"{first.replace('_', ' ')} in {broken[first]['steps']} steps; {within}"
        return Verdict(SOMETIMES, cell.expected, why, broken[first]["schedule"])
    elif seen := {**broken, **answer["witnessed"]}.get(cell.question):
        return Verdict(SOMETIMES, cell.expected, f"in {seen['steps']} steps; {within}", seen["schedule"])
    if not bounds["complete"]:
        return Verdict(NOT_EXPLORED, cell.expected, f"stopped by the limit on {bounds['stopped_by']}; {within}", None)
    cuts = [name for name in broken if name not in _AT_END] or list(broken) * (cell.question == "starvation")
    if cuts:
        first = min(cuts, key=lambda name: int(broken[name]["steps"])).replace("_", " ")
        return Verdict(NOT_EXPLORED, cell.expected, f"masked by: {first}; {within}", None)
    if cell.question == "starvation":
        return Verdict(NOT_EXPLORED, cell.expected, f"fair schedules were not searched; {within}", None)
    return Verdict(NEVER, cell.expected, within, None)
