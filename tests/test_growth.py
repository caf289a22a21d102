"""The measure of growth that other tests rely on."""

import re
from collections.abc import Callable


def test_linear_work_has_the_slope_1(slope: Callable[..., float]) -> None:
    assert 0.8 < slope(lambda text: [ord(letter) for letter in text], lambda size: "a" * size) < 1.1


def test_quadratic_work_is_far_from_linear(slope: Callable[..., float]) -> None:
    tries_from_every_place = re.compile("a*b")
    # The least of several slopes counts, and a busy machine, which adds time to the small sizes, flattens the least one: 1.73
    # was seen.  Half-way between linear and quadratic is far beyond what any other test allows.
    assert slope(tries_from_every_place.search, lambda size: "a" * size, sizes=(2048, 8192, 32768)) > 1.5
