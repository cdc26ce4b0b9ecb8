"""Convert a table to Promela, so that SPIN can confirm an answer.

Each step is one d_step: SPIN without reduction finds the same number of states, and one transition more than there are
edges, as it counts the one into the initial state. With -DFINAL, and without -A, it checks `final` too.

    spin [-DFINAL] -a table.pml && gcc -O2 -DNOREDUCE -DSAFETY -o pan pan.c && ./pan -A -E -n -m1000000
"""

from __future__ import annotations

import re

from engine.explore.layout import Spans
from engine.explore.tables.expressions import Tree
from engine.explore.tables.table import END, Effect, Process, Table
from engine.explore.tables.wording import BadTable

_INT = 1 << 31


def written(table: Table, spans: Spans) -> str:
    """Return the model. spans: the ranges of the variables. Raises BadTable if one exceeds SPIN's 32-bit int."""
    spec = table.asked
    lines = [f"/* {_comment(spec.name)}: {_comment(spec.why)} */"]
    for variable, (low, high) in zip(table.variables, spans, strict=True):
        if low < -_INT or high >= _INT:
            raise BadTable(f"vars.{variable.name}: SPIN's int has 32 bits and does not hold {low} to {high}")
        initial = ", ".join(map(str, variable.initial))
        lines.append(
            f"int v_{variable.name}"
            + (f"[{len(variable.initial)}] = {{{initial}}};" if variable.array else f" = {initial};")
        )
    for number, process in enumerate(table.processes):
        lines += _process(table, number, process)
    if table.final is not None:
        ends = " && ".join(f"{_name(n, process)}@end_done" for n, process in enumerate(table.processes))
        holds = f"!({ends}) || {_expression(table.final)}"
        lines.append(f"#ifdef FINAL\nactive proctype final() {{ timeout; assert({holds}) }}\n#endif")
    return "\n".join(lines) + "\n"


def _name(number: int, process: Process) -> str:
    return f"p{number}_{re.sub(r'[^A-Za-z0-9_]', '_', process.name)}"


def _process(table: Table, number: int, process: Process) -> list[str]:
    labels = {label: f"at{i}_{re.sub(r'[^A-Za-z0-9_]', '_', label)}" for i, label in enumerate(process.labels)}
    labels[END] = "end_done"
    lines = [f"active proctype {_name(number, process)}() {{"]
    if process.start:
        lines.append(f"  goto {labels[process.labels[process.start]]};")
    for number_, label in enumerate(process.labels[:-1]):
        lines.append(f"{labels[label]}:\n  if")
        for step in process.steps:
            if step.at == number_:
                effects = "".join(f"; {_effect(table, effect)}" for effect in step.effects)
                lines.append(
                    f"  :: d_step {{ ({_expression(step.guard)}){effects} }} goto {labels[process.labels[step.to]]}"
                )
        lines.append("  fi;")
    return [*lines, f"{labels[END]}:\n  false", "}"]


def _expression(tree: Tree) -> str:
    """Return an expression with all its brackets: !! and -- have other meanings in Promela."""
    match tree:
        case ("num", value):
            return str(value) if value >= 0 else f"({value})"
        case ("var", name):
            return f"v_{name}"
        case ("elem", name, index):
            return f"v_{name}[{_expression(index)}]"
        case ("un", operator, inner):
            return f"{operator}({_expression(inner)})"
        case ("bin", operator, left, right):
            return f"({_expression(left)} {operator} {_expression(right)})"
    raise AssertionError(tree)


def _effect(table: Table, effect: Effect) -> str:
    value = _expression(effect.value)
    if effect.variable < 0:
        return f"assert({value})"
    index = f"[{_expression(effect.element)}]" if effect.element is not None else ""
    return f"v_{table.variables[effect.variable].name}{index} = {value}"


def _comment(text: str) -> str:
    return text.replace("*/", "* /").replace("\n", " ")
