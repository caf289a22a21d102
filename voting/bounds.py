"""Exact one-sided confidence bounds, in the standard library alone."""

import math
from collections.abc import Callable

from surefoot.errors import BadInput


def binomial_upper(hits: int, trials: int, confidence: float = 0.95) -> float:
    """Return the Clopper-Pearson upper bound of a probability seen `hits` times in `trials` independent trials.

    The largest probability under which so few hits still happen with probability 1 - confidence (Clopper and Pearson
    1934, Biometrika 26:404).  One-sided: exceeded by the truth in at most 1 - confidence of all experiments.
    """
    if trials < 1 or not 0 <= hits <= trials:
        raise BadInput(
            f"cannot bound a share of {hits!r} in {trials!r}: need 0 <= hits <= trials and a trial"
        )
    alpha = 1 - _confidence(confidence)
    return _first(lambda p: at_most(hits, trials, p) <= alpha, hits / trials)


def binomial_lower(hits: int, trials: int, confidence: float = 0.95) -> float:
    """Return the Clopper-Pearson lower bound: the upper one of the misses, seen from the other side."""
    return 1 - binomial_upper(trials - hits, trials, confidence)


def mean_upper(mean: float, count: int, confidence: float = 0.95) -> float:
    """Return an upper bound of the expectation of values in [0, 1], given the mean of `count` independent ones.

    The inverted Chernoff bound P(mean <= x) <= exp(-count KL(x, mu)) of Hoeffding 1963 (J. Am. Stat. Assoc. 58:13),
    theorem 1, where KL is the divergence between two coins.  It holds for every distribution on [0, 1], for finite
    samples, and (section 6 there) for sampling without replacement.
    """
    if count < 1 or not 0 <= mean <= 1:
        raise BadInput(
            f"cannot bound a mean of {mean!r} over {count!r} values: need values in [0, 1], at least one"
        )
    evidence = -math.log1p(-_confidence(confidence))
    return _first(lambda mu: count * _divergence(mean, mu) >= evidence, mean)


def count_needed(mean: float, target: float, confidence: float = 0.95) -> int | None:
    """Return how many independent values with this mean bring `mean_upper` below `target`; None if none can."""
    if target <= mean:
        return None
    return math.floor(-math.log1p(-_confidence(confidence)) / _divergence(mean, target)) + 1


def _first(holds: Callable[[float], bool], low: float) -> float:
    """Return the first float above `low` at which a predicate that turns true once does; 1.0 if it never does."""
    high = 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def at_most(hits: int, trials: int, p: float) -> float:
    """Return P(X <= hits) for X ~ Binomial(trials, p), with p above hits / trials."""
    choose = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
    last = math.exp(choose + hits * math.log(p) + (trials - hits) * math.log1p(-p))
    total = term = 1.0
    # Above hits / trials the terms only shrink on the way down, so the sum may stop at the first that is lost in it.
    for i in range(hits, 0, -1):
        term *= i * (1 - p) / ((trials - i + 1) * p)
        total += term
        if term < 1e-17 * total:
            break
    return last * total


def _divergence(x: float, mu: float) -> float:
    """Return the Kullback-Leibler divergence, in nats, of a coin with bias `x` from one with bias `mu`."""
    heads = x * math.log(x / mu) if x else 0.0
    tails = (1 - x) * (math.log1p(-x) - math.log1p(-mu)) if x < 1 else 0.0
    return heads + tails


def _confidence(value: float) -> float:
    if not 0.5 <= value < 1:
        raise BadInput(f"the confidence must be at least 0.5 and below 1, not {value!r}; try 0.95")
    return value
