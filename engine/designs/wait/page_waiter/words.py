"""Addresses of page_waiter structures, on their tasks' kernel stacks."""

from __future__ import annotations

STACK_BASE, STACK_BYTES = -0x36FFFFFFC300, 0x4000
"""A waiter on the first task's stack, 0xffffc90000003d00 as a signed word; the distance between stacks (4.16)."""
