"""Checks of a step by a program: they raise a doubt, and decide nothing.

    arithmetic      one of surefoot's own
    units           one of an installed package: entry point `units` in the group `surefoot.checks`

As with tasks a journal holds the name alone, and names lead to what is part of surefoot or was installed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points

from surefoot.errors import BadInput
from surefoot.tools.answers.combining import combined
from surefoot.tools.answers.normal_forms import normal
from surefoot.voting.flags import NotAnAnswer

from .state import ActionStep

Check = Callable[[str, Sequence[ActionStep]], str | None]
"""Given the problem and the steps so far, says what is wrong with the last of them; None if nothing, or if it cannot tell.

The same steps must always be told the same: a job that is taken up again asks anew.
"""
GROUP = "surefoot.checks"

_WORD = re.compile(r"(\*\*|//|[-+*/%])|[-+(]*[\d.]*\)*", re.ASCII)
"""An operator, or a number with its sign and parentheses."""


def arithmetic(problem: str, steps: Sequence[ActionStep]) -> str | None:
    """Work out a step whose whole text is arithmetic with blanks around its operators, such as `21 + 8` or `21 + 8 = 29`.

    Other texts are not looked at, `2026-11-30` or `2 + 3 = 5 * 4 = 20` for example.  It is exact: a result that was rounded is wrong.  Whether the
    step is the one that the problem wants, it does not know.
    """
    step = steps[-1]
    formula, equals, right = step.text.partition("=")
    words = [_WORD.fullmatch(word) for word in formula.split()]
    if not all(words) or not any(word and word[1] for word in words):
        return None
    made = combined("formula", formula, ())
    try:
        found = normal(step.said, "number")
        if equals:
            normal(right, "number")
    except NotAnAnswer:
        return None
    if made is None or made == found:
        return None
    return f"{step.text} is not {step.said}"


CHECKS: Mapping[str, Check] = {"arithmetic": arithmetic}


def check_named(name: str) -> Check:
    """Return the check that is known by this name; `BadInput` if there is none, or it cannot be imported."""
    if name in CHECKS:
        return CHECKS[name]
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in installed:
        known = ", ".join([*CHECKS, *installed])
        raise BadInput(
            f"check {name!r} is not known here: take one of {known}, or install one by an entry point in the group {GROUP!r}"
        )
    try:
        found = installed[name].load()
    except Exception as error:
        raise BadInput(f"check {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise BadInput(f"check {name!r} leads to {found!r}, which cannot be called with a problem and steps")
    checked: Check = found
    return checked
