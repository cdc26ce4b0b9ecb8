"""Steps as C: what the translator takes means in C what it means in Python, and what it does not take is refused."""

from __future__ import annotations

import ctypes
import itertools
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.explore.worlds.to_c import NotInC, ToC

gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not here (Debian: apt-get install gcc)")
SIX, BIG, WORD = 6, -(1 << 40), np.uint64(0x61C8864680B583EB)
VALUES = (-(1 << 33), -7, -2, -1, 0, 1, 2, 3, 6, 63, 1 << 33)


def divided(a: int, b: int) -> int:
    return (a // 7) * 100 + b % 5 - (a + BIG) // -3


def decided(a: int, b: int) -> int:
    if a in (SIX, b) or not a & 1:
        return 1
    if 0 < a <= b and b != 3:
        return 2
    elif a == -7:
        return 3
    return 4 if a < b else ~a


def looped(a: int, b: int) -> int:
    total = 0
    for i in range(2, 9):
        if i == a:
            continue
        total += i << 3
        if total > 200:
            break
    while total > b and total > 10:
        total -= 7
    return total


def swapped(a: int, b: int) -> int:
    a, b = b, a
    one, two = a + b, a
    one, two = two, one
    return one * 3 - two + max(a, b) - min(a, 4)


def _helper(a: int, b: int) -> bool:
    return a > b


def called(a: int, b: int) -> int:
    big = _helper(a, b)
    small = _helper(b, a) and a != 1
    return (1 if big else 0) + 2 * small + int(bool(a)) * 4


def hashed(a: int, b: int) -> int:
    word: Any = np.uint64(a + (1 << 34))
    return int(np.int64((word * WORD) >> np.uint64(60)) ^ b)


def verb(name: str) -> int:
    raise AssertionError(f"no function here calls a verb: {name}")


def outside(group: str, column: str, row: str, stored: bool) -> str:
    raise AssertionError("no World here")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    to_c = ToC({}, outside, {}, verb)
    for function in (divided, decided, looped, swapped, called, hashed):
        to_c.call(function)
    folder = tmp_path_factory.mktemp("c")
    (folder / "told.c").write_text(
        "typedef long long I64; typedef unsigned long long U64;\n" + to_c.text().replace("static ", "")
    )
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", "told.so", "told.c"], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "told.so"))


@gcc
@pytest.mark.parametrize("function", [divided, decided, looped, swapped, called, hashed])
def test_given_a_function_when_told_in_c_then_it_returns_the_same(
    function: Callable[[int, int], int], library: Any
) -> None:
    in_c = getattr(library, f"test_to_c_{function.__name__}")
    in_c.argtypes, in_c.restype = (ctypes.c_longlong, ctypes.c_longlong), ctypes.c_longlong
    with np.errstate(over="ignore"):
        assert [in_c(a, b) for a, b in itertools.product(VALUES, VALUES)] == [
            function(a, b) for a, b in itertools.product(VALUES, VALUES)
        ]


def ruled(w: Any, a: int) -> int:
    if w.rules.publish and a > 1:
        return _helper(a, 2)
    if not w.rules.publish or a == 3:
        return 7
    return 8


def test_given_a_rule_when_it_rules_a_call_out_then_the_function_is_not_told() -> None:
    without, with_it = ToC({"publish": 0}, outside, {}, verb), ToC({"publish": 1}, outside, {}, verb)
    without.call(ruled)
    with_it.call(ruled)
    assert set(without.heads) == {"test_to_c_ruled"}
    assert set(with_it.heads) == {"test_to_c_ruled", "test_to_c__helper"}


def caught(a: int) -> int:
    try:
        return a
    finally:
        pass


def listed(a: int) -> int:
    return sum([a, a])


def mixed(a: int) -> int:
    return a and 3


@pytest.mark.parametrize(("function", "told"), [(caught, "Try"), (listed, "cannot call 'sum'"), (mixed, "and, or")])
def test_given_python_that_has_no_place_in_a_step_then_it_is_refused_with_its_line(
    function: Callable[[int], int], told: str
) -> None:
    with pytest.raises(NotInC, match=rf"test_to_c\.{function.__name__}, line \d+: .*({told})"):
        ToC({}, outside, {}, verb).call(function)
