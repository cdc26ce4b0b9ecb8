"""exclusive_pte: every entry that maps the page becomes a device-exclusive swap entry. Anonymous memory only."""

from __future__ import annotations

from typing import Literal

from engine.designs.card import Card, Expected
from engine.designs.protect.exclusive_pte.tables import Exclusive
from engine.designs.protect.options import Protecting, protecting_rules


class ExclusivePte(Protecting):
    """Device-exclusive page table entries."""

    design: Literal["exclusive_pte"] = "exclusive_pte"


CARD = Card(
    name="exclusive_pte",
    axis="protect",
    package=__name__,
    title="device-exclusive page table entries",
    stands="what Linux has since 5.14 (make_device_exclusive()): a CPU access, also a read, takes the page back",
    options=ExclusivePte,
    structures=(("device-exclusive swap entry, in the page table", 8),),
    needs="anonymous memory: a page of a file is refused with EOPNOTSUPP",
    label=lambda options: "exclusive entries",
    rules=lambda options: {**protecting_rules(options), "exclusive": 1},
    tables={"exclusive": Exclusive},
    rows=lambda options, sizes: {"exclusive": sizes.pages},
    facts=lambda w: {f"page {page}: exclusive": held for page, held in enumerate(w.exclusive.held.array.tolist())},
    protects=("anonymous",),
    matrix=(("exclusive_pte", "device-exclusive entries", "helper", {}),),
    expected=(
        Expected("Sometimes", tests=("K-1", "P-11", "A-2", "A-3")),
        Expected("Never", tests=("A-1", "P-7", "P-10", "P-12", "K-2", "K-3", "K-4", "M-1", "M-2")),
    ),
)
