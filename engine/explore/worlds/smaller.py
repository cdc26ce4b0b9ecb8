"""A smaller scenario in which the same invariant breaks (or the same witness is met), found by exploring candidates."""

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
"""What an exploration can find, in the order of Memory.seen."""
LIMITS = Limits(states=2_000_000, memory=1 << 30, seconds=float("inf"))
"""For one candidate: work alone, so that what is found does not depend on the machine."""


def schedule_to(
    subject: WorldSubject, name: str, limits: Limits = LIMITS, budget: Budget | None = None
) -> list[int] | None:
    """Return the shortest schedule to a broken invariant, or to a witness; None if none was found within the limits.

    budget: pays for the states; a search that it stops finds nothing.
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
    """Whether these moves can be made, and the last of them ends in the broken invariant or meets the witness."""
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
    told = w.clock[BROKEN]
    if not told and not possible(subject):
        told = at_end(w, w.pages.flags.array.size, subject.references)
    return bool(told >> number & 1)


def shrink_world(
    scenario: Scenario, name: str, moves: Sequence[int], budget: Budget | None = None
) -> Shrunk[Told, list[int]]:
    """Return a smaller scenario in which invariant or witness `name` is found, and its schedule, put into an order with
    few switches. moves: a schedule to it in the scenario itself."""
    pays = budget or Budget()

    def finds(told: Told, known: list[int]) -> list[int] | None:
        try:
            return schedule_to(WorldSubject(Scenario.model_validate(told)), name, budget=pays)
        except UserError:  # as a candidate it is no loss
            return None

    small = shrink(scenario.model_dump(), list(moves), scenario_candidates, finds, budget=pays)
    subject = WorldSubject(Scenario.model_validate(small.subject | {"schedule": None}))
    n = len(subject.processes)
    order = fewer_switches(
        small.schedule, lambda one: leads_to(subject, one, name), lambda move: move % n, stop=pays.stopped
    )
    return small._replace(schedule=order)
