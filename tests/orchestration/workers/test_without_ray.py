"""What is said of work on Ray where it cannot be done; with a cluster see tests/ray."""

import importlib.util

import pytest

from surefoot import Settings, Towers
from surefoot.errors import BadInput
from surefoot.models.doubles import towers_double
from surefoot.orchestration.workers import NoRay, OnRay, stitch_on_ray


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
async def test_without_ray_it_says_how_to_install_it_before_anything_is_asked() -> None:
    # Nothing listens there: whoever asked would wait, or fail in another way.
    with pytest.raises(NoRay, match=r"pip install 'surefoot\[ray\]'.*on every node"):
        await stitch_on_ray(
            Towers(4, "compact"),
            Settings(k=2),
            parts=2,
            redis="redis://127.0.0.1:1",
            model="http://127.0.0.1:1/v1",
        )


@pytest.mark.parametrize("numbers", [{"actors": 0}, {"actors": -1}, {"cpus": -0.5}, {"cpus": float("nan")}])
def test_numbers_that_cannot_be_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(BadInput):
        OnRay(**numbers)  # type: ignore[arg-type]


async def test_a_model_made_in_python_is_refused() -> None:
    with pytest.raises(BadInput, match="model"):
        await stitch_on_ray(Towers(4, "compact"), parts=2, redis="redis://h", model=towers_double())  # type: ignore[arg-type]
