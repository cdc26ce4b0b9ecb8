"""Verdicts in words: what an exploration's answer means, with the bounds that it rests on. Pure; `answer` as stored."""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple

from app.formats import whole
from engine.invariants import INVARIANTS, WITNESSES

SEARCHES = {
    "bfs": "breadth first",
    "dfs": "depth first",
    "random": "random walks",
    "pct": "random walks with priorities (PCT)",
}
REDUCTIONS = {
    "none": "every order on its own",
    "por": "orders that make no difference left out",
    "symmetry": "equal processes taken for one another",
    "all": "orders that make no difference left out, equal processes taken for one another",
}
ERRORS = {
    "deadlock": "processes wait for each other, and none can move",
    "assertion": "an assertion fails",
    "range": "a variable leaves its range",
    "no value": "an expression has no value",
    "final": "all have ended, and the final condition does not hold",
    "starvation": "a process can be kept from going on for ever",
}
STOPPED = {
    "states": "as many states as were allowed had been found",
    "memory": "the memory that was allowed was used up",
    "time": "the time that was allowed was over",
    "cancel": "it was cancelled",
}


class Finding(NamedTuple):
    """Something that a schedule leads to. bad: it breaks something; else it is a witness that was asked for."""

    name: str
    says: str
    bad: bool
    times: int | None
    steps: int
    schedule: str


def error_words(name: str) -> str:
    """Return what an error is, in words."""
    says = {one.name: one.says for one in INVARIANTS}
    return ERRORS.get(name) or says.get(name) or name


def sentence(answer: dict[str, Any]) -> str:
    """Return what was found in one sentence, its bounds apart."""
    match answer["verdict"]:
        case "Never":
            return "Nothing breaks, whatever the order."
        case "Sometimes":
            steps, what = answer["shortest_error"], error_words(str(answer["error"]))
            if steps is None:
                return f"It can break: {what}."
            least = "the shortest schedule" if answer["bounds"]["search"] == "bfs" else "a schedule"
            return f"It can break: {what}. {least[0].upper()}{least[1:]} has {whole(steps)} step{'s' * (steps != 1)}."
    return "Not all was looked at; nothing has broken in what was."


def bounds_words(answer: dict[str, Any]) -> str:
    """Return the bounds that a verdict rests on, as one line."""
    b = answer["bounds"]
    parts = []
    if b["walks"] is not None:
        depth = f", bug depth {b['bug_depth']}" if b["bug_depth"] is not None else ""
        parts.append(f"{whole(b['walks'])} {SEARCHES[b['search']]} of at most {whole(b['longest_walk'])} steps")
        parts.append(f"seed {b['seed']}{depth}: a sample, no proof")
    else:
        moves = f", {whole(answer['edges'])} steps" if answer["edges"] is not None else ""
        all_ = "all " if b["complete"] else ""
        parts.append(f"{all_}{whole(answer['states'])} states{moves}, {SEARCHES[b['search']]}")
        parts.append(REDUCTIONS[b["reduction"]])
    parts.append(f"{b['processes']} process{'es' * (b['processes'] != 1)}")
    if b["preemptions"] is not None:
        parts.append(f"at most {b['preemptions']} preemption{'s' * (b['preemptions'] != 1)} in a schedule")
    if b["states_known_by"] != "all their values":
        odds = b["miss_probability"]
        miss = f"; that one was missed has a probability of {odds:.1g} at most" if odds is not None else ""
        parts.append(f"states known by a {b['states_known_by']}{miss}")
    if b["stopped_by"]:
        parts.append(f"stopped because {STOPPED.get(b['stopped_by'], b['stopped_by'])}")
    if b.get("liveness_stopped_by"):
        parts.append(f"promises not looked at: {b['liveness_stopped_by']}")
    return "; ".join(parts) + "."


def findings(answer: dict[str, Any]) -> list[Finding]:
    """Return all that has a schedule: the shortest error first, then what else broke, then witnesses."""
    found, first = [], str(answer["error"])
    if answer["schedule"] is not None:
        times = (answer.get("broken") or {}).get(first, {}).get("times")
        found.append(Finding(first, error_words(first), True, times, answer["shortest_error"], answer["schedule"]))
    witnesses = dict(WITNESSES)
    for key, bad in (("broken", True), ("witnessed", False)):
        for name, seen in sorted((answer.get(key) or {}).items()):
            says = error_words(name) if bad else witnesses.get(name, name)
            one = Finding(name, says, bad, seen["times"], seen["steps"], seen["schedule"])
            if not (bad and found and name == first):  # of equally short schedules the calmest stands there already
                found.append(one)
    return found


def counts(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the counts as (what, number, what it means); those that were not counted are left out."""
    rows = (
        ("states", "states", "distinct, the first one included"),
        ("edges", "steps", "state, process and step that could be made, each once"),
        ("depth", "depth", "the longest of the shortest schedules to a state"),
        ("deadlock_states", "deadlocks", "states in which nobody can move, and not all have ended"),
        ("assert_failures", "failed assertions", "steps on which one failed"),
        ("range_failures", "left ranges", "steps on which a variable left its range"),
        ("faults", "steps without a value", "divisions by zero, elements that are not there"),
        ("final_states", "ends", "states in which all processes have ended"),
        ("final_violations", "bad ends", "ends that break the final condition"),
        ("schedules", "schedules", "ways from the start to an end"),
        ("traces", "traces", "the same, less those that differ in the order of independent steps only"),
    )
    seldom = {"assert_failures", "range_failures", "faults", "final_violations"}
    told = [row for row in rows if answer.get(row[0]) or (answer.get(row[0]) == 0 and row[0] not in seldom)]
    return [(words, whole(answer[key]), means) for key, words, means in told]


def as_text(row: Any, answer: dict[str, Any] | None, link: str) -> str:
    """Return an exploration as text for mail, in lines of 72 characters at most but for the link; row: as stored."""
    lines = [*textwrap.wrap(row.name, 72), "=" * min(72, len(row.name)), ""]
    if answer is None:
        state = f"{row.state}{f' ({row.reason}): {row.detail}' if row.reason else ''}"
        lines += textwrap.wrap(f"Not explored: {state}", 72)
    else:
        lines += textwrap.wrap(f"{answer['verdict']}. {sentence(answer)}", 72)
        lines += ["", *textwrap.wrap(f"Within these bounds: {bounds_words(answer)}", 72), ""]
        lines += [f"  {what:<22}{number:>14}" for what, number, _ in counts(answer)]
    return "\n".join([*lines, "", f"Link: {link}", ""])
