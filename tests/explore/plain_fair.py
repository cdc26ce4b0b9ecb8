"""A second opinion on promises: does every weakly fair path make `eventually` true? Plain sets of states, no haste."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.explore.plain import Edge, Model, State


def avoids_eventually(table: Mapping[str, Any]) -> bool:
    """Tell whether some weakly fair path never makes the table's `eventually` true: one that stops, or one that goes
    round for ever in states where each process takes a step or is now and then unable to.

    Weak fairness is owed to a process, not to one of its steps. Of all rounds through the same states the widest is the
    fairest, so it is enough to look at the strongly connected components of the graph without the states where
    `eventually` holds.
    """
    model = Model(table)
    hoped = model.expression(table["eventually"])
    if hoped(model.start):
        return False
    edges_of: dict[State, list[Edge]] = {}
    ahead = [model.start]
    while ahead:
        state = ahead.pop()
        if state not in edges_of:
            edges_of[state] = list(model.edges(state))
            ahead += [edge.after for edge in edges_of[state] if not hoped(edge.after)]
    if not all(edges_of.values()):
        return True
    return any(is_fair_round(component, edges_of, len(model.steps)) for component in components_of(edges_of))


def is_fair_round(component: set[State], edges_of: Mapping[State, list[Edge]], n_procs: int) -> bool:
    stepping = {edge.proc for state in component for edge in edges_of[state] if edge.after in component}
    resting = {
        proc for state in component for proc in range(n_procs) if proc not in {edge.proc for edge in edges_of[state]}
    }
    return bool(stepping) and len(stepping | resting) == n_procs


def components_of(edges_of: Mapping[State, list[Edge]]) -> list[set[State]]:
    """Return the strongly connected components: two states are in one if each is reached from the other."""

    def reached(start: State, afters: Mapping[State, list[State]], within: set[State]) -> set[State]:
        found, ahead = {start}, [start]
        while ahead:
            new = [state for state in afters[ahead.pop()] if state in within and state not in found]
            found.update(new)
            ahead += new
        return found

    forward = {state: [edge.after for edge in edges if edge.after in edges_of] for state, edges in edges_of.items()}
    back: dict[State, list[State]] = {state: [] for state in edges_of}
    for state, afters in forward.items():
        for after in afters:
            back[after].append(state)
    left, components = set(edges_of), []
    while left:
        some = next(iter(left))
        components.append(reached(some, forward, left) & reached(some, back, left))
        left -= components[-1]
    return components
