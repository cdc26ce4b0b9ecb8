"""attachment: page->mapping points to a page_attachment, which keeps the mapping and knows who protects the page."""

from __future__ import annotations

from typing import Any, Literal

from engine.designs.card import Card, Expected, Pointers
from engine.designs.protect.attachment.tables import ATTACHMENT_BASE, ATTACHMENT_BYTES, Attachments, facts
from engine.designs.protect.options import ALL_ASK, WithPolicy, protecting_rules

TAG = 0x3
"""PAGE_MAPPING_RONLY: the tag of KSM pages, renamed."""


class Attachment(WithPolicy):
    """A page_attachment swapped into page->mapping."""

    design: Literal["attachment"] = "attachment"


def _rules(options: Any) -> dict[str, int]:
    return {**protecting_rules(options), "attaches": 1, "attach_tag": TAG, "ksm_locks": 1}


CARD = Card(
    name="attachment",
    axis="protect",
    package=__name__,
    title="page_attachment swapped into page->mapping",
    stands="Glisse, April 2018: generalise what KSM does with page->mapping, and let KSM be one of its users",
    options=Attachment,
    structures=(("page_attachment: ops, mapping, owner", ATTACHMENT_BYTES),),
    tag_bits=lambda options: TAG,
    needs="every reader of page->mapping goes through a helper; each place that makes an entry writable asks",
    label=lambda options: f"attachment, {options.words}",
    rules=_rules,
    tables={"attachments": Attachments},
    rows=lambda options, sizes: {"attachments": sizes.pages},
    facts=facts,
    pointers=(Pointers("page_attachment", ATTACHMENT_BASE, ATTACHMENT_BYTES),),
    lines=(1, 1, 1),  # the page_attachment
    protects=("shared", "private", "anonymous"),
    matrix=(
        ("attachment-break", "page_attachment, writes take the page back", "helper", {"policy": "break"}),
        ("attachment-wait", "page_attachment, writes wait", "helper", {"policy": "wait"}),
        ("attachment-refuse", "page_attachment, writes fail", "helper", {"policy": "refuse"}),
        (
            "attachment-posted",
            "page_attachment, only write fault and GUP ask",
            "helper",
            {"policy": "break", "paths": "posted"},
        ),
    ),
    expected=(
        Expected("Sometimes", tests=("P-1", "P-2", "P-5", "P-12"), rows=("attachment-posted",)),
        Expected("Sometimes", tests=("P-3", "P-10"), rows=("attachment-wait",)),
        Expected("Sometimes", tests=("P-11", "A-2", "A-3")),
        Expected("Never", tests=ALL_ASK),
    ),
)
