"""Shared by every room's tests."""

import gc
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Laws are checked on as many examples as it takes; a busy machine is no reason to fail.
settings.register_profile("surefoot", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("surefoot")

KILO = 1024
SIZES = (KILO, 4 * KILO, 16 * KILO, 64 * KILO, 256 * KILO, 1024 * KILO, 4096 * KILO)
"""What a growth test tries, in characters or bytes."""
ENOUGH_S = 0.005
"""CPU time below which a measurement is repeated within itself: the clock is coarse."""
LINEAR = 1.1
"""The largest slope of what takes time in proportion, as noise leaves it."""
REPETITIONS = 3
TRIES = 5
TOO_LONG_S = 4.0
"""CPU time after which larger inputs are not tried: what takes so long has shown how it grows."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def slope() -> Callable[..., float]:
    """Return the function that measures how the CPU time of some work grows with its input.

        assert slope(parse, lambda size: "[" * size) <= 1.1    # `parse("[" * 1024)`, ..., `parse("[" * 4194304)`

    1 is linear, 2 quadratic.  What makes the input is not measured.
    """
    return growth


def growth(work: Callable[[Any], object], of: Callable[[int], Any], sizes: Sequence[int] = SIZES) -> float:
    """Return the least slope of up to `TRIES` measurements, or the first that is linear.

    Other work on the machine takes caches and cores away for a while, which tilts one line; what is quadratic tilts them all.
    """
    least = math.inf
    for _ in range(TRIES):
        least = min(least, _line(work, of, sizes))
        if least <= LINEAR:
            break
    return least


def _line(work: Callable[[Any], object], of: Callable[[int], Any], sizes: Sequence[int]) -> float:
    """Return the slope of a line through (log size, log of CPU time).

    Noise only ever adds time.  Added to a smaller size it would flatten the line and hide growth: these are measured
    `REPETITIONS` times, and the least counts.  Added to the largest, which takes longest, it can only make the line steeper.
    """
    points = []
    gc.collect()
    for size in sizes:
        given = of(size)
        least_s = min(_cpu_s(work, given) for _ in range(1 if size == sizes[-1] else REPETITIONS))
        points.append((math.log(size), math.log(least_s)))
        if least_s > TOO_LONG_S and len(points) > 2:
            break
    across = sum(x for x, _ in points) / len(points)
    up = sum(y for _, y in points) / len(points)
    return sum((x - across) * (y - up) for x, y in points) / sum((x - across) ** 2 for x, _ in points)


def _cpu_s(work: Callable[[Any], object], given: Any) -> float:
    """Return the CPU seconds of this thread that one call takes: what else the machine does is not among them."""
    gc.disable()
    try:
        calls, started = 0, time.thread_time()
        while (spent := time.thread_time() - started) < ENOUGH_S or not calls:
            work(given)
            calls += 1
        return spent / calls
    finally:
        gc.enable()
