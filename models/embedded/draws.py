"""How a token is drawn from logits: by a number that follows from the ask's seed and the token's position alone."""

import numpy as np
from numpy.typing import NDArray

from .arithmetic import Floats

TokenArray = NDArray[np.int64]


def uniform(seeds: NDArray[np.uint64], positions: TokenArray) -> NDArray[np.float64]:
    """Return numbers in [0, 1) that depend on seed and position alone: splitmix64 (Steele, Lea and Flood, 2014)."""
    state = _mixed(seeds) + (positions.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return (_mixed(state) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def choose_tokens(logits: Floats, temperatures: Floats, at: NDArray[np.float64]) -> TokenArray:
    """Pick the token at quantile `at` of each row of logits at its temperature; the likeliest at temperature 0.

    The quantiles run through the likeliest token first and then through the others: nearly every pick ends there.
    """
    likeliest: TokenArray = logits.argmax(axis=1)
    if not temperatures.any():
        return likeliest
    rows = np.arange(len(logits))
    shares = logits - logits[rows, likeliest][:, None]
    with np.errstate(over="ignore"):
        shares /= np.where(temperatures > 0, temperatures, 1)[:, None]
    np.exp(shares, out=shares)
    beyond = at * shares.sum(axis=1) - 1
    others = np.flatnonzero((temperatures > 0) & (beyond >= 0))
    shares[others, likeliest[others]] = 0
    sums = shares[others].cumsum(axis=1, dtype=np.float64)
    picked = (sums <= beyond[others, None]).sum(axis=1)
    # Rounding may leave the very last quantile beyond the sum of all.
    likeliest[others] = np.where(picked < logits.shape[1], picked, likeliest[others])
    return likeliest


def sure_tokens(logits: Floats, temperatures: Floats, at: NDArray[np.float64], margin: float) -> TokenArray:
    """Return the likeliest token of each row where `choose_tokens` picks it for sure; -1 where it may not.

    For sure: even if every difference of two logits of a row is wrong by `margin`.
    """
    rows, found = np.arange(len(logits)), logits.argmax(axis=1)
    others = logits - (logits[rows, found] - np.float32(margin))[:, None]
    others[rows, found] = -np.inf
    sure = others.max(axis=1) < 0
    with np.errstate(over="ignore"):
        others /= np.where(temperatures > 0, temperatures, 1)[:, None]
        np.exp(others, out=others)
    sure &= (temperatures == 0) | (at < 1 / (1 + others.sum(axis=1)))
    return np.where(sure, found, -1)


def logprobs_of(logits: Floats, tokens: TokenArray) -> NDArray[np.float64]:
    """Return the natural-log probability of a token of each row, at temperature 1."""
    rows = np.arange(len(logits))
    shares = logits - logits.max(axis=1)[:, None]
    chosen: NDArray[np.float64] = shares[rows, tokens].astype(np.float64)
    chosen -= np.log(np.exp(shares, out=shares).sum(axis=1, dtype=np.float64))
    return chosen


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
