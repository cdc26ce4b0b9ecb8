"""Starvation: find a path that is fair to every process and never makes `eventually` true, as a lasso.

Weak fairness applies to processes, not to single steps: on a fair path, a process that can step continuously from some
point on makes a step. A path violates the promise if it ends without `eventually`, or stays for ever in a strongly
connected component in which each process either makes a step or is unable to in some state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.explore.plan import Limits
from engine.explore.search import components as g
from engine.explore.search import memory as s
from engine.explore.search.explorer import Explorer
from engine.explore.search.memory import Memory
from engine.explore.search.native import Native
from engine.explore.search.search import DONE

TURN = 1 << 16
"""States or edges between two checks of the clock."""
STATE_BYTES, EDGE_BYTES = 9 * 4 + 3 * 8, 2 * 4
"""Memory of a state and of an edge here, in addition to the search's own."""


class Lasso(NamedTuple):
    """Numbers of the steps from the start to the loop, and around the loop; with an empty loop the path ends there."""

    stem: list[int]
    loop: list[int]


class Unknown(Exception):
    """Liveness was not decided: a limit was reached, stop() returned True, or the plan excludes it; the argument says
    which."""


def promise(
    explorer: Explorer,
    stopped_by: str,
    limits: Limits,
    ends_at: float = float("inf"),
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Return whether `eventually` becomes true on every fair path, and if not a lasso, as schedule words.

    ends_at: deadline by time.monotonic(); the time limit in `limits` applies to the search only. Fairness needs the
    whole graph: after a search with reduction or hash compaction, a full search runs first.
    Raises Unknown; always for a sample or a bound of preemptions, which do not cover all paths.
    """
    plan = explorer.plan
    if plan.search in {"random", "pct"} or plan.preemptions is not None:
        raise Unknown("the plan")
    if stopped_by:
        raise Unknown(stopped_by)
    whole = explorer
    if plan.reduction != "none" or plan.compact:
        whole = Explorer(explorer.subject)
        if why := whole.run(limits._replace(seconds=ends_at - time.monotonic()), stop=stop):
            raise Unknown(why)
    subject = explorer.subject
    lasso = starving(
        whole.memory,
        whole.native,
        subject.process_of,
        len(subject.processes),
        memory_left=limits.memory - whole.progress().memory,
        ends_at=ends_at,
        stop=stop,
    )
    if lasso is None:
        return {"holds": True, "stem": None, "loop": None}
    steps = subject.schedule([*lasso.stem, *lasso.loop], symmetry=False)
    stem, loop = steps[: len(lasso.stem)], steps[len(lasso.stem) :]
    return {"holds": False, "stem": subject.written(stem), "loop": subject.written(loop)}


def starving(
    memory: Memory,
    native: Native,
    process_of: NDArray[np.int64],
    processes: int,
    *,
    memory_left: int = 1 << 62,
    ends_at: float = float("inf"),
    stop: Callable[[], bool] = lambda: False,
) -> Lasso | None:
    """Return the lasso nearest to the start, None if there is none. Raises Unknown.

    memory: of a complete search without reduction; ends_at: deadline by time.monotonic().
    """
    states, edges = int(memory.counters[s.FOUND]), int(memory.counters[s.EDGES])
    if states * STATE_BYTES + edges * EDGE_BYTES > memory_left:
        raise Unknown("memory")
    graph = _room(states, edges)
    base, out = memory.states.ctypes.data, memory.out.ctypes.data
    flat, everyone = memory.states.reshape(-1), np.uint64((1 << processes) - 1)

    def ask() -> None:
        if time.monotonic() > ends_at:
            raise Unknown("time")
        if stop():
            raise Unknown("cancel")

    def run(turn: Callable[[], int]) -> None:
        while turn() != DONE:
            ask()

    run(lambda: g.outline(memory, flat, graph, process_of, native.expand, native.judge, base, out, TURN))
    if ended := int(graph.counters[g.ENDED]):
        return Lasso(_stem(graph, ended - 1), [])
    if graph.counters[g.REACHED] == 0:
        return None
    run(lambda: g.components(graph, process_of, everyone, TURN))
    if not graph.counters[g.BEST]:
        return None
    entry = int(graph.counters[g.BEST]) - 1
    return Lasso(_stem(graph, entry), _round(graph, process_of, entry, processes, ask))


def _room(states: int, edges: int) -> g.Graph:
    def words(n: int = states) -> NDArray[np.uint32]:
        return np.zeros(n, np.uint32)

    return g.Graph(
        local=words(),
        order=words(),
        parent=words(),
        via=words(),
        able=np.zeros(states, np.uint64),
        first=np.zeros(states + 1, np.int64),
        to=words(edges),
        step=words(edges),
        seen=words(),
        low=words(),
        component=words(),
        stack=words(),
        path=words(),
        at=np.zeros(states, np.int64),
        counters=np.zeros(g.COUNTERS, np.int64),
    )


def _stem(graph: g.Graph, state: int) -> list[int]:
    steps = []
    while state:
        steps.append(int(graph.via[state]))
        state = int(graph.parent[state])
    return steps[::-1]


def _round(
    graph: g.Graph, process_of: NDArray[np.int64], entry: int, processes: int, ask: Callable[[], None]
) -> list[int]:
    """Return the steps of a cycle through the fair component: repeatedly go to the nearest step or state that satisfies
    fairness for one more process, then back to `entry`.

    ask: called before each of these searches, which may cover the whole component; it raises Unknown.
    """
    graph.seen[:] = 0
    everyone = np.uint64((1 << processes) - 1)
    open_ = everyone & graph.able[entry]  # processes not yet satisfied: each must step, or be unable to
    at, steps, turn = entry, list[int](), 0

    def walk(by_step: Any, by_rest: Any, home: int) -> Iterator[tuple[int, int]]:
        nonlocal turn
        ask()
        turn += 1
        state, edge = (int(found) for found in g.way(graph, process_of, at, by_step, by_rest, home, turn))
        assert state >= 0, "a component that is not connected"
        behind = [(int(graph.step[edge]), int(graph.to[edge]))] if edge >= 0 else []
        while state != at:
            behind.append((int(graph.path[state]), state))
            state = int(graph.low[state])
        yield from reversed(behind)

    while open_ or not steps:
        for step, to in list(walk(open_, open_, -1) if open_ else walk(everyone, np.uint64(0), -1)):
            steps.append(step)
            at = to
            open_ &= graph.able[to] & ~(np.uint64(1) << np.uint64(process_of[step]))
    return steps + [step for step, _ in walk(np.uint64(0), np.uint64(0), entry)]
