"""DeepConf: votes count by how sure the model was on the way, and thinking that loses its way is broken off.

Fu et al. 2025, arXiv 2508.15260.  The confidence of a token is C = -(1/k) sum of log P(j) over the k likeliest tokens in
its place: **higher is surer**, as a peaked distribution leaves the others next to nothing.  The paper's appendix leaves
the first of the k out and its code takes all that the server lists; here it is the first k listed, best first.
"""

import math
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from surefoot.errors import BadInput
from surefoot.models.base import Ask, ModelUnavailable
from surefoot.models.streaming import Draw, Piece, Streaming, Token
from surefoot.voting.samples import NOTHING, Usage
from surefoot.voting.weighting import WeightedVote, weighted

from .control import Control, Drop, StreamAction, StreamState, Watch
from .reasoner import DROPPED, Reasoner
from .thoughts import Thought

B = TypeVar("B", bound=Hashable)

FLOOR = -30.0
"""The least log-probability that counts.  Servers send -9999 for tokens that cannot come, or leave them out."""


def confidence(token: Token, k: int) -> float | None:
    """Return -mean log P over the `k` likeliest tokens, of which those not listed count `FLOOR`; None if none is."""
    listed = [max(logprob, FLOOR) for _, logprob in token.top[:k]]
    return -(math.fsum(listed) + FLOOR * (k - len(listed))) / k if listed else None


class Groups:
    """Confidence over a sliding window of tokens; a trace shorter than the window is one group."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._latest: deque[float] = deque()
        self._sum = 0.0
        self._lowest = math.inf

    def add(self, value: float) -> None:
        """Take the confidence of one more token in."""
        self._latest.append(value)
        self._sum += value
        if len(self._latest) > self._window:
            self._sum -= self._latest.popleft()
        if self.full:
            self._lowest = min(self._lowest, self.now)

    @property
    def full(self) -> bool:
        """Whether there have been as many tokens as the window holds."""
        return len(self._latest) == self._window

    @property
    def now(self) -> float:
        """Confidence of the latest group."""
        return self._sum / len(self._latest) if self._latest else 0.0

    @property
    def lowest(self) -> float:
        """The lowest group confidence so far."""
        return self._lowest if self._lowest < math.inf else self.now


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which about `share` percent of them lie, between neighbours by a straight line."""
    ordered = sorted(values)
    place = share / 100 * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


class DeepConf(Control):
    """Drops samples of *one question* whose group confidence falls below what its first samples needed.

    The first `warm_up` samples to finish set the threshold: the (100 - eta) percentile of their lowest group
    confidences, so that about eta percent of samples like them would pass.  eta=10 saves more and can cost accuracy
    (the paper's own tables: worse on 8 of 20); 90 is the safe choice.
    """

    def __init__(self, warm_up: int = 16, eta: float = 90.0, window: int = 2048, k: int = 20) -> None:
        """`window` is in tokens and should be a fraction of a trace: only full windows are judged."""
        if warm_up < 1 or window < 1 or k < 2 or not 0 < eta <= 100:
            raise BadInput(
                f"confidence needs warm_up and window of at least 1, k of at least 2 and 0 < eta <= 100, not "
                f"{warm_up!r}, {window!r}, {k!r} and {eta!r}"
            )
        self.warm_up = warm_up
        self.eta = eta
        self.window = window
        self.k = k
        self.finished: dict[int, float] = {}
        """Lowest group confidence of each sample that was not dropped nor empty, by the seed it was drawn with."""
        self.threshold: float | None = None
        """None as long as warming up."""

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"deepconf({self.eta:g})"

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        """Ask for the likeliest tokens in each place."""
        state.draw = replace(state.draw, top_logprobs=max(state.draw.top_logprobs, self.k))

    def watch(self, draw: Draw, model: Streaming) -> Watch:
        """Return a fresh watcher for one stream."""
        return _Judging(self, draw.seed)

    def finish(self, seed: int, lowest: float) -> None:
        """Take a sample in that came to its end."""
        self.finished[seed] = lowest
        if self.threshold is None and len(self.finished) >= self.warm_up:
            self.threshold = percentile(list(self.finished.values()), 100 - self.eta)


class _Judging(Watch):
    def __init__(self, control: DeepConf, seed: int) -> None:
        self._control = control
        self._seed = seed
        self._begin(0)
        self._state: StreamState | None = None

    def _begin(self, restarts: int) -> None:
        self._restarts = restarts
        self._groups = Groups(self._control.window)
        self._heard = self._listed = False

    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> StreamAction | None:
        self._state = state
        if state.restarts != self._restarts:
            self._begin(state.restarts)
        self._heard = self._heard or bool(piece.thought or piece.text)
        threshold = self._control.threshold
        for token in piece.tokens:
            value = confidence(token, self._control.k)
            if value is None:
                raise self._lists_nothing()
            self._listed = True
            self._groups.add(value)
            if threshold is not None and self._groups.full and self._groups.now < threshold:
                return Drop(f"group confidence {self._groups.now:.2f} is below {threshold:.2f}")
        # The tokens of a chunk come with its last piece, and so does its usage.
        if not self._listed and self._heard and (piece.usage.completion > 0 or piece.finish):
            raise self._lists_nothing()
        return None

    async def aclose(self) -> None:
        if self._state and self._listed and self._state.finish not in (None, DROPPED):
            self._control.finish(self._seed, self._groups.lowest)

    def _lists_nothing(self) -> ModelUnavailable:
        return ModelUnavailable(
            "the server lists no likeliest tokens, without which there is no confidence: have it list "
            f"{self._control.k} (vLLM: --max-logprobs), or leave `DeepConf` out"
        )


@dataclass(frozen=True, slots=True)
class Confident(Generic[B]):
    """What a confidence-weighted vote on one question came to: an opinion, not a decision that bounds a risk."""

    vote: WeightedVote[B] | None
    """None if no sample had an answer to vote with."""
    samples: int
    """Samples begun."""
    dropped: int
    """Those of them that were broken off, or whose confidence turned out to be below the threshold."""
    usage: Usage


async def confident_vote(
    reasoner: Callable[[Control], Reasoner],
    ask: Ask,
    control: DeepConf,
    *,
    canonical: Callable[[str], B | None],
    most: int = 64,
    at_once: int = 8,
    sure: float = 0.95,
) -> Confident[B]:
    """Vote on one question with `control`, which has to be new: warm up, then go on until the vote is sure.

    After the warm-up `at_once` samples are drawn at a time, until V(top) / V >= `sure` or `most` are drawn.  Sample i has
    seed ask.seed + i, so the result is repeatable where the model is.  `canonical` makes answers comparable; None is no
    answer.  Raises `BadInput` if `control` has been used.

        await confident_vote(lambda control: Reasoner(model, control), ask, DeepConf(), canonical=read_number)
    """
    if control.finished:
        raise BadInput("a DeepConf belongs to one question: make a new one for this vote")
    thinker = reasoner(control)
    answers: dict[int, B | None] = {}
    drawn, usage = 0, NOTHING
    while True:
        batch = min(at_once if drawn else control.warm_up, most - drawn)
        asks = [ask._replace(seed=ask.seed + number) for number in range(drawn, drawn + batch)]
        drawn += batch
        async with aclosing(thinker.sample(asks)) as samples:
            async for position, sample in samples:
                answers[asks[position].seed] = canonical(sample.text)
                usage += sample.usage
        valid = _valid(control, answers)
        vote = weighted(valid) if valid else None
        if drawn >= most or (vote and vote.share >= sure):
            return Confident(vote, drawn, drawn - len(valid), usage)


def _valid(control: DeepConf, answers: Mapping[int, B | None]) -> list[tuple[B, float]]:
    """Return answers and confidences of the samples that reach the threshold, in the order of their seeds."""
    lowest = control.threshold if control.threshold is not None else 0.0
    found = []
    for seed, answer in sorted(answers.items(), key=lambda pair: pair[0]):
        certainty = control.finished.get(seed)
        if answer is not None and certainty is not None and certainty >= lowest:
            found.append((answer, certainty))
    return found
