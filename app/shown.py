"""A stored run prepared for templates: text and numbers ready for display."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from app.figures import Figures, per_task, read_rate, swaps_mapping, wasted_share
from app.formats import counted, span, whole
from app.tracks import devices_of
from engine.designs import AXES
from engine.designs.card import Card
from engine.recordings.shipped import shipped_recordings

if TYPE_CHECKING:
    from app.store import RunRow

QUEUE_BITS = (6, 8, 10, 12, 14, 16)
"""Numbers of shared queues that forms offer, as powers of two; the kernel has 2^8."""
LIVE = ("queued", "running")
EVENTS_USUAL = 1_000_000
"""Events after which a made-up workload stops without a limit (engine.scenario.Scenario.events_max)."""
VISITING = ("entry_walked_ns", "queue_lock_ns", "wake_call_ns")
"""Costs of visiting a queue."""


@dataclass(frozen=True)
class Shown:
    """One run for a template. data: the address of its JSON, in the API or behind a share token."""

    row: RunRow
    scenario: Mapping[str, Any]
    """As stored, in the current format; plain data, because the current model may reject it."""
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
        return str(self.scenario.get("story", ""))

    @property
    def swaps(self) -> bool:
        return swaps_mapping(self.row.design)

    @property
    def walked_per_task(self) -> float | None:
        return per_task(self.figures)

    @property
    def wasted_share(self) -> float | None:
        return wasted_share(self.figures)

    @property
    def recorded(self) -> bool:
        return bool(self.row.workload_kind == "recording")

    @property
    def cut(self) -> str:
        """Say where a run stopped before its workload did; "" for one that did not, or has not ended."""
        if self.row.state in ("cancelled", "failed"):
            return f"{self.row.state} at {counted(self.row.events, 'event')}"
        limit = events_limit(self.scenario)
        return f"cut at {counted(limit, 'event')}" if limit and self.row.events >= limit and not self.live else ""

    def read_rate(self, figures: Figures, time_ns: int) -> str:
        """Return a sentence on how fast the run's devices read, by figures of the run or of a window of this length."""
        return read_rate(figures, time_ns, [float(device["link"]) for device in devices_of(self.scenario)])

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
        return "unlimited" if not pace else f"{pace} ms per second"

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Labelled facts about the run, for plain text."""
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
    """Return a run for the templates; data: address of its JSON; url: address of its page."""
    figures = json.loads(row.figures_json) if row.figures_json else {}
    return Shown(row, row.scenario, f"{data}/{row.id}", url or f"/r/{row.id}", figures)


def _design(scenario: Mapping[str, Any], axis: str = "wait", default: str = "hashed") -> tuple[str, Card | None, Any]:
    """Return the stored name of an axis's design, and its card and options if this version knows them."""
    options = scenario.get(axis) or {}
    name = str(options.get("design", default))
    card = AXES[axis].get(name)
    try:
        return name, card, card and card.options.model_validate(options)
    except ValidationError:
        return name, None, None


def design_words(scenario: Mapping[str, Any]) -> str:
    """Return the wait design's name with its distinguishing options, and the protect design's if there is one; names
    alone of designs that this version does not know."""
    name, card, options = _design(scenario)
    words = card.label(options) if card and card.label else name
    name, card, options = _design(scenario, "protect", "none")
    if name == "none":
        return words
    return f"{words}; {card.label(options) if card and card.label else name}"


def workload_words(scenario: Mapping[str, Any]) -> str:
    """Return a description of a scenario's workload."""
    match scenario.get("workload"):
        case {"kind": "recording", "recording": recording}:
            return f"the {recording} recording" if recording in shipped_recordings() else f"recording {recording}"
        case {"kind": "tasks", "groups": [*groups], "pages": int(pages)}:
            tasks = sum(group.get("tasks", 0) for group in groups)
            return f"{counted(tasks, 'task')} on {counted(pages, 'page')}"
        case {"kind": kind}:
            return str(kind)
        case _:
            return "unknown"


def events_limit(scenario: Mapping[str, Any]) -> int | None:
    """Return after how many events a run of a stored scenario stops; None if it plays a recording to its end."""
    limits = scenario.get("limits")
    given = limits.get("events") if isinstance(limits, Mapping) else None
    if isinstance(given, int):
        return given
    match scenario.get("workload"):
        case {"kind": "tasks"}:
            return EVENTS_USUAL
    return None


def visits_are_free(scenario: Mapping[str, Any]) -> bool:
    """Return whether a stored scenario charges nothing for entries visited and queue locks: costs of `ideal`."""
    given = scenario.get("costs")
    costs = given if isinstance(given, Mapping) else {}
    return costs.get("preset", "ideal") == "ideal" and not any(costs.get(name) for name in VISITING)


def same_workload(runs: Sequence[Shown]) -> bool:
    """Return whether runs play the same workload with the same seed, so that their timelines correspond."""
    first = runs[0]
    return all(
        run.scenario.get("workload") == first.scenario.get("workload") and run.row.seed == first.row.seed
        for run in runs
    )


def queues(scenario: Mapping[str, Any]) -> int:
    """Return the number of shared queues according to the scenario; the cast has the exact number."""
    _, card, options = _design(scenario)
    return card.shared_queues(options) if card else 0


def proposed(run: Shown) -> tuple[str, int]:
    """Return the design, and the power of two of shared queues, to compare a run with: another than its own."""
    options = run.scenario.get("wait") or {}
    bits = options.get("bits", 8)
    if run.row.design != "page_wait":
        return "page_wait", 8
    return "hashed", bits if isinstance(bits, int) else 8
