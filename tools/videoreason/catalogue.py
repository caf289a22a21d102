"""The six demos by name."""

from collections.abc import Mapping
from typing import Any

from surefoot.errors import BadInput

from .cards import CARDS
from .chips import CHIPS
from .circle import CIRCLE
from .cup import CUP
from .demo import Demo
from .files import FILES
from .number import NUMBER

DEMOS: Mapping[str, Demo[Any, Any]] = {demo.name: demo for demo in (NUMBER, CIRCLE, CUP, FILES, CARDS, CHIPS)}


def demo_named(name: str) -> Demo[Any, Any]:
    """Return a demo; raises `BadInput` if there is none of this name."""
    if name not in DEMOS:
        raise BadInput(f"there is no demo {name!r}: it is one of {', '.join(DEMOS)}")
    return DEMOS[name]
