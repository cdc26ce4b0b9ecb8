"""Shrink a scenario: explore smaller candidates for the same broken invariant, or the same witness."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import UserError
from engine.explore.fewer_switches import fewer_switches
from engine.explore.plan import Limits, Plan
from engine.explore.search.explorer import Explorer
from engine.explore.shrink import Budget, Shrunk, Told, shrink
from engine.explore.shrink_scenario import scenario_candidates
from engine.explore.worlds.subject import WorldSubject
from engine.explore.worlds.telling import play, possible
from engine.invariants import INVARIANTS, WITNESSES
from engine.runs.schedule import at_end
from engine.scenario import Scenario
from engine.world.state import BROKEN, SEEN

NAMES = (*(one.name for one in INVARIANTS), *(name for name, _ in WITNESSES))
"""Names of invariants and witnesses, in the order of the rows of Memory.seen."""
LIMITS = Limits(states=2_000_000, memory=1 << 30, seconds=float("inf"))
"""Limits for one candidate: no time limit, so that results do not depend on the machine."""


def schedule_to(
    subject: WorldSubject, name: str, limits: Limits = LIMITS, budget: Budget | None = None
) -> list[int] | None:
    """Return the shortest schedule to a broken invariant or a witness; None if none was found within the limits.

    budget: the states explored are charged to it; a search that it stops returns None.
    """
    explorer, row, budget = Explorer(subject, Plan()), NAMES.index(name), budget or Budget()
    most = limits._replace(states=min(limits.states, budget.states))
    ended = explorer.run(most, stop=lambda: bool(explorer.memory.seen[row, 0]) or budget.stopped())
    budget.states -= explorer.progress().states
    if budget.stopped():
        return None
    found = explorer.found(ended)
    seen = (found.broken | found.witnessed).get(name)
    return seen.schedule if seen else None


def leads_to(subject: WorldSubject, moves: Sequence[int], name: str) -> bool:
    """Whether these moves are possible, and the last one breaks the invariant or meets the witness."""
    w, number = subject.world, NAMES.index(name)
    subject.begin()
    try:
        for place, move in enumerate(moves, 1):
            if w.clock[BROKEN]:
                return False
            play(subject, move, place)
    except UserError:
        return False
    if number >= len(INVARIANTS):
        return bool(w.clock[SEEN] >> (number - len(INVARIANTS)) & 1)
    broken = w.clock[BROKEN]
    if not broken and not possible(subject):
        broken = at_end(w, w.pages.flags.array.size, subject.references)
    return bool(broken >> number & 1)


def shrink_world(
    scenario: Scenario, name: str, moves: Sequence[int], budget: Budget | None = None
) -> Shrunk[Told, list[int]]:
    """Return a smaller scenario that breaks invariant `name`, or meets that witness, with a schedule of few switches.

    moves: a schedule to it in the original scenario.
    """
    pays = budget or Budget()

    def finds(candidate: Told, known: list[int]) -> list[int] | None:
        try:
            return schedule_to(WorldSubject(Scenario.model_validate(candidate)), name, budget=pays)
        except UserError:  # skip an invalid candidate
            return None

    small = shrink(scenario.model_dump(), list(moves), scenario_candidates, finds, budget=pays)
    subject = WorldSubject(Scenario.model_validate(small.subject | {"schedule": None}))
    n = len(subject.processes)
    order = fewer_switches(
        small.schedule, lambda one: leads_to(subject, one, name), lambda move: move % n, stop=pays.stopped
    )
    return small._replace(schedule=order)
