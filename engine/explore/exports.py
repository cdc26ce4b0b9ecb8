"""Export a story: text for mail, ITF, a ShiViz log, DOT. All names are escaped."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from typing import Any

from engine.explore.clocks import ordered
from engine.explore.columns import columns
from engine.explore.dot import story_dot
from engine.explore.story import State, Story, Value, shown

MAIL_COLUMNS = 72
SHIVIZ_PARSER = r"(?<host>\S*) (?<clock>{.*})\n(?<event>.*)"
"""The regular expression with which ShiViz parses the log: its default."""


def text(story: Story, word: str) -> str:
    """Return a story for mail: lines of at most 72 characters, except the schedule word, which is not broken."""
    lines = [shown(story.name), *textwrap.wrap(shown(story.why), MAIL_COLUMNS), ""]
    count = f"{len(story.steps)} step{'s' * (len(story.steps) != 1)}"
    lines += textwrap.wrap(f"{count}; {shown(story.verdict)}", MAIL_COLUMNS, break_on_hyphens=False)
    return "\n".join([*lines, "", columns(story, MAIL_COLUMNS), "", "schedule:", word, ""])


def itf(story: Story, word: str) -> str:
    """Return a story as an ITF trace (Apalache, Quint): its states, and the action and process that led to each.

    Source: ADR 015 in Apalache's documentation; integers, actions and picks as Quint writes them (quint/src/itf.ts).
    """
    meta = {
        "format": "ITF",
        "format-description": "Informal Trace Format (Apalache, ADR 015)",
        "description": story.why or story.name,
        "source": story.name,
        "schedule": word,
        "status": story.verdict,
    }
    rows: list[tuple[State, str, Any]] = [(story.start, "init", {"tag": "None", "value": {"tag": "UNIT"}})]
    for step in story.steps:
        rows.append((step.after, step.label, {"tag": "Some", "value": story.processes[step.process]}))
    states = [
        {
            "#meta": {"index": index},
            **{name: _itf(value) for name, value in state.items()},
            "mbt::actionTaken": action,
            "mbt::nondetPicks": {"process": process},
        }
        for index, (state, action, process) in enumerate(rows)
    ]
    names = [*story.start, "mbt::actionTaken", "mbt::nondetPicks"]
    trace: dict[str, Any] = {"#meta": meta, "params": [], "vars": names, "states": states}
    if story.loop_from is not None:
        # the last state equals the one before the loop's first step, so that step's successor comes next
        trace["loop"] = story.loop_from + 1
    return json.dumps(trace) + "\n"


def _itf(value: Value | list[Value]) -> Any:
    if isinstance(value, list):
        return [_itf(one) for one in value]
    return {"#bigint": str(value)} if isinstance(value, int) else value


def shiviz(story: Story, word: str) -> str:
    """Return a story as a ShiViz log: two lines per step: host and vector clock, then the event.

    A host is a process; a clock counts, per process, the steps that happened before this one, itself included.
    """
    hosts = _hosts(story.processes)
    lines = []
    for step, clock in zip(story.steps, ordered(story).clocks, strict=True):
        counts = {host: count for host, count in zip(hosts, clock, strict=True) if count}
        event = shown(step.text) + (f" ({shown(step.function)})" if step.function else "")
        lines += [
            f"{hosts[step.process]} {json.dumps(counts)}",
            event + (f" <-- {shown(step.broken)}" * bool(step.broken)),
        ]
    return "\n".join([*lines, ""])


def _hosts(names: tuple[str, ...]) -> list[str]:
    """Return a unique name without spaces, quotes and braces for each process."""
    hosts: list[str] = []
    for name in names:
        host = re.sub(r"[^\w.:+-]", "_", shown(name)) or "_"
        while host in hosts:
            host += "_"
        hosts.append(host)
    return hosts


def dot(story: Story, word: str) -> str:
    """Return the happened-before order of a story as a graph for Graphviz."""
    return story_dot(story)


EXPORTS: dict[str, Callable[[Story, str], str]] = {"text": text, "itf": itf, "shiviz": shiviz, "dot": dot}
"""Format -> function of a story and its schedule word that returns text."""
