"""Which behaviours go into a prompt, and which of those proposed are new."""

from collections.abc import Sequence

from surefoot.errors import BadInput

from .behaviour import PREFIX, Behaviour, name_of
from .embedding import HASHED, Embedding, Vector, cosine

MOST = 8
"""Behaviours in a prompt: each costs tokens in every step."""
ALIKE = 0.8
"""Cosine from which on two behaviours say the same."""


async def retrieve(
    behaviours: Sequence[Behaviour],
    task: str | None = None,
    query: str = "",
    *,
    most: int = MOST,
    embedding: Embedding = HASHED,
) -> list[Behaviour]:
    """Return at most so many behaviours, in the order of their names.

    `task` keeps those for the tasks of this name.  Of too many the ones are taken that are most like `query`, the text of a
    problem; without a query those that succeeded most often, by (successes + 1) / (uses + 2), Laplace's rule.
    """
    if most < 0:
        raise BadInput(f"a prompt holds 0 behaviours or more, not {most!r}")
    fit = sorted(
        (each for each in behaviours if task in (None, each.task)), key=lambda each: (each.name, each.task)
    )
    if len(fit) <= most:
        return fit
    ranks = await _likeness(fit, query, embedding) if query else [_share(each) for each in fit]
    # Of equal ones those come first whose names do: sorting is stable.
    best = sorted(range(len(fit)), key=lambda place: -ranks[place])[:most]
    return [fit[place] for place in sorted(best)]


async def new_ones(
    known: Sequence[Behaviour],
    proposed: Sequence[Behaviour],
    *,
    alike: float = ALIKE,
    embedding: Embedding = HASHED,
) -> list[Behaviour]:
    """Return those of the proposed behaviours that are not there yet, in their order.

    One is there if another one for the same tasks has the same name in its normal form, or is alike: if the cosine of their vectors is at
    least `alike`.
    """
    every = [*known, *proposed]
    vectors = await embedding.embed([_text(each) for each in every])
    kept: list[tuple[Behaviour, Vector]] = [*zip(known, vectors, strict=False)]
    for each, vector in zip(proposed, vectors[len(known) :], strict=True):
        if not any(
            each.task == other.task
            and (name_of(each.name) == name_of(other.name) or cosine(vector, its) >= alike)
            for other, its in kept
        ):
            kept.append((each, vector))
    return [each for each, _ in kept[len(known) :]]


async def _likeness(behaviours: Sequence[Behaviour], query: str, embedding: Embedding) -> list[float]:
    asked, *vectors = await embedding.embed([query, *map(_text, behaviours)])
    return [cosine(asked, vector) for vector in vectors]


def _text(behaviour: Behaviour) -> str:
    return f"{behaviour.name.removeprefix(PREFIX).replace('_', ' ')}: {behaviour.instruction}"


def _share(behaviour: Behaviour) -> float:
    return (behaviour.successes + 1) / (behaviour.uses + 2)
