"""load(): import the cards of all designs, and reject at start a design that would fail at first use."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import get_args

from engine.designs.card import Card
from engine.designs.verb import Verb
from engine.errors import BadDesign
from engine.schema import ENGINE_TABLES, declared

GROUP = "folioscope.designs"


def load(built_in: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Card]]:
    """Return axis -> design -> card: those that ship with the engine, then those of other packages by name.

    Raises BadDesign, in one line that names the file and what is missing.
    """
    axes: dict[str, dict[str, Card]] = {axis: {} for axis in built_in}
    for axis, names in built_in.items():
        for name in names:
            card: Card = importlib.import_module(f"engine.designs.{axis}.{name}").CARD
            axes[axis][name] = card
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        card = _foreign(entry)
        checked(card, tuple(axes))
        if card.name in axes[card.axis]:
            raise BadDesign(
                f"{_where(card.package)}: there is already a design {card.name!r} on the axis {card.axis}: rename it"
            )
        taken = {name for cards in axes.values() for one in cards.values() for name in one.tables}
        if both := taken & set(card.tables):
            raise BadDesign(f"{_where(card.package)}: there is already a table {min(both)!r}: rename it")
        axes[card.axis][card.name] = card
    return axes


def _foreign(entry: EntryPoint) -> Card:
    where = f"entry point {entry.name} = {entry.value}"
    try:
        card = getattr(entry.load(), "CARD", None)
    except Exception as problem:
        raise BadDesign(f"{where} cannot be imported: {type(problem).__name__}: {problem}") from None
    if not isinstance(card, Card):
        raise BadDesign(f"{where}: the package has no CARD (engine.designs.card.Card)")
    return card


def _where(module: str) -> str:
    """Return the file of a module, without loading it."""
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        spec = None
    return spec.origin if spec is not None and spec.origin else f"module {module}"


def functions(module: str) -> dict[str, list[str]]:
    """Return the functions that a module defines, with their parameters, without loading it; none if it is missing."""
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        return {}
    tree = ast.parse(Path(spec.origin).read_text())
    return {node.name: [arg.arg for arg in node.args.args] for node in tree.body if isinstance(node, ast.FunctionDef)}


def checked(card: Card, axes: Sequence[str]) -> Card:
    """Return the card. Raises BadDesign if the design's folder lacks something that the engine needs."""
    where = _where(f"{card.package}.verbs")
    for problem in problems(card, axes):
        raise BadDesign(f"design {card.name!r}, {where}: {problem}")
    return card


def problems(card: Card, axes: Sequence[str]) -> Iterator[str]:
    """Yield what is missing or wrong in a design's folder."""
    if card.axis not in axes:
        yield f"no axis {card.axis!r}; the axes are {', '.join(axes)}"
        return
    verbs: tuple[Verb, ...] = importlib.import_module(f"engine.designs.{card.axis}").VERBS
    defined, steps = functions(f"{card.package}.verbs"), functions(f"{card.package}.steps")
    for verb in verbs:
        parameters = ["w", *verb.parameters]
        if verb.name not in defined:
            if verb.default is None:
                yield f"no function for the verb {verb.name}({', '.join(parameters)}): {verb.meaning}"
        elif defined[verb.name] != parameters:
            yield f"{verb.name} takes ({', '.join(defined[verb.name])}); it must take ({', '.join(parameters)})"
    for step in card.steps:
        if steps.get(step.lower()) != ["w", "task"]:
            yield f"no function {step.lower()}(w, task) in its module steps, for the step {step}"
    for which in ("lock_step", "unlock_step", "grant_step", "sleep_step"):
        if (name := getattr(card, which)) is not None and name not in card.steps:
            yield f"{which} is {name}, which is not one of its steps"
    for name, step in card.actors:
        if step not in card.steps:
            yield f"the actor {name} begins with {step}, which is not one of its steps"
    for name, table in card.tables.items():
        if name in ENGINE_TABLES:
            yield f"there is already a table {name!r}: rename it"
        try:
            declared(table)
        except TypeError as problem:
            yield str(problem)
    design = card.options.model_fields.get("design")
    if design is None or get_args(design.annotation) != (card.name,):
        yield f"its options need the field design: Literal[{card.name!r}] = {card.name!r}"
