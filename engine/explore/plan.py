"""Options, limits and progress of a search."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from engine.errors import UserError

ReductionName = Literal["none", "por", "symmetry", "all"]
SearchName = Literal["bfs", "dfs", "random", "pct"]
REDUCTIONS, SEARCHES = get_args(ReductionName), get_args(SearchName)

STATES_MAX = 100_000_000
MEMORY_MAX = 4 << 30
PREEMPTIONS_MAX = 200


class Limits(NamedTuple):
    """Limits of a search: when one is reached, the answer says what was covered."""

    states: int = STATES_MAX
    memory: int = MEMORY_MAX
    seconds: float = 3_600.0


class Progress(NamedTuple):
    """Progress of a search."""

    states: int
    edges: int
    frontier: int
    depth: int
    seconds: float
    memory: int


class Plan(NamedTuple):
    """How to search. preemptions: their maximum in a schedule; walks, longest, depth, seed: for random and pct;
    compact: hash compaction (compact.py); promises: check the fair paths too (liveness.py)."""

    search: SearchName = "bfs"
    reduction: ReductionName = "none"
    preemptions: int | None = None
    walks: int = 1_000
    longest: int = 10_000
    depth: int = 3
    seed: int = 1
    promises: bool = True
    compact: bool = False


PLAN, LIMITS = Plan(), Limits()


def check_plan(plan: Plan) -> None:
    """Raise UserError for incompatible options and values out of bounds."""

    def refuse(field: str, text: str) -> None:
        raise UserError(text, code="bad_plan", field=field)

    if plan.preemptions is not None and not 0 <= plan.preemptions <= PREEMPTIONS_MAX:
        refuse("preemptions", f"preemptions is 0 to {PREEMPTIONS_MAX}, not {plan.preemptions}")
    if plan.preemptions is not None and (plan.reduction != "none" or plan.search not in {"bfs", "dfs"}):
        refuse(
            "preemptions",
            "preemptions needs reduction none and search bfs or dfs: states record which process ran last",
        )
    if plan.search in {"random", "pct"} and plan.reduction != "none":
        refuse("reduction", "search random and pct need reduction none")
    if plan.compact and (plan.search != "bfs" or plan.preemptions is not None):
        refuse("compact", "compact needs search bfs without preemptions: it keeps two layers of states")
    for name, most in (("walks", 10_000_000), ("longest", 1_000_000), ("depth", 16)):
        if not 1 <= getattr(plan, name) <= most:
            refuse(name, f"{name} is 1 to {most}, not {getattr(plan, name)}")
