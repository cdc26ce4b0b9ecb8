"""Litmus tests of writeback: W-1, a wait that ends for the wrong writeback, and W-2, a page freed before the wake."""

from __future__ import annotations

import pytest

from engine.kernels import KERNELS
from tests.worlds import Stage

every_kernel = pytest.mark.parametrize("kernel", KERNELS)


@every_kernel
def test_w1_a_wake_of_the_writeback_before_lets_a_writer_through_where_the_wait_is_not_repeated(kernel: str) -> None:
    """T0 clears PG_writeback and is delayed; T1 writes the page back again; T2 locks it and waits; T0 wakes T2."""
    writer = "lock writeback_begin unlock"
    stage = Stage(f"{writer} writeback_end", f"{writer} hold writeback_end", writer, kernel=kernel)
    stage.until(0, "WRITEBACK_END")
    told = stage.play("0")
    assert told[-1] == "0 writeback_ended"
    stage.until(1, "HOLD")
    stage.sleep(2)
    if kernel == "6.7+":  # one XOR cleared the bit and saw nobody waiting
        assert "0 walk_ended" not in stage.sleep(0)
    else:
        assert "2 waiter_woken" in stage.sleep(0) or kernel in ("4.13", "4.16")
    stage.sleep(2)
    assert stage.broke() == ({"bug_on"} if kernel in ("5.9-rc", "5.9", "5.10") else set())
    if kernel not in ("5.9-rc", "5.9", "5.10"):
        stage.sleep(1)
        assert "2 writeback_started" in stage.sleep(2)
        assert not stage.broke()


@every_kernel
def test_w2_a_page_freed_between_the_clearing_of_the_bit_and_the_wake_is_touched_before_5_10(kernel: str) -> None:
    """T0 clears PG_writeback; truncation takes the page's last reference; T0 reads PG_waiters."""
    stage = Stage(
        "lookup lock writeback_begin unlock put writeback_end", "truncate", "lookup put", kernel=kernel, pinned=False
    )
    stage.until(0, "WRITEBACK_END")
    stage.play("0")
    told = stage.sleep(1)
    freed = "1 page_freed" in told
    assert freed == (kernel not in ("5.10", "6.1", "6.7+"))
    told = stage.sleep(0)
    assert stage.broke() == ({"use_after_free"} if freed else set())
    assert ("0 page_freed" in told) == (not freed)
    assert "2 lookup_retried" in stage.sleep(2)
