"""The engine's tables against each other, and the hash against vectors computed from the kernel's own formula."""

from __future__ import annotations

import importlib
from typing import get_args

import numpy as np
import pytest

from engine.costs import COSTS
from engine.events import EVENTS, LANES, Kind
from engine.kernels import KERNELS
from engine.mm import steps
from engine.scenario import Costs, Kernel
from engine.world.build import hash_pages, make_world, page_addresses
from engine.world.rules import rules_of
from tests.worlds import scenario

# include/linux/hash.h: the bucket of pfn 0..9, and of some others, for two bases of the struct pages.
VECTORS = [
    (0xFFFFEA0000000000, dict(enumerate([102, 216, 74, 189, 47, 161, 19, 133, 247, 105]))),
    (0xFFFFEA0000000000, {0x1000: 127, 0x12345: 82, 0x100000: 128, 240: 102}),
    (0xFFFFEA0004000000, dict(enumerate([128, 242, 100, 215, 73, 187, 45, 159, 17, 131]))),
]


@pytest.mark.parametrize(("base", "buckets"), VECTORS)
def test_given_a_page_then_its_queue_is_the_kernels(base: int, buckets: dict[int, int]) -> None:
    asked = scenario("lock unlock")
    rules = rules_of(asked, 1, "4.16")
    w = make_world(rules, wait=asked.wait, n_pages=len(buckets), n_files=1)
    hash_pages(w, page_addresses(np.array(list(buckets)), base))
    assert w.pages.queue.array.tolist() == list(buckets.values())


def test_given_a_million_pages_then_the_hash_spreads_them_evenly() -> None:
    """As computed from the formula alone: between 4,089 and 4,101 of 2^20 consecutive pages in each of 256 queues."""
    pages = 1 << 20
    asked = scenario("lock unlock")
    w = make_world(rules_of(asked, 1, "4.16"), wait=asked.wait, n_pages=pages, n_files=1)
    hash_pages(w, page_addresses(np.arange(pages)))
    counts = np.bincount(w.pages.queue.array, minlength=256)
    assert (counts.min(), counts.max()) == (4089, 4101)


def test_every_step_has_its_name_and_its_function() -> None:
    for number, (name, path) in enumerate(steps.STEPS):
        assert steps.NUMBERS[name] == getattr(steps, name, number) == number
        module, _, function = path.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))


def test_every_choice_of_a_scenario_exists_in_the_engine() -> None:
    assert get_args(Kernel) == tuple(KERNELS)
    assert set(Costs.model_fields) - {"preset"} == set(COSTS)


def test_every_kind_of_event_is_told_and_drawn() -> None:
    assert set(EVENTS) == set(Kind)
    assert {event.lane for event in EVENTS.values()} == set(LANES)
