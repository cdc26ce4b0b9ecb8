"""Random draws that are the same on every machine: one counter-based stream per task, fixed-point distributions.

splitmix64 (Steele, Lea, Flood 2014): state_i(0) = mix(seed + (i+1) * GAMMA), then state += GAMMA and mix for each draw.
No draw uses a floating-point function, so the bits depend only on the seed, the task and the number of the draw.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.schema import Column
from engine.world.jit import inlined

GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S20, _S27, _S30, _S31, _S32, _S52 = (np.uint64(bits) for bits in (20, 27, 30, 31, 32, 52))
_LOW32, _ONE = np.uint64(0xFFFFFFFF), np.uint64(1)


@inlined
def mix(z: Any) -> Any:
    """Scramble 64 bits (uint64 -> uint64)."""
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@inlined
def draw(streams: Column, task: int) -> Any:
    """Return the task's next 64 random bits."""
    z: Any = streams[task] + GAMMA
    streams[task] = z
    return mix(z)


@inlined
def exponential(streams: Column, task: int, table: Column, mean: int) -> Any:
    """Return 1 + an exponential draw of this mean in ns (at most 2^38), from the inverse CDF in 20-bit fixed point."""
    r = draw(streams, task)
    k = r >> _S52
    f = (r >> _S20) & _LOW32
    low: Any = table[k]
    q = low + (((table[k + _ONE] - low) * f) >> _S32)
    return np.int64(_ONE + ((q * np.uint64(mean)) >> _S20))


@inlined
def alias_pick(streams: Column, task: int, threshold: Column, alias: Column, offset: int, count: int) -> Any:
    """Return a row in 0..count-1 by Walker's alias method; the tables' rows begin at offset."""
    r = draw(streams, task)
    k = ((r >> _S32) * np.uint64(count)) >> _S32
    row = np.uint64(offset) + k
    return np.int64(k) if (r & _LOW32) < np.uint64(threshold[row]) else np.int64(alias[row])


def exponential_table() -> NDArray[np.uint64]:
    """Return the inverse CDF of the unit exponential at 4,096 steps plus an end point, 20-bit fixed point, (4097,)."""
    steps = [round(-math.log1p(-i / 4096) * (1 << 20)) for i in range(4096)]
    return np.array([*steps, steps[-1] + (1 << 20)], np.uint64)


def alias_table(count: int, exponent: float) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return Walker's threshold (32-bit) and alias for weights 1/(i+1)^exponent, each of shape (count,).

    Vose's construction; weights are first truncated to multiples of 2^-40, so the last bit of pow hardly matters.
    """
    weights = [math.floor(math.ldexp(math.pow(i, -exponent), 40)) for i in range(1, count + 1)]
    total = sum(weights)
    share = [float(w) * count / total for w in weights]
    alias = list(range(count))
    small = [i for i in range(count) if share[i] < 1.0]
    large = [i for i in range(count) if share[i] >= 1.0]
    while small and large:
        short, long = small.pop(), large.pop()
        alias[short] = long
        share[long] -= 1.0 - share[short]
        (small if share[long] < 1.0 else large).append(long)
    for i in small + large:
        share[i] = 1.0
    threshold = np.minimum(np.floor(np.array(share) * 2.0**32), 2.0**32 - 1).astype(np.uint32)
    return threshold, np.array(alias, np.uint32)


def seed_streams(seed: int, count: int) -> NDArray[np.uint64]:
    """Return the first state of each task's stream, shape (count,)."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * GAMMA
        z = (z ^ (z >> _S30)) * _M1
        z = (z ^ (z >> _S27)) * _M2
        scrambled: NDArray[np.uint64] = z ^ (z >> _S31)
        return scrambled
