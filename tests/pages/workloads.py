"""Small scenarios for the pages, quick to play and with something to see in every chart."""

from __future__ import annotations

from typing import Any

from tests.worlds import wait_of


def storm(name: str, design: str = "hashed", *, events: int = 60_000, seed: int = 1) -> dict[str, Any]:
    """Return a scenario: sixty threads lock, dirty and write back eight pages of four queues."""
    lockers = [
        {"op": "think", "mean_ns": 40_000},
        {"op": "pick", "zipf": 0.8},
        {"op": "lock"},
        {"op": "dirty"},
        {"op": "hold", "mean_ns": 3_000},
        {"op": "unlock"},
    ]
    writers = [
        {"op": "think", "mean_ns": 90_000},
        {"op": "pick", "zipf": 0.0},
        {"op": "lock"},
        {"op": "wait_writeback"},
        {"op": "writeback_begin"},
        {"op": "unlock"},
        {"op": "think", "mean_ns": 20_000},
        {"op": "writeback_end"},
    ]
    return {
        "name": name,
        "seed": seed,
        "kernel": "4.16",
        "wait": wait_of(design, 2),
        "workload": {
            "kind": "tasks",
            "pages": 8,
            "first_pfn": 0x29B0,
            "groups": [
                {"name": "locker", "tasks": 50, "program": lockers},
                {"name": "writer", "tasks": 10, "program": writers},
            ],
        },
        "limits": {"events": events},
    }
