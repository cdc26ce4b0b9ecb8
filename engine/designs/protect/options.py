"""Options of the designs that protect pages: what a writer meets, and which paths ask for the page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

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


def protecting_rules(options: Any) -> dict[str, int]:
    """Return the rules that these options select."""
    policy = POLICIES.index(options.policy) if isinstance(options, WithPolicy) else BREAK
    return {"protects": 1, "policy": policy, "all_paths": int(options.paths == "all")}
