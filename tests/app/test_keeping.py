"""The keeper ends with what it keeps, and tells at once why to stop."""

from __future__ import annotations

import threading
import time

import pytest

from app import keeping
from app.keeping import Held, Keeper
from app.store.jobs import Beat


def held(looked: threading.Event, told: Beat = "held") -> Held:
    def look() -> Beat:
        looked.set()
        return told

    return Held("run of a test", look, look, float("inf"), 1 << 62)


def test_given_a_run_that_ends_between_two_looks_then_its_keeper_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LOOK_S", 60.0)
    looked = threading.Event()
    with Keeper(held(looked), threading.Event()):
        assert looked.wait(20)
        began = time.monotonic()
    assert time.monotonic() - began < 30, "the next look was waited for"


def test_given_a_cancelled_run_when_somebody_waits_for_a_reason_then_it_is_woken() -> None:
    looked = threading.Event()
    with Keeper(held(looked, "cancel"), threading.Event()) as keeper:
        began = time.monotonic()
        keeper.wait(60.0)
        assert time.monotonic() - began < 30
        assert keeper.halt == "cancel"
