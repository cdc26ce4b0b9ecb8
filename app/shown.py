"""A stored run as the templates see it: words and numbers ready to be shown, for any user who may see the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.figures import Figures, per_wake, strangers_share, swaps_mapping
from app.formats import span, whole
from engine.designs import DESIGNS
from engine.scenario import Recorded, Scenario

if TYPE_CHECKING:
    from app.store import RunRow

LIVE = ("queued", "running")


@dataclass(frozen=True)
class Shown:
    """One run for a template. data is where its JSON comes from: the API, or its mirror behind a share token."""

    row: RunRow
    scenario: Scenario
    data: str
    url: str
    figures: Figures = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)

    @property
    def live(self) -> bool:
        return self.row.state in LIVE

    @property
    def story(self) -> str:
        return self.scenario.story

    @property
    def swaps(self) -> bool:
        return swaps_mapping(self.row.design)

    @property
    def walked_per_wake(self) -> float | None:
        return per_wake(self.figures)

    @property
    def strangers_share(self) -> float | None:
        return strangers_share(self.figures)

    @property
    def longest_queue(self) -> float | None:
        return self.figures.get("longest_queue")

    @property
    def design_words(self) -> str:
        return design_words(self.scenario)

    @property
    def workload_words(self) -> str:
        return workload_words(self.scenario)

    @property
    def pace_words(self) -> str:
        pace = self.row.pace_ms_per_s
        return "as fast as it goes" if not pace else f"at {pace} ms of the run a second"

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What was played, as labelled values, for plain text."""
        return [
            ("Run", self.row.id),
            ("Design", self.design_words),
            ("Workload", self.workload_words),
            ("Kernel", self.row.kernel),
            ("Seed", str(self.row.seed)),
            ("State", self.row.state),
            ("Events", f"{whole(self.row.events)} over {span(self.row.time_ns)}"),
            ("Seal", self.row.seal or "-"),
        ]


def shown(row: RunRow, data: str = "/api/v1/runs", url: str | None = None) -> Shown:
    """Return a run for the templates; data is the address its JSON stands under, url that of its page."""
    figures = json.loads(row.figures_json) if row.figures_json else {}
    return Shown(row, row.scenario, f"{data}/{row.id}", url or f"/r/{row.id}", figures)


def design_words(scenario: Scenario) -> str:
    """Return a design with what tells it from others of its name."""
    label = DESIGNS[scenario.wait.design].label
    return label(scenario.wait) if label else str(scenario.wait.design)


def workload_words(scenario: Scenario) -> str:
    """Return in words what a scenario plays."""
    workload = scenario.workload
    if isinstance(workload, Recorded):
        return "the demo recording" if workload.recording == "demo" else f"recording {workload.recording}"
    tasks = sum(group.tasks for group in workload.groups)
    return f"{tasks:,} task{'s' if tasks > 1 else ''} over {workload.pages:,} page{'s' if workload.pages > 1 else ''}"


def same_workload(runs: Sequence[Shown]) -> bool:
    """Return whether runs play the same workload from the same seed, so that their times correspond."""
    return all(run.scenario.workload == runs[0].scenario.workload and run.row.seed == runs[0].row.seed for run in runs)


def queues(scenario: Scenario) -> int:
    """Return how many queues a run will have, as far as its scenario tells; its cast, once there, knows."""
    return DESIGNS[scenario.wait.design].shared_queues(scenario.wait)
