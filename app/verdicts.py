"""Describe the answer of an exploration and its bounds in words. Pure; `answer` is as stored."""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple

from app.formats import counted, whole
from app.plain import link_lines
from engine.invariants import INVARIANTS, WITNESSES

SEARCHES = {
    "bfs": "breadth-first search",
    "dfs": "depth-first search",
    "random": "random walks",
    "pct": "random walks with priorities (PCT)",
}
REDUCTIONS = {
    "none": "no reduction",
    "por": "partial-order reduction",
    "symmetry": "symmetry reduction",
    "all": "partial-order and symmetry reduction",
}
ERRORS = {
    "deadlock": "every unfinished process is blocked",
    "assertion": "an assertion fails",
    "range": "a variable goes out of range",
    "no value": "an expression is undefined",
    "final": "all processes have ended, but the final condition does not hold",
    "starvation": "a process can starve",
}
STOPPED = {
    "states": "it reached the limit on states",
    "memory": "it reached the memory limit",
    "time": "it reached the time limit",
    "cancel": "it was cancelled",
}


class Finding(NamedTuple):
    """A finding with its schedule. bad: an error; otherwise a witness that was requested."""

    name: str
    says: str
    bad: bool
    times: int | None
    steps: int
    schedule: str


def error_words(name: str) -> str:
    """Return the description of an error."""
    says = {one.name: one.says for one in INVARIANTS}
    return ERRORS.get(name) or says.get(name) or name


def sentence(answer: dict[str, Any]) -> str:
    """Return the verdict in one sentence, without its bounds."""
    match answer["verdict"]:
        case "Never":
            return "Nothing breaks in any interleaving."
        case "Sometimes":
            steps, what = answer["shortest_error"], error_words(str(answer["error"]))
            if steps is None:
                return f"It can break: {what}."
            least = "the shortest schedule" if answer["bounds"]["search"] == "bfs" else "a schedule"
            return f"It can break: {what}. {least[0].upper()}{least[1:]} has {counted(steps, 'step')}."
    return "Only part of the state space was searched; nothing broke in that part."


def bounds_words(answer: dict[str, Any]) -> str:
    """Return the bounds of a verdict as one line."""
    b = answer["bounds"]
    parts = []
    if b["walks"] is not None:
        depth = f", bug depth {b['bug_depth']}" if b["bug_depth"] is not None else ""
        parts.append(f"{whole(b['walks'])} {SEARCHES[b['search']]} of at most {counted(b['longest_walk'], 'step')}")
        parts.append(f"seed {b['seed']}{depth}: a sample, not a proof")
    else:
        moves = f", {counted(answer['edges'], 'step')}" if answer["edges"] is not None else ""
        all_ = "all " if b["complete"] else ""
        parts.append(f"{all_}{counted(answer['states'], 'state')}{moves}, {SEARCHES[b['search']]}")
        parts.append(REDUCTIONS[b["reduction"]])
    parts.append(counted(b["processes"], "process", "processes"))
    if b["preemptions"] is not None:
        parts.append(f"at most {counted(b['preemptions'], 'preemption')} per schedule")
    if b["states_known_by"] != "all their values":
        odds = b["miss_probability"]
        miss = f", a state missed with probability {odds:.1g} at most" if odds is not None else ""
        parts.append(f"hash compaction ({b['states_known_by']}){miss}")
    if b["stopped_by"]:
        parts.append(f"stopped because {STOPPED.get(b['stopped_by'], b['stopped_by'])}")
    if b.get("liveness_stopped_by"):
        parts.append(f"liveness not checked: {b['liveness_stopped_by']}")
    return "; ".join(parts) + "."


def findings(answer: dict[str, Any]) -> list[Finding]:
    """Return every finding that has a schedule: the shortest error, then other errors, then witnesses."""
    found, first = [], str(answer["error"])
    if answer["schedule"] is not None:
        times = (answer.get("broken") or {}).get(first, {}).get("times")
        found.append(Finding(first, error_words(first), True, times, answer["shortest_error"], answer["schedule"]))
    witnesses = dict(WITNESSES)
    for key, bad in (("broken", True), ("witnessed", False)):
        for name, seen in sorted((answer.get(key) or {}).items()):
            says = error_words(name) if bad else witnesses.get(name, name)
            one = Finding(name, says, bad, seen["times"], seen["steps"], seen["schedule"])
            # Of equally short schedules, the one with the fewest switches is already listed.
            if not (bad and found and name == first):
                found.append(one)
    return found


def counts(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the counts as (name, number, meaning), without those that the search did not count."""
    rows = (
        ("states", "states", "distinct states, including the initial one"),
        ("edges", "steps", "distinct transitions: state, process, enabled step"),
        ("depth", "depth", "length of the longest shortest schedule to any state"),
        ("deadlock_states", "deadlocks", "states with no enabled step in which not all processes have ended"),
        ("assert_failures", "failed assertions", "steps on which an assertion failed"),
        ("range_failures", "range errors", "steps on which a variable went out of range"),
        ("faults", "undefined steps", "divisions by zero, array indices out of range"),
        ("final_states", "final states", "states in which all processes have ended"),
        ("final_violations", "final violations", "final states that violate the final condition"),
        ("schedules", "schedules", "paths from the initial state to a final state"),
        ("traces", "traces", "schedules up to the order of independent steps"),
    )
    seldom = {"assert_failures", "range_failures", "faults", "final_violations"}
    counted_rows = [row for row in rows if answer.get(row[0]) or (answer.get(row[0]) == 0 and row[0] not in seldom)]
    return [(words, whole(answer[key]), means) for key, words, means in counted_rows]


def as_text(row: Any, answer: dict[str, Any] | None, link: str) -> str:
    """Return an exploration as text for mail, in lines of at most 72 characters except for the link; row: as stored."""
    lines = [*textwrap.wrap(row.name, 72), "=" * min(72, len(row.name)), ""]
    if answer is None:
        state = f"{row.state}{f' ({row.reason}): {row.detail}' if row.reason else ''}"
        lines += textwrap.wrap(f"Not explored: {state}", 72)
    else:
        lines += textwrap.wrap(f"{answer['verdict']}. {sentence(answer)}", 72)
        lines += ["", *textwrap.wrap(f"Within these bounds: {bounds_words(answer)}", 72), ""]
        lines += [f"  {what:<22}{number:>14}" for what, number, _ in counts(answer)]
    return "\n".join([*lines, "", *link_lines(link), ""])
