"""What a task says about a state that is only expected."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def hypothetically(otherwise: T, call: Callable[..., T], *given: object) -> T:
    """Return what a task's method says, or `otherwise` if it can do nothing with what it is given.

    For states that may never come true and answers that no election has decided on.  Should they come true, the same
    method is called on them in their turn, and raises there what is hidden here.
    """
    # ITS TURN
    try:
        return call(*given)
    except Exception:
        return otherwise
