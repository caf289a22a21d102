"""How much to draft before it is verified: the arithmetic of speculative decoding, of tokens as of steps.

Leviathan et al. 2023 (arXiv 2211.17192): if each proposal is right with chance a, given those before it, then of k proposals, together
with the one that is certain, (1 - a^(k+1)) / (1 - a) are expected to be of use.  What that is worth is a matter of the time they take: where
a proposal costs the share c of a verification, the k is best that has the most of (1 - a^(k+1)) / ((1 - a) (1 + c k)).
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import mul


def expected_runs(acceptances: Iterable[float]) -> list[float]:
    """Return the expected runs of 0, 1, 2, ... proposals: the formula above, with an acceptance of its own for each distance.

    Each acceptance is a share of those proposals whose predecessors were all right.
    """
    return list(accumulate(accumulate(acceptances, mul, initial=1.0)))


def best_length(runs: Sequence[float], seconds: Sequence[float], enough: float = 1.0) -> int:
    """Return the fewest proposals that come to the share `enough` of the most useful ones a second.

    `runs` and `seconds` are those of 0, 1, 2, ... proposals; of the seconds only the ratios count.
    """
    rates = [run / time for run, time in zip(runs, seconds, strict=True)]
    least = enough * max(rates)
    return next(length for length, rate in enumerate(rates) if rate >= least)
