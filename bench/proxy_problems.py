"""Word problems with one number for an answer, in the style of GSM8K, and the double that knows them but for a known share of its samples."""

import random
import re

from surefoot.models.base import Prompt
from surefoot.models.doubles import Double

_TOLD = re.compile(r"has (\d+) boxes of (\d+) apples and gives (\d+)")


def problem(number: int) -> str:
    """Return problem `number`."""
    rng = random.Random(number)
    boxes, each, given = rng.randrange(3, 40), rng.randrange(3, 40), rng.randrange(1, 9)
    return (
        f"{number}. Ann has {boxes} boxes of {each} apples and gives {given} away. How many has she left? "
        "End with a line `#### NUMBER`."
    )


def right(number: int) -> int:
    """Return its answer."""
    return _solved(problem(number))


def sums(
    error: float, latency_s: float = 0.0, *, hard: float = 0.0, hard_error: float = 0.5, alike: bool = False
) -> Double:
    """Return a double that is wrong in that share of its samples, and more often at a share of `hard` problems; `alike`: always the same wrong answer."""

    def said(prompt: Prompt, off: int) -> str:
        answer = _solved(prompt if isinstance(prompt, str) else prompt[-1].content) + off
        return f"She has boxes times apples, less what she gives.\n#### {answer}"

    return Double(
        lambda prompt: said(prompt, 0),
        lambda prompt, which: said(prompt, 1 if alike else 1 + which % 20),
        error=error,
        hard=hard,
        hard_error=hard_error,
        latency=latency_s,
        seed=11,
    )


def _solved(text: str) -> int:
    found = _TOLD.search(text)
    if found is None:
        return 42  # the probe of a client asks other things
    boxes, each, given = map(int, found.groups())
    return boxes * each - given
