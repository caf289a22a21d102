"""The measure of growth that other tests rely on."""

import re
from collections.abc import Callable


def test_linear_work_has_the_slope_1(slope: Callable[..., float]) -> None:
    assert 0.8 < slope(lambda text: [ord(letter) for letter in text], lambda size: "a" * size) < 1.1


def test_quadratic_work_has_the_slope_2(slope: Callable[..., float]) -> None:
    tries_from_every_place = re.compile("a*b")
    assert slope(tries_from_every_place.search, lambda size: "a" * size, sizes=(2048, 8192, 32768)) > 1.8
