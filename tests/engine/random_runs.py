"""Random timed runs in the interpreter, where a wrong index or a broken assertion is an exception, not a wrong answer.

    NUMBA_DISABLE_JIT=1 python -m tests.engine.random_runs 0 500

plays the scenarios of seeds 0 to 499 that are valid; of one that fails, the scenario is printed.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from typing import Any

from pydantic import ValidationError

from engine.designs import DESIGNS
from engine.events import Kind
from engine.kernels import KERNELS
from engine.program import group_of
from engine.runs.play import open_run
from engine.scenario import Scenario
from engine.world.jit import INTERPRETED
from tests.worlds import wait_of

EVENTS = 1_500
PROTECT = (
    {"design": "none"},
    *({"design": d, "policy": p} for d in ("attachment", "page_flag") for p in ("wait", "break", "refuse")),
    {"design": "attachment", "paths": "posted"},
    {"design": "page_flag", "paths": "posted"},
    {"design": "exclusive_pte"},
)
_MAPPED = (
    "load",
    "store",
    "pin dma unpin",
    "lock hold:50 unlock",
    "lock writeback_begin unlock think:80 writeback_end",
)
FILES = (*_MAPPED, "write", "lookup_locked unlock put", "dirty", "truncate pick")
ANONYMOUS = ("load", "store", "store", "pin dma unpin", "migrate", "reclaim:3")
DEVICES = ("gpu-pcie3", "gpu-pcie5", "nic")


def drawn(seed: int) -> dict[str, Any]:
    """Return a random scenario; some are refused."""
    draw = random.Random(seed)
    maps = draw.choice(("shared", "private", "anonymous"))
    protect: dict[str, Any] = dict(draw.choice(PROTECT))
    if protect.get("policy") == "refuse":
        protect["unmodified"] = draw.choice((0.0, 0.5, 1.0))
    mms, children, pages = draw.randint(1, 3), draw.randint(0, 1), draw.randint(1, 8)
    memory: dict[str, Any] = {"maps": maps, "mms": mms, "children": children, "spare": draw.randint(0, 6)}
    memory["stable_pages"] = draw.random() < 0.3
    memory["copies"] = protect["design"] in ("attachment", "page_flag") and draw.random() < 0.3
    parts = list(ANONYMOUS if maps == "anonymous" else FILES)
    if protect["design"] != "none":
        parts += ["protect device_write unprotect", "protect think:300 device_write unprotect"]
    if children:
        parts.append(f"fork:{mms}")
    if ksm := maps == "anonymous" and draw.random() < 0.5:
        memory["contents"] = draw.randint(1, 4)
        parts.append("unmerge")
    groups = []
    for i in range(draw.randint(1, 4)):
        body = " ".join(
            f"pick {draw.choice(parts)} think:{draw.choice((50, 400, 2000))}" for _ in range(draw.randint(1, 3))
        )
        groups.append(group_of(f"t{i}", f"{draw.randint(1, 3)}*{draw.choice(('1', '5', '30', '~'))}/{body}"))
        groups[-1]["mm"] = draw.randrange(mms + children)
    for i in range(draw.randint(0, 2)):
        body = draw.choice(
            (
                "prefetch think:100 device_read",
                "pick device_read",
                "pick device_read pick atomic",
                "pick atomic think:50",
                "pick emulated_atomic",
                "emulated_atomic",
            )
        )
        groups.append(group_of(f"d{i}", f"{draw.randint(1, 4)}*{draw.choice(('5', '40'))}/{body}"))
        groups[-1] |= {"device": draw.choice(DEVICES), "mm": draw.randrange(mms)}
    if ksm:
        groups.append(group_of("ksmd", f"~/ksm_scan:{draw.randint(1, 9)} think:{draw.choice((10, 1000))}"))
    workload = {"kind": "tasks", "pages": pages, "memory": memory, "groups": groups, "pinned": draw.random() < 0.8}
    return {
        "name": f"seed {seed}",
        "seed": seed,
        "kernel": draw.choice(list(KERNELS)),
        "wait": wait_of(draw.choice(list(DESIGNS)), 1),
        "protect": protect,
        "workload": workload,
        "machine": {"cpus": draw.choice((0, 0, 1, 2))},
        "costs": {"preset": draw.choice(("ideal", "estimate"))},
        "limits": {"events": EVENTS, "time_ns": 3_000_000},
    }


def play(seeds: range) -> tuple[int, Counter[str]]:
    """Play the scenarios of these seeds; return how many were played, and their events by kind."""
    runs, kinds = 0, Counter[str]()
    for seed in seeds:
        given = drawn(seed)
        try:
            scenario = Scenario.model_validate(given)
        except ValidationError as refused:
            if any(error["type"] != "value_error" for error in refused.errors()):
                raise  # not one of the scenario's own sentences: this file drew something that is no scenario
            continue
        try:
            for batch in open_run(scenario).batches():
                kinds.update(Kind(kind).name for kind in batch.kind.tolist())
        except BaseException:
            print(json.dumps(given))
            raise
        runs += 1
    return runs, kinds


if __name__ == "__main__":
    assert INTERPRETED, "set NUMBA_DISABLE_JIT=1"
    runs, kinds = play(range(int(sys.argv[1]), int(sys.argv[2])))
    print(json.dumps({"runs": runs, "kinds": kinds}))
