"""Route: answer at once where short answers agree, think only where they do not."""

import math
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import starmap

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Model
from surefoot.models.gather import as_they_end, in_order
from surefoot.models.streaming import Streaming
from surefoot.voting.samples import NOTHING, Sample, Usage

from .control import Control, StreamState
from .reasoner import derived


class NoThinking(Control):
    """Has a model that could think answer at once: by its chat template, or by thinking that was closed before it began.

    A template that cannot switch thinking off costs a second request: what the model begins to think is thrown away.
    """

    @property
    def name(self) -> str:
        """What reports call it."""
        return "no thinking"

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        """Leave the thinking out."""
        state.draw = replace(state.draw, think=False)


def majority_chance(first: int, second: int) -> float:
    """Return the chance that the answer with `first` votes is the more frequent of it and one with `second`.

    The Beta rule of Adaptive-Consistency (Aggarwal et al. 2023, arXiv 2305.11860): under a uniform prior 1 minus the
    distribution function of Beta(first + 1, second + 1) at 1/2, which for whole numbers is a sum of binomials.
    """
    trials = first + second + 1
    at_most: int = sum(math.comb(trials, hits) for hits in range(first + 1))
    return at_most / (1 << trials)


class Route:
    """A `Model` around two: `short` is asked first, `thinking` only if the short answers do not agree.

    `samples` short answers are drawn.  If by the Beta rule the most frequent one is the majority with a chance of at
    least `agree`, it is the answer; unanimous samples reach 0.9375 if they are 3 and 0.969 if they are 4.  Thinkless
    (arXiv 2505.13379) trains a model to choose; this needs no training.

        model = Route(Reasoner(server, NoThinking()), Reasoner(server), canonical=read_number)

    `canonical` makes answers comparable: text that means the same becomes the same value, text that is no answer None.
    A short answer that was cut off never counts.  The sample's usage is that of everything that was drawn for it.
    """

    def __init__(
        self,
        short: Model,
        thinking: Model,
        samples: int = 4,
        agree: float = 0.95,
        *,
        canonical: Callable[[str], Hashable | None] = str.strip,
        temperature: float = 0.7,
    ) -> None:
        """`temperature` is that of the short answers, not the ask's: greedy ones would always agree.

        Raises `BadInput` if not even unanimous samples could agree so surely.
        """
        if samples < 1 or not 0 < temperature <= 2:
            raise BadInput(
                f"routing needs at least one short answer at a temperature above 0 and up to 2, not {samples!r} at "
                f"{temperature!r}"
            )
        if not 0 < agree <= majority_chance(samples, 0):
            raise BadInput(
                f"{samples!r} short answers that all agree reach {majority_chance(samples, 0):.4f}: set agree above 0 "
                f"and up to that, not to {agree!r}, or draw more of them"
            )
        self._short = short
        self._thinking = thinking
        self._samples = samples
        self._agree = agree
        self._canonical = canonical
        self._temperature = temperature
        self.asked = 0
        """Asks answered."""
        self.thought = 0
        """Those of them that needed thinking."""

    @property
    def name(self) -> str:
        """The names of both models."""
        return f"route({self._short.name}, {self._thinking.name})"

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask and yield (position of the ask, sample) in the order of completion."""
        async with aclosing(as_they_end(starmap(self._one, enumerate(asks)))) as samples:
            async for pair in samples:
                yield pair

    async def _one(self, position: int, ask: Ask) -> tuple[int, Sample]:
        sure, spent = await self._at_once(ask)
        if sure is None:
            (thought,) = await in_order(self._thinking, [ask])
            self.thought += 1
            sure, spent = thought, spent + thought.usage
        self.asked += 1
        return position, Sample(sure.text, sure.finish, sure.tokens, spent)

    async def _at_once(self, ask: Ask) -> tuple[Sample | None, Usage]:
        """Return a short answer that is sure enough, None if there is none, and what that has cost."""
        shared = ask._replace(temperature=self._temperature)
        seeds = [derived(ask.seed, number) for number in range(self._samples)]
        drawn = await in_order(self._short, [shared._replace(seed=seed) for seed in seeds])
        spent = NOTHING
        answers: dict[Hashable, Sample] = {}
        votes: Counter[Hashable] = Counter()
        for sample in drawn:
            spent += sample.usage
            answer = self._canonical(sample.text) if sample.finish == "stop" else None
            if answer is not None:
                answers.setdefault(answer, sample)
                votes[answer] += 1
        (first, most), (_, second) = [*votes.most_common(2), (None, 0), (None, 0)][:2]
        if majority_chance(most, second) >= self._agree and most > second:
            return answers[first], spent
        return None, spent
