"""link(): fill a World's tables of steps and verbs with the code that it can reach, and no more.

The steps that a step leads to are read from its code: it names the next one by a constant of engine.mm.steps, and calls
verbs and functions by name. So a short run waits only for the steps of its own operations to compile, and a design's
steps are compiled when a run first uses the design.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any

from engine.axes import VERBS
from engine.designs import AXES
from engine.designs.card import OWN_STEPS, Card
from engine.errors import BadDesign
from engine.fingerprint import names_used, python_function
from engine.mm.steps import BLOCKED, NUMBERS, PATHS, STEPS, own_steps
from engine.world.dispatch import STEP, verb_signature
from engine.world.jit import INTERPRETED, callback
from engine.world.nesting import Leads, deepest, leads_of
from engine.world.rules import memory_steps
from engine.world.state import UNLINKED, World

NUMBER_OF_VERB = {row.verb.name: number for number, row in enumerate(VERBS)}

_compiled: dict[Any, Any] = {}


def unlinked(w: World, task: int) -> int:
    """Stand in for a step that was not linked (a bug of this module); engine.runs.batches reports its number."""
    w.clock[UNLINKED] = w.tasks.step[task] + 1
    return BLOCKED


@cache
def step_function(number: int) -> Any:
    """Return the function of a step."""
    module, _, name = STEPS[number][1].rpartition(".")
    return getattr(importlib.import_module(module), name)


@cache
def verb_function(number: int, design: str) -> Any:
    """Return a design's function for a verb; None if the design leaves the verb to its default."""
    axis, verb = VERBS[number]
    return getattr(importlib.import_module(f"{AXES[axis][design].package}.verbs"), verb.name, None)


@cache
def _mentions(function: Any) -> tuple[Leads, frozenset[int], frozenset[str]]:
    """Return the steps, verbs and names in the code of a function and of all functions it calls."""
    goes, calls, verbs, names = set[int](), set[int](), set[int](), set[str]()
    seen, pending = set[Any](), [function]
    while pending:
        python = python_function(pending.pop())
        if python is None or python in seen:
            continue
        seen.add(python)
        leads = leads_of(python)
        goes |= leads.goes
        calls |= leads.calls
        for name in names_used(python.__code__):
            names.add(name)
            value = python.__globals__.get(name)
            if (called := getattr(value, "verb", None)) is not None:
                verbs.add(NUMBER_OF_VERB[called])
            elif python_function(value) is not None:
                pending.append(value)
    return Leads(frozenset(goes), frozenset(calls)), frozenset(verbs), frozenset(names)


def names_in(function: Any) -> frozenset[str]:
    """Return the names of globals and attributes in the code of a function and of all functions it calls."""
    return _mentions(function)[2]


@lru_cache(maxsize=256)
def reachable(
    roots: tuple[Any, ...], first: frozenset[int], designs: tuple[tuple[str, str], ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the numbers of the steps that can run, and of all verbs that the designs implement.

    roots: functions that begin paths (a scheduler's); first: steps that programs begin with; designs: (axis, design).
    All verbs, because an unlinked verb returns its default, and a scheduler may call verbs that no step calls.
    """
    chosen = dict(designs)
    functions = {
        number: verb_function(number, chosen[axis]) for number, (axis, _) in enumerate(VERBS) if axis in chosen
    }
    steps = set(first)
    pending: list[Any] = [*roots, *filter(None, functions.values()), *(step_function(number) for number in first)]
    while pending:
        leads, _, _ = _mentions(pending.pop())
        more = leads.goes | leads.calls
        pending += [step_function(number) for number in more - steps]
        steps |= more
    return tuple(sorted(steps)), tuple(number for number, function in functions.items() if function is not None)


def ruled_steps(card: Card) -> tuple[tuple[str, int], ...]:
    """Return (rule, step) for each of OWN_STEPS that the design has."""
    return tuple((rule, NUMBERS[name]) for rule in OWN_STEPS if (name := getattr(card, rule)))


def check_nesting() -> None:
    """Raise BadDesign with a one-line message if calls of some wait design nest too deep, whatever the scenario."""
    for design, card in AXES["wait"].items():
        steps = (*range(len(PATHS)), *own_steps("wait", design))
        try:
            nesting(steps, ruled_steps(card))
        except BadDesign as problem:
            raise BadDesign(f"design {design!r}, {card.package}: {problem}") from None


@lru_cache(maxsize=256)
def nesting(steps: tuple[int, ...], ruled: tuple[tuple[str, int], ...]) -> int:
    """Return how many frames a task can use, given all steps that can run, and ruled_steps() of the design.

    Raises BadDesign for more than FRAMES_MAX.
    """
    step_of_rule = dict(ruled)

    def leads(step: int) -> Leads:
        found, _, names = _mentions(step_function(step))
        return found._replace(goes=found.goes | {step_of_rule[rule] for rule in names & step_of_rule.keys()})

    return deepest(steps, leads)


def compiled(function: Callable[..., Any], signature: Any) -> Any:
    """Return the function compiled so that its address can be taken; the same object for each call."""
    key = (function, signature)
    if key not in _compiled:
        _compiled[key] = callback(function, signature)
    return _compiled[key]


def link(w: World, designs: dict[str, str], first: Iterable[int] = (), roots: Iterable[Any] = ()) -> None:
    """Fill w.code for a World whose tasks begin with the steps `first`, under these designs (axis -> name)."""
    card = AXES["wait"][designs["wait"]]
    ruled = (*ruled_steps(card), *(memory_steps(protects=bool(w.rules.protects)) if w.rules.mapped else ()))
    first = frozenset({*first, *dict(ruled).values(), *(NUMBERS[step] for _, step in card.actors)})
    steps, verbs = reachable(tuple(roots), first, tuple(sorted(designs.items())))
    w.designs = designs
    w.nesting = nesting(steps, ruled)
    w.step_functions, w.verb_functions = [unlinked] * len(STEPS), [None] * len(VERBS)
    for number in steps:
        w.step_functions[number] = step_function(number)
    for number in verbs:
        w.verb_functions[number] = verb_function(number, designs[VERBS[number].axis])
    if INTERPRETED:
        return
    for number, function in enumerate(w.step_functions):
        w.code.steps[number] = compiled(function, STEP).address
    for number in verbs:
        if (function := w.verb_functions[number]) is not None:
            w.code.verbs[number] = compiled(function, verb_signature(number)).address
