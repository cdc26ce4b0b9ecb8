"""The attachments, one per page, and their initial values."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.schema import I64, word

ATTACHMENT_BASE = -0x77FFA0000000
"""Start of the slab of page_attachment structures: 0xffff880060000000 as a signed word (direct map of 4.16)."""
ATTACHMENT_BYTES = 24


class Attachments(NamedTuple):
    """Row p is the attachment of page p: which one a page gets makes no difference."""

    base: I64 = word()  # mapping word saved while attached; 0 while it is not


def facts(w: Any) -> dict[str, str | int]:
    """Return the mapping kept in each attachment, for the explorer's stories."""
    bases = w.attachments.base.array.tolist()
    return {f"page_attachment {page}: mapping": f"{base & (1 << 64) - 1:#x}" for page, base in enumerate(bases)}
