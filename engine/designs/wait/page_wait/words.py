"""Addresses of page_wait structures, and the number of wait queues in each."""

from __future__ import annotations

WAIT_BITS = 3
"""Wait bits of a page_wait: PG_locked, PG_writeback, PG_private_2 (N = 3)."""
PAGE_WAIT_BYTES = 136
"""sizeof(struct page_wait) with three wait bits on x86-64; the distance between objects of a slab."""
PAGE_WAIT_BASE = -0x77FFC0000000
"""Start of the slab of page_wait structures: 0xffff880040000000 as a signed word (direct map of 4.16)."""
