"""How deep calls can nest in a World, computed before it runs: every call names its first step (engine.mm.frames).

A step leads to the steps that its code names, at its own depth; only the steps that it calls run one level deeper.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from engine.errors import BadDesign
from engine.fingerprint import names_used
from engine.mm.steps import NUMBERS, STEPS
from engine.world.state import FRAMES_MAX

CALLS = frozenset({"call", "call_on"})
"""Functions of engine.mm.frames whose third argument is the step called."""


class Leads(NamedTuple):
    """Where code leads: steps that follow at its own depth, and steps that it calls."""

    goes: frozenset[int]
    calls: frozenset[int]


@cache
def leads_of(python: Any) -> Leads:
    """Return where the code of one plain function leads, excluding the functions it calls.

    Raises BadDesign for a call that does not name its step: its nesting depth would be unknown.
    """
    scope, named = python.__globals__, frozenset(names_used(python.__code__))
    steps = {name: NUMBERS[name] for name in named & NUMBERS.keys() if scope.get(name) == NUMBERS[name]}
    if not CALLS & named or python.__module__ == "engine.mm.frames":
        return Leads(frozenset(steps.values()), frozenset())
    tree = ast.parse(textwrap.dedent(inspect.getsource(python)))
    callees = list[ast.expr]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            callee = node.args[2] if len(node.args) > 2 else None
            if not isinstance(callee, ast.Name) or callee.id not in steps:
                line = python.__code__.co_firstlineno + node.lineno - 1
                raise BadDesign(f"{python.__module__}, line {line}: {node.func.id}() must name the step that it calls")
            callees.append(callee)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in steps]
    return Leads(
        frozenset(steps[node.id] for node in names if node not in callees),
        frozenset(steps[node.id] for node in names if node in callees),
    )


def deepest(first: Iterable[int], leads: Callable[[int], Leads]) -> int:
    """Return the max. number of frames used by the paths that begin with the steps `first`.

    Raises BadDesign for paths that nest deeper than FRAMES_MAX, or without end.
    """
    depth = dict.fromkeys(first, 0)
    pending = list(depth)
    most = 0
    while pending:
        step = pending.pop()
        here = depth[step]
        most = max(most, here)
        if most > FRAMES_MAX:
            raise BadDesign(
                f"calls nest deeper than {FRAMES_MAX} frames at step {STEPS[step][0]} ({STEPS[step][1]}): "
                "end a path with ret() before its caller goes on, or go on without a call"
            )
        found = leads(step)
        for other, at in [*((s, here) for s in found.goes), *((s, here + 1) for s in found.calls)]:
            if depth.get(other, -1) < at:
                depth[other] = at
                pending.append(other)
    return most
