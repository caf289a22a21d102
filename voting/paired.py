"""Two ways compared on the same things: which is better, beyond noise."""

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

from surefoot.errors import BadInput

from .bounds import binomial_lower

FEWEST = 10
"""Values that a mean's interval needs: the expansion of Student's quantile is good to three digits from there on."""


class MeanInterval(NamedTuple):
    """A mean, and where its expectation lies."""

    mean: float
    low: float
    high: float


def beats(won: int, lost: int, confidence: float = 0.975) -> bool:
    """Whether one of two ways is better more often than not, by the exact one-sided sign test at level 1 - confidence.

    `won` and `lost` count the pairs in which it was better and worse; the others say nothing.  Of pairs of a right and a wrong answer this is
    McNemar's test in its exact form (McNemar 1947, Psychometrika 12:153): under the null each pair is a fair coin, and the test rejects where the
    Clopper-Pearson lower bound of the share of `won` exceeds one half.
    """
    return won > lost and binomial_lower(won, won + lost, confidence) > 0.5


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """Return the mean of independent values, and Student's two-sided interval for its expectation (Student 1908, Biometrika 6:1).

    Of the differences within pairs it is the paired t interval.  Exact for normal values, and close for others where there are dozens.  The
    quantile of t is the expansion 26.7.5 of Abramowitz and Stegun.  Raises `BadInput` for fewer than 10 values, and for
    one that is not finite.
    """
    # Of a confidence just below 1 the share is 1, as rounded.
    if len(values) < FEWEST or not 0.5 <= confidence < 1 or (share := (1 + confidence) / 2) == 1:
        raise BadInput(
            f"an interval needs {FEWEST} values and a confidence from 0.5 on, below 1, not {len(values)} and {confidence!r}"
        )
    if not all(map(math.isfinite, values)):
        raise BadInput(
            f"an interval needs finite values, not {next(v for v in values if not math.isfinite(v))!r}"
        )
    mean = fmean(values)
    half = _t(share, len(values) - 1) * stdev(values, mean) / math.sqrt(len(values))
    return MeanInterval(mean, mean - half, mean + half)


def _t(share: float, freedom: int) -> float:
    """Return the quantile of Student's t."""
    z = NormalDist().inv_cdf(share)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))
