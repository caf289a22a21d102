"""How hard a planner's prompt is, for `Adapt`: from what is in it, before anybody thinks about it."""

from surefoot.models.base import Prompt

MOST_TOGETHER = 8
"""Pictures and observations that make a prompt as hard as any: one picture, and a little more than two rounds of three questions."""


def looking_difficulty(prompt: Prompt) -> float:
    """Return how much a planner of `Looking` has to put together: its pictures and what was seen of them, as a share of `MOST_TOGETHER`, at most 1.

        Sighted(Reasoner(model, Adapt(least=64, difficulty=looking_difficulty)), glance)

    Nothing is known of any other prompt, which counts as 1: there the uncertainty alone decides.
    """
    told = prompt[-1].content if prompt and not isinstance(prompt, str) else ""
    # A problem may hold anything, what comes after these lines is written on one line each.
    before, seen_there, seen = told.rpartition("\n\nSeen:\n")
    _, pictures_there, pictures = before.rpartition("\n\nPictures:\n")
    if not (seen_there and pictures_there):
        return 1.0
    observations = f"\n{seen}".count("\n- ")
    return min(1.0, (pictures.count("\n") + 1 + observations) / MOST_TOGETHER)
