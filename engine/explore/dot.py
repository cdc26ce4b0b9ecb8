"""Graphs for Graphviz: the happened-before order of a story, and all states of a small table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.explore.clocks import ordered, shared
from engine.explore.layout import start_of
from engine.explore.story import Story, element, shown
from engine.explore.tables.playing import enabled, ending, move
from engine.explore.tables.table import Table, Values
from engine.explore.tables.wording import BadTable

STATES_DRAWN_MAX = 500
NAMES_TOLD = 3


def quoted(*lines: str) -> str:
    """Return lines of text as one DOT string, escaped."""
    return '"' + "\\n".join(shown(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'


def story_dot(story: Story) -> str:
    """Return a story's steps, a cluster per process; bold edges: program order; dashed: shared names."""
    order = ordered(story)
    lines = [f"digraph {quoted(story.name)} {{", "  rankdir=TB; node [shape=box]; labelloc=t;"]
    lines.append(f"  label={quoted(story.name, story.verdict)};")
    for process in story.moving:
        lines += [f"  subgraph cluster_{process} {{", f"    label={quoted(story.processes[process])};"]
        for number, step in enumerate(story.steps):
            if step.process == process:
                mark = ", shape=octagon, penwidth=2" if step.broken else ""
                again = story.loop_from is not None and number >= story.loop_from
                text = [f"{number + 1}{'|' * again} {step.label}", *map(str, step.changed), step.function, step.broken]
                lines.append(f"    s{number + 1} [label={quoted(*filter(None, text))}{mark}];")
        lines.append("  }")
    for number, before in enumerate(order.rests_on):
        for other in before:
            if story.steps[other].process == story.steps[number].process:
                style = "style=bold"
            else:
                names = shared(story.steps[other], story.steps[number])
                more = [f"and {len(names) - NAMES_TOLD} more"] * (len(names) > NAMES_TOLD)
                style = f"style=dashed, label={quoted(*names[:NAMES_TOLD], *more)}"
            lines.append(f"  s{other + 1} -> s{number + 1} [{style}];")
    return "\n".join([*lines, "}", ""])


class Edge(NamedTuple):
    """A step from one state to another, by number; broken: what it broke; to: None if it leads to no state."""

    start: int
    to: int | None
    text: str
    broken: str


class Graph(NamedTuple):
    """States as lines of text, the initial one first; what is wrong with those without successors; the steps."""

    name: str
    states: tuple[tuple[str, ...], ...]
    endings: tuple[str, ...]
    edges: tuple[Edge, ...]


def graph_of(table: Table, most: int = STATES_DRAWN_MAX) -> Graph:
    """Return all states of a table and the steps between them. Raises BadTable if there are more than `most`."""
    start = start_of(table)
    numbers, edges, states = {start: 0}, list[Edge](), [start]
    for values in states:  # grows while iterating
        for step in enabled(table, values):
            made = move(table, values, step)
            text = f"{table.processes[step.process].name}: {step.asked.at}"
            if made.stuck:
                edges.append(Edge(numbers[values], None, text, made.broken))
                continue
            if made.after not in numbers:
                numbers[made.after] = len(states)
                states.append(made.after)
                if len(states) > most:
                    text = (
                        f"more than {most} states, too many to draw: draw a schedule (folioscope replay --export dot)"
                    )
                    raise BadTable(text, field="export")
            edges.append(Edge(numbers[values], numbers[made.after], text, made.broken))
    rendered = tuple(tuple(_lines(table, values)) for values in states)
    return Graph(table.asked.name, rendered, tuple(ending(table, values) for values in states), tuple(edges))


def _lines(table: Table, values: Values) -> Iterator[str]:
    for process, place in zip(table.processes, values.places, strict=True):
        yield f"{process.name} at {process.labels[place]}"
    start = start_of(table).variables
    for number, (first, now) in enumerate(zip(start, values.variables, strict=True)):
        for index, (was, value) in enumerate(zip(first, now, strict=True)):
            if was != value or values == start_of(table):
                yield f"{element(table, number, index)} = {value}"


def graph_dot(graph: Graph) -> str:
    """Return a graph as DOT; a bad end state is an octagon, a step that breaks something a dashed edge."""
    # nslimit: without it Graphviz takes minutes to straighten the edges of a few hundred states
    lines = [f"digraph {quoted(graph.name)} {{", "  rankdir=TB; node [shape=box]; labelloc=t; nslimit=1;"]
    lines.append(
        f"  label={quoted(graph.name, f'{len(graph.states)} states; only values that differ from the start')};"
    )
    for number, (text, end) in enumerate(zip(graph.states, graph.endings, strict=True)):
        mark = ", shape=octagon, penwidth=2" if end else ", penwidth=2" if number == 0 else ""
        lines.append(f"  n{number} [label={quoted(*text, *filter(None, [end]))}{mark}];")
    for number, edge in enumerate(graph.edges):
        to = f"n{edge.to}" if edge.to is not None else f"f{number}"
        if edge.to is None:
            lines.append(f"  {to} [label={quoted(edge.broken)}, shape=octagon, penwidth=2];")
        style = f"label={quoted(edge.text, *filter(None, [edge.broken]))}" + ", style=dashed" * bool(edge.broken)
        lines.append(f"  n{edge.start} -> {to} [{style}];")
    return "\n".join([*lines, "}", ""])
