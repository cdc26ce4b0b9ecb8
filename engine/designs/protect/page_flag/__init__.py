"""page_flag: a page flag says that the page is protected, and a side table who protects it."""

from __future__ import annotations

from typing import Literal

from engine.designs.card import Card, Expected
from engine.designs.protect.options import ALL_ASK, WithPolicy, protecting_rules
from engine.designs.protect.page_flag.tables import SideTable


class PageFlag(WithPolicy):
    """A flag in page->flags and a side table."""

    design: Literal["page_flag"] = "page_flag"


CARD = Card(
    name="page_flag",
    axis="protect",
    package=__name__,
    title="a page flag and a side table",
    stands="Dickins, April 2018: a page flag is the better way to write-protect a page everywhere",
    options=PageFlag,
    structures=(("side table entry: page, owner, next", 24),),
    needs="a free bit of page->flags; the flag alone does not say who protects the page, or how to get it back",
    label=lambda options: f"page flag, {options.words}",
    rules=protecting_rules,
    tables={"flagged": SideTable},
    rows=lambda options, sizes: {"flagged": sizes.pages},
    facts=lambda w: {f"page {page}: flag": held for page, held in enumerate(w.flagged.held.array.tolist())},
    lines=(2, 2, 2),  # the side table's bucket and its entry
    protects=("shared", "private", "anonymous"),
    matrix=(
        ("page_flag-break", "page flag, writes take the page back", "helper", {"policy": "break"}),
        ("page_flag-wait", "page flag, writes wait", "helper", {"policy": "wait"}),
        ("page_flag-refuse", "page flag, writes fail", "helper", {"policy": "refuse"}),
        ("page_flag-posted", "page flag, only write fault and GUP ask", "helper", {"paths": "posted"}),
    ),
    expected=(
        Expected("Sometimes", tests=("P-1", "P-5", "P-12", "K-3"), rows=("page_flag-posted",)),
        Expected("Sometimes", tests=("P-3", "P-10"), rows=("page_flag-wait",)),
        Expected("Sometimes", tests=("P-11", "A-2", "A-3")),
        Expected("Never", tests=ALL_ASK),
    ),
)
