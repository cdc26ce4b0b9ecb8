"""Options of the designs that protect pages: what a writer meets, and which paths ask for the page."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from engine.designs.card import Options

POLICIES = ("wait", "break", "refuse")
WAIT, BREAK, REFUSE = range(3)
"""Values of Rules.policy."""


class Protecting(Options):
    """A design under which a device can have a page write-protected."""

    paths: Annotated[
        Literal["all", "posted"],
        Field(description="paths that give the page back before they change it: all of them, or write fault and GUP"),
    ] = "all"


class WithPolicy(Protecting):
    """A design that leaves open what a CPU's write to a protected page meets."""

    policy: Annotated[
        Literal["wait", "break", "refuse"],
        Field(description="a write waits for the device, takes the page back from it, or fails (SIGBUS, EFAULT)"),
    ] = "break"
    unmodified: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="share of CPUs' tasks whose program is as it was; with refuse, the others ask for the page",
        ),
    ] = 1.0

    @model_validator(mode="after")
    def _refuses(self) -> Self:
        if self.unmodified < 1 and self.policy != "refuse":
            raise ValueError(f"unmodified: with policy {self.policy} all programs fare alike; leave it out, or refuse")
        return self

    @property
    def words(self) -> str:
        """The policy, and the share of unmodified programs unless it is all."""
        return self.policy + (f", {self.unmodified:.0%} unmodified" if self.unmodified < 1 else "")


ALL_ASK: tuple[str, ...] = (
    *(f"P-{n}" for n in (*range(1, 11), 12)),
    *(f"K-{n}" for n in range(1, 5)),
    *("A-1", "M-1", "M-2", "S-1", "S-2", "S-3"),
)
"""Litmus tests whose error a design that keeps its own protection never shows where all paths ask for the page."""


def protecting_rules(options: Any) -> dict[str, int]:
    """Return the rules that these options select."""
    policy = POLICIES.index(options.policy) if isinstance(options, WithPolicy) else BREAK
    return {"protects": 1, "policy": policy, "all_paths": int(options.paths == "all")}
