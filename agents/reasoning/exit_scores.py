"""How safe an exit looks: by the answer that is forced there, by the model's hidden states, or by both.  What is fitted here is calibrated after."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from operator import mul
from typing import Any, Literal, NamedTuple, get_args

from surefoot.errors import BadInput

from .probes import ProbeResult, needs

RIDGE = 1e-3
STATES_RIDGE = 0.05
"""Of a regression on hidden states, which has a weight for each of hundreds of numbers and a few thousand exits."""
FIT_STEPS = 400
"""Of projected gradient descent with Nesterov's momentum."""
POWERS = 100
FINEST = 1e-6
"""Probabilities closer to 1 than this are all the same to a score."""

CuePlace = Literal["before", "cue", "close"]
Vector = list[float]


class Forced(NamedTuple):
    """One forced exit: what was seen of it, and whether it was safe; a line of an events file."""

    trace: str
    cue: int
    """Number of the probe in its trace, from 0."""
    mean: float
    """Mean probability of the answer's tokens."""
    least: float
    """The smallest of them."""
    agreement: float
    """Share of the latest probes with the same answer."""
    safe: bool
    """Whether the answer was right."""
    states: tuple[float, ...] = ()
    """Hidden states there, of one layer after the other, where they were asked for."""


@dataclass(frozen=True, slots=True)
class StatesAt:
    """Which hidden states an exit is judged by.

    StatesAt("before", (3,))                   # at the token before the cue: there when the cue is, at no cost
    StatesAt("cue", (8, 16))                   # at the cue's last token (LYNX), known with the token after it
    StatesAt("close", (3,))                    # where the answer begins that is forced there, for one token more
    StatesAt("before", (3,), answer=True)      # together with what the forced answer tells
    """

    place: CuePlace
    layers: tuple[int, ...]
    """From 1; the last one is not normed."""
    answer: bool = False
    """Whether an answer is forced as well, and its features count."""

    def __post_init__(self) -> None:
        if self.place not in get_args(CuePlace):
            raise BadInput(f"states are read before a cue, at it or at the close, not {self.place!r}")
        if not self.layers or min(self.layers) < 1:
            raise BadInput(f"name one or more layers, from 1, not {self.layers!r}")


@dataclass(frozen=True, slots=True)
class Score:
    """How safe an exit looks, 0 to 1: a logistic function that rises with a feature or leaves it out.

    Probabilities count by the number of their nines, -log10(1 - p), as nearly all of them are close to 1.  Unfitted,
    the mean probability alone decides.
    """

    bias: float = 0.0
    mean: float = 1.0
    least: float = 0.0
    agreement: float = 0.0

    def of(self, seen: ProbeResult | Forced) -> float:
        """Return the score of a forced answer; raises `ModelUnavailable` where the server sends no probabilities."""
        return _logistic(_product((self.bias, self.mean, self.least, self.agreement), (1.0, *_told(seen))))

    @classmethod
    def fitted(cls, forced: Sequence[Forced]) -> "Score":
        """Fit a logistic regression with a small ridge and no weight below 0; the unfitted score if nothing tells."""
        if len({event.safe for event in forced}) < 2:
            return cls()
        rows = [(1.0, *_told(event)) for event in forced]
        columns = list(zip(*rows, strict=True))
        weights = _descended(
            lambda ahead: [_product(row, ahead) for row in rows],
            lambda off: [_product(column, off) / len(rows) for column in columns],
            [event.safe for event in forced],
            ridge=[0.0, RIDGE, RIDGE, RIDGE],
            floor=[-math.inf, 0.0, 0.0, 0.0],
        )
        return cls(*weights) if any(weights[1:]) else cls()


@dataclass(frozen=True, slots=True)
class StateScore:
    """How safe an exit looks, 0 to 1, by hidden states: a logistic regression on standardised numbers (the probe of LYNX, arXiv 2512.05325)."""

    at: StatesAt
    digest: str
    """Of the weights that the states come from."""
    centre: tuple[float, ...]
    """What is taken from each number; with `at.answer` the last three are those of the forced answer, as `Score` counts them."""
    spread: tuple[float, ...]
    """What it is divided by then."""
    weights: tuple[float, ...]
    bias: float

    def of(self, seen: ProbeResult | Forced) -> float:
        """Return the score; raises `BadInput` for states of another length."""
        numbers = _numbers(seen, self.at.answer)
        if len(numbers) != len(self.weights):
            raise BadInput(
                f"the score was fitted on {len(self.weights)} numbers of an exit, not on {len(numbers)}"
            )
        each = zip(numbers, self.centre, self.spread, self.weights, strict=True)
        return _logistic(self.bias + math.fsum((x - c) / s * w for x, c, s, w in each))

    @classmethod
    def fitted(cls, forced: Sequence[Forced], at: StatesAt, digest: str) -> "StateScore":
        """Fit on exits of both kinds, with a ridge; needs numpy.  Raises `BadInput` for exits without states, or of one kind only."""
        try:
            np: Any = import_module("numpy")
        except ImportError:
            raise BadInput(
                "a score of hidden states is fitted with numpy: `pip install 'surefoot[local]'`"
            ) from None
        if len({event.safe for event in forced}) < 2 or not all(event.states for event in forced):
            raise BadInput(
                f"a score of hidden states is fitted on safe and unsafe exits with their states, not on these {len(forced)}"
            )
        rows: Any = np.array([_numbers(event, at.answer) for event in forced])
        centre, spread = rows.mean(axis=0), rows.std(axis=0)
        spread[spread == 0] = 1.0
        scaled = np.hstack((np.ones((len(rows), 1)), (rows - centre) / spread))
        numbers = scaled.shape[1] - 1
        bias, *weights = _descended(
            lambda ahead: (scaled @ ahead).tolist(),
            lambda off: (scaled.T @ off / len(scaled)).tolist(),
            [event.safe for event in forced],
            ridge=[0.0, *[STATES_RIDGE] * numbers],
            floor=[-math.inf] * (numbers + 1),
        )
        return cls(at, digest, tuple(centre.tolist()), tuple(spread.tolist()), tuple(weights), bias)


def _numbers(seen: ProbeResult | Forced, answer: bool) -> tuple[float, ...]:
    return (*seen.states, *_told(seen)) if answer else seen.states


def _told(seen: ProbeResult | Forced) -> tuple[float, float, float]:
    """Return what a forced answer tells."""
    return _nines(needs(seen.mean)), _nines(needs(seen.least)), seen.agreement


def _descended(
    products: Callable[[Vector], Vector],
    slopes: Callable[[Vector], Vector],
    safe: Sequence[bool],
    *,
    ridge: Sequence[float],
    floor: Sequence[float],
) -> Vector:
    """Return the weights of a logistic regression, the constant's first: `products` of all rows with weights, mean `slopes` of all columns."""
    step = 1 / (_largest_eigenvalue(products, slopes, len(ridge)) / 4 + max(ridge))
    weights = ahead = [0.0] * len(ridge)
    for number in range(FIT_STEPS):
        off = [_logistic(x) - right for x, right in zip(products(ahead), safe, strict=True)]
        slope = [s + r * a for s, r, a in zip(slopes(off), ridge, ahead, strict=True)]
        before = weights
        weights = [max(a - step * s, least) for a, s, least in zip(ahead, slope, floor, strict=True)]
        momentum = number / (number + 3)
        ahead = [w + momentum * (w - b) for w, b in zip(weights, before, strict=True)]
    return weights


def _largest_eigenvalue(
    products: Callable[[Vector], Vector], slopes: Callable[[Vector], Vector], size: int
) -> float:
    """Return that of the columns' mean products, by powers from a start that has a part of every direction."""
    vector, length = [1 / (1 + number % 7) for number in range(size)], 1.0
    for _ in range(POWERS):
        vector = [value / length for value in slopes(products(vector))]
        length = math.hypot(*vector)
    return length


def _nines(p: float) -> float:
    return -math.log10(1 - min(p, 1.0) + FINEST)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-max(x, -500.0)))


def _product(a: Sequence[float], b: Sequence[float]) -> float:
    return float(sum(map(mul, a, b)))
