"""Which key-value heads a model needs whole: told by the answers that it gives without, not by its loss.

RLKV (arXiv 2510.08525) trains gates by reinforcement learning, since a head whose window costs no loss on a finished text may still be what
keeps a text from running on without end.  With the tens of heads of a micro model the same reward can be had of each head directly.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from surefoot.errors import BadInput

from .heads import SINKS, WINDOW, CacheShape, CompressedKV, Head


class Trial(NamedTuple):
    """What a setting came to on some problems."""

    right: float
    """Share of right answers; a text that did not end is not right."""
    tokens: float
    """Mean length of a text."""
    unfinished: float
    """Share of texts that ran into the limit: what over-compression shows as."""


Evaluate = Callable[[CompressedKV | None], Awaitable[Trial]]
"""Lets a model with such a cache, or with a whole one, solve the same problems with the same seeds each time."""


class HeadStudy(NamedTuple):
    """What each head is worth, and what may be windowed."""

    plain: Trial
    alone: dict[Head, Trial]
    """With this head alone windowed."""
    chosen: CompressedKV
    trial: Trial
    """With all that were chosen."""

    def ranked(self) -> list[Head]:
        """Return the heads by what windowing them alone costs, the least first; equal ones by the tokens it adds."""
        return sorted(self.alone, key=lambda head: (-self.alone[head].right, self.alone[head].tokens, head))

    @property
    def important(self) -> frozenset[Head]:
        """The heads that are kept whole."""
        return frozenset(self.alone) - self.chosen.windowed

    def wrong_heads(self) -> CompressedKV:
        """Return the control: as many whole heads, but those whose window costs least, the important ones being windowed."""
        whole = self.ranked()[: len(self.important)]
        kept = self.chosen
        return CompressedKV(frozenset(self.alone) - frozenset(whole), kept.sinks, kept.window)


async def study_heads(
    shape: CacheShape,
    evaluate: Evaluate,
    *,
    sinks: int = SINKS,
    window: int = WINDOW,
    tolerated: float = 0.02,
) -> HeadStudy:
    """Window each head alone, then more and more of them, greedily, as long as the share of right answers holds.

    Heads are taken in the order of what they cost alone, and one that takes the whole below `plain.right - tolerated` is left whole.
    That makes 2 x heads + 1 evaluations.  Choices overfit the problems of `evaluate`: measure what comes of it on others.
    """
    if not 0 <= tolerated < 1:
        raise BadInput(f"the share of answers that may be lost lies from 0 to below 1, not {tolerated!r}")
    plain = await evaluate(None)
    alone = {head: await evaluate(CompressedKV({head}, sinks, window)) for head in shape.every}
    study = HeadStudy(plain, alone, CompressedKV((), sinks, window), plain)
    for head in study.ranked():
        wider = CompressedKV(study.chosen.windowed | {head}, sinks, window)
        trial = await evaluate(wider)
        if trial.right >= plain.right - tolerated:
            study = study._replace(chosen=wider, trial=trial)
    return study
