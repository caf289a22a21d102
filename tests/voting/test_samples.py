"""Sums of what samples cost."""

import pytest

from surefoot.voting.samples import NOTHING, Usage


def test_u1_usage_adds_up() -> None:
    assert Usage(1, 0, 2, 0) + Usage(3, 0, 4, 0) == Usage(4, 0, 6, 0)
    assert sum([Usage(1, 1, 1, 1, 1)] * 3) == sum([Usage(1, 1, 1, 1, 1)] * 3, NOTHING) == Usage(3, 3, 3, 3, 3)
    with pytest.raises(TypeError):
        Usage(1) + (1, 2)  # noqa: RUF005


def test_what_was_not_counted_is_not_0() -> None:
    assert Usage(uncounted=2).known("total") is None
    assert Usage(3, uncounted=2).known("prompt") == 3
    assert NOTHING.known("total") == 0
