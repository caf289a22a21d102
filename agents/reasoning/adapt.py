"""Adapt: how unsure a short answer is, how hard the question is, or both, say how long a model may think.

After PixelThink (arXiv 2505.23727), which trains with u = mean of 1 - (p1 - p2) over a response's tokens and a difficulty
d from outside, and AdaThink-Med (arXiv 2509.24560), with the mean of the 20 % highest token entropies; here the model
stays as it is.  PixelThink's own budget is a table: 96 words where d is below 3.5 of 10, no limit up to 5, and
256 + 25 u from there on.  The product d x u is its smooth form, and reaches from no thinking to all of it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from statistics import quantiles

from surefoot.errors import BadInput
from surefoot.models.base import ModelUnavailable, Prompt
from surefoot.models.streaming import Draw, Streaming, Token, whole_stream
from surefoot.voting.samples import NOTHING, Usage

from .control import Control, StreamState
from .probes import PROBING, Probing, forced

TOP = 20
"""Alternatives asked for in each place."""
TOLERANCE = 500
"""PixelThink's length score is 0 so many tokens over the budget."""

Measure = Callable[[Sequence[Token]], float]
"""Returns how uncertain the tokens of an answer are: 0 is sure."""
Difficulty = Callable[[Prompt], float]
"""Returns how hard a prompt is, from 0, which needs no thinking, to 1."""


def margin_uncertainty(tokens: Sequence[Token]) -> float:
    """Return the mean of 1 - (p1 - p2), 0 to 1, where p1 and p2 belong to the two likeliest tokens in each place."""
    values = []
    for token in tokens:
        first, second = [*sorted((math.exp(logprob) for _, logprob in token.top), reverse=True), 0.0, 0.0][:2]
        values.append(1 - (first - second))
    return math.fsum(values) / len(values)


def entropy_uncertainty(tokens: Sequence[Token], share: float = 0.2) -> float:
    """Return the mean of the highest `share` of the token entropies, in nats, at least one.

    Over the tokens listed; what they leave over counts as one more, so that this is never more than the true entropy.
    """
    entropies = sorted((_entropy(token) for token in tokens), reverse=True)
    highest = entropies[: max(1, math.ceil(share * len(entropies)))]
    return math.fsum(highest) / len(highest)


def _entropy(token: Token) -> float:
    listed = [math.exp(logprob) for _, logprob in token.top]
    return -math.fsum(p * math.log(p) for p in [*listed, 1 - math.fsum(listed)] if p > 0)


def length_score(tokens: int, budget: float, tolerance: float = TOLERANCE) -> float:
    """Return how well thinking of so many tokens has kept to a budget: 1 within it, 0 from `tolerance` tokens over it on.

    PixelThink's factor of the reward, min(1, max(0, 1 - (tokens - budget) / 500)).  Raises `BadInput` for a tolerance of 0 or less.
    """
    if not tolerance > 0:
        raise BadInput(f"a tolerance is more than 0 tokens, not {tolerance!r}")
    return min(1.0, max(0.0, 1 - (tokens - budget) / tolerance))


@dataclass(frozen=True, slots=True)
class Ramp:
    """From an uncertainty, times the difficulty if there is one, to a share of the budget.

    0 up to `sure`, 1 from `unsure` on, a straight line between.
    """

    sure: float = 0.0
    unsure: float = 1.0

    def __post_init__(self) -> None:
        if not self.sure < self.unsure:
            raise BadInput(f"a ramp needs sure < unsure, not {self.sure!r} and {self.unsure!r}")

    @classmethod
    def of(cls, uncertainties: Sequence[float]) -> "Ramp":
        """Return the ramp from the first to the last decile of what `Adapt.demand` was on problems of one's own.

        Raises `BadInput` if there are fewer than two, or if they hardly differ.
        """
        if len(uncertainties) < 2:
            raise BadInput(
                f"a ramp needs the uncertainties of 2 problems or more, not {len(uncertainties)!r}"
            )
        deciles = quantiles(uncertainties, n=10, method="inclusive")
        return cls(deciles[0], deciles[-1])

    def share(self, uncertainty: float) -> float:
        """Return the share, 0 to 1."""
        return min(1.0, max(0.0, (uncertainty - self.sure) / (self.unsure - self.sure)))


WHOLE = Ramp()


class Adapt(Control):
    """Gives each sample least + ramp(difficulty x uncertainty) x (most - least) tokens to think.

        Adapt(least=128)                             the uncertainty of a short answer alone
        Adapt(least=128, difficulty=hard)            times hard(prompt), 0 to 1
        Adapt(least=128, difficulty=hard, measure=None)    the difficulty alone: no short answer is drawn

        control = Adapt(difficulty=hard)
        seen = [(await control.demand(model, draw))[0] for draw in draws]     # of problems of one's own
        Reasoner(model, Adapt(least=128, difficulty=hard, ramp=Ramp.of(seen)))

    Measured, a difficulty that tells something is better alone than in the product (docs/thinking.md).

    `most` is the draw's own budget if absent, that of an `Elastic` before this control for instance.  With no tokens
    left to think the answer comes without thinking.
    """

    def __init__(
        self,
        least: int = 0,
        most: int | None = None,
        *,
        ramp: Ramp = WHOLE,
        measure: Measure | None = margin_uncertainty,
        difficulty: Difficulty | None = None,
        probing: Probing = PROBING,
    ) -> None:
        if least < 0 or (most is not None and most < least):
            raise BadInput(f"a thinking budget needs 0 <= least <= most, not {least!r} and {most!r}")
        if difficulty is not None and not callable(difficulty):
            raise BadInput(
                f"a difficulty is a function of the prompt that returns 0 to 1, not {difficulty!r}"
            )
        if measure is None and difficulty is None:
            raise BadInput("an adaptive budget needs a measure of uncertainty, a difficulty, or both")
        self.least = least
        self.most = most
        self.ramp = ramp
        self.measure = measure
        self.difficulty = difficulty
        self.probing = probing

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"adapt({self.least}-{'' if self.most is None else self.most})"

    async def uncertainty(self, model: Streaming, draw: Draw) -> tuple[float, Usage]:
        """Draw the short answer and return how uncertain it is, and what it has cost; 1 for nothing where nothing is measured."""
        if self.measure is None:
            return 1.0, NOTHING
        short = forced(StreamState(draw), 0, self.probing)
        found = await whole_stream(model, replace(short, top_logprobs=TOP))
        tokens = [token for token in found.tokens if token.top]
        if not tokens and found.text:
            raise ModelUnavailable(
                "the server lists no likeliest tokens, which uncertainty is made of: have it do so, or leave `Adapt` out"
            )
        # Nothing to be sure of: a model that cannot answer at once should think.
        return (self.measure(tokens) if tokens else max(1.0, self.ramp.unsure)), found.usage

    async def demand(self, model: Streaming, draw: Draw) -> tuple[float, Usage]:
        """Return difficulty x uncertainty, which the ramp turns into a share, and what finding it out has cost."""
        difficulty = 1.0 if self.difficulty is None else _between(self.difficulty(draw.prompt))
        if difficulty == 0:  # whatever the short answer is
            return 0.0, NOTHING
        uncertainty, usage = await self.uncertainty(model, draw)
        return difficulty * uncertainty, usage

    async def budget(self, model: Streaming, draw: Draw) -> tuple[int, Usage]:
        """Return how many tokens a draw may think, and what finding it out has cost."""
        demand, usage = await self.demand(model, draw)
        most = draw.max_tokens if self.most is None else self.most
        return round(self.least + (most - self.least) * self.ramp.share(demand)), usage

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        """Set the draw's budget, and book the short answer."""
        draw = state.draw
        budget, usage = await self.budget(model, draw)
        state.spend(usage)
        if budget == 0:
            state.draw = replace(draw, think=False, thinking_budget=None)
        else:
            enforced = None if draw.thinking_budget is None else budget
            state.draw = replace(draw, max_tokens=budget, thinking_budget=enforced)


def _between(difficulty: object) -> float:
    found = float(difficulty) if isinstance(difficulty, Real) else math.nan  # also one of numpy
    if not 0 <= found <= 1:
        raise BadInput(f"a difficulty is a number from 0 to 1, not {difficulty!r}")
    return found
