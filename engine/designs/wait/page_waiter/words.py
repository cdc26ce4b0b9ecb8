"""Where page_waiter structures lie: on their tasks' kernel stacks."""

from __future__ import annotations

STACK_BASE, STACK_BYTES = -0x36FFFFFFC300, 0x4000
"""A waiter on the first task's stack: 0xffffc90000003d00 as a signed word; and from one stack to the next (4.16)."""
