"""Adapt: a short answer, given at once, says how uncertain the model is, and that says how long it may think.

After PixelThink (arXiv 2505.23727), which trains with u = mean of 1 - (p1 - p2) over a response's tokens, and
AdaThink-Med (arXiv 2509.24560), with the mean of the 20 % highest token entropies; here the model stays as it is.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import quantiles

from surefoot.errors import BadInput
from surefoot.models.base import ModelUnavailable
from surefoot.models.streaming import Draw, Streaming, Token, whole_stream
from surefoot.voting.samples import Usage

from .control import Control, StreamState
from .probes import PROBING, Probing, forced

TOP = 20
"""Alternatives asked for in each place."""

Measure = Callable[[Sequence[Token]], float]
"""Returns how uncertain the tokens of an answer are: 0 is sure."""


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


@dataclass(frozen=True, slots=True)
class Ramp:
    """From an uncertainty to a share of the budget: 0 up to `sure`, 1 from `unsure` on, a straight line between."""

    sure: float = 0.0
    unsure: float = 1.0

    def __post_init__(self) -> None:
        if not self.sure < self.unsure:
            raise BadInput(f"a ramp needs sure < unsure, not {self.sure!r} and {self.unsure!r}")

    @classmethod
    def of(cls, uncertainties: Sequence[float]) -> "Ramp":
        """Return the ramp from the first to the last decile of uncertainties seen on problems of one's own.

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
    """Gives each sample between `least` and `most` tokens to think, by the uncertainty of a short answer.

        seen = [(await Adapt().uncertainty(model, draw))[0] for draw in draws]     # of problems of one's own
        Reasoner(model, Adapt(least=128, ramp=Ramp.of(seen)))

    `most` is the draw's own budget if absent, that of an `Elastic` before this control for instance.  With no tokens
    left to think the answer comes without thinking.
    """

    def __init__(
        self,
        least: int = 0,
        most: int | None = None,
        *,
        ramp: Ramp = WHOLE,
        measure: Measure = margin_uncertainty,
        probing: Probing = PROBING,
    ) -> None:
        if least < 0 or (most is not None and most < least):
            raise BadInput(f"a thinking budget needs 0 <= least <= most, not {least!r} and {most!r}")
        self.least = least
        self.most = most
        self.ramp = ramp
        self.measure = measure
        self.probing = probing

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"adapt({self.least}-{'' if self.most is None else self.most})"

    async def uncertainty(self, model: Streaming, draw: Draw) -> tuple[float, Usage]:
        """Draw the short answer and return how uncertain it is, and what it has cost."""
        short = forced(StreamState(draw), 0, self.probing)
        found = await whole_stream(model, replace(short, top_logprobs=TOP))
        tokens = [token for token in found.tokens if token.top]
        if not tokens and found.text:
            raise ModelUnavailable(
                "the server lists no likeliest tokens, which uncertainty is made of: have it do so, or leave `Adapt` out"
            )
        # Nothing to be sure of: a model that cannot answer at once should think.
        return (self.measure(tokens) if tokens else self.ramp.unsure), found.usage

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        """Set the draw's budget, and book the short answer."""
        draw = state.draw
        uncertainty, usage = await self.uncertainty(model, draw)
        state.spend(usage)
        most = draw.max_tokens if self.most is None else self.most
        budget = round(self.least + (most - self.least) * self.ramp.share(uncertainty))
        if budget == 0:
            state.draw = replace(draw, think=False, thinking_budget=None)
        else:
            enforced = None if draw.thinking_budget is None else budget
            state.draw = replace(draw, max_tokens=budget, thinking_budget=enforced)
