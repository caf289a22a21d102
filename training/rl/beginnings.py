"""Thoughts that are begun, right or wrong, for a model to go on from, and Satori's marks of what each thought does (arXiv 2502.02508)."""

import random

from surefoot.training.ponder.data import TAGS, first_pass, opening
from surefoot.training.ponder.problems import TrainingProblem
from surefoot.training.ponder.steps import steps_of

CONTINUE, REFLECT, EXPLORE = ">", "?", "~"
ACTIONS = {"wait": REFLECT, "hmm": REFLECT, "alternatively": EXPLORE}
"""By the word that a re-check begins with; every other line continues."""
TRIES = 20
"""First passes that are drawn until one is wrong: a problem without a tricky step is hardly ever got wrong."""


def marked(thoughts: str) -> str:
    """Return thoughts with the mark of its action before each line."""
    lines = thoughts.splitlines(keepends=True)
    return "".join(ACTIONS.get(line.split(" ", 1)[0], CONTINUE) + line for line in lines)


def begun(
    problem: TrainingProblem, rng: random.Random, *, marks: bool, reflect: bool = False
) -> TrainingProblem:
    """Return a problem with a first pass in its prompt, wrong in half of the draws, as far as the problem has a step that is got wrong.

    With `reflect` the mark of a reflection comes last, as in the paper's restarts.
    """
    steps, wanted = steps_of(problem), rng.choice(("right", "wrong"))
    for _ in range(TRIES):
        claims = first_pass(steps, rng)
        is_right = steps.conclude(claims) == problem.answer
        if is_right == (wanted == "right"):
            break
    text = opening(steps, claims)
    return problem._replace(
        prompt=problem.prompt + TAGS[0] + (marked(text) if marks else text) + REFLECT * reflect,
        begun="right" if is_right else "wrong",
    )
