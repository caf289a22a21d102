"""What the settings of bench/thinking.py are built from: the model, a meter, problems to calibrate on, and votes."""

import re
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from surefoot.agents.reasoning import exit_labels
from surefoot.agents.reasoning.deepconf import Confident, DeepConf, confident_vote
from surefoot.agents.reasoning.probes import Probing
from surefoot.agents.reasoning.reasoner import Control, Reasoner, StreamState, Watch
from surefoot.agents.reasoning.steer import Steer
from surefoot.agents.reasoning.thoughts import Cues, Thought
from surefoot.agents.reasoning.verifier import Opinion, RuleVerifier
from surefoot.models.base import Ask, Model
from surefoot.models.gather import in_order
from surefoot.models.streaming import Draw, Piece, Streaming
from surefoot.training.ponder.problems import TrainingProblem, answer_of
from surefoot.voting.samples import NOTHING, Sample

ANSWER_TOKENS = 8
THINK_TOKENS = 460
"""ponder reads 512 tokens: prompt, thoughts, guidance and answer."""
WARM_UP, WINDOW, LIKELIEST = 3, 32, 5
"""Samples, and tokens, of `DeepConf`: fewer than its defaults, as votes are few, traces short and the alphabet small."""
CUES = Cues(reflection=("wait", "hmm"), transition=("alternatively",), separator="\n")
PROBING = Probing(inducer="", tokens=ANSWER_TOKENS)

_CONCLUSION = re.compile(r"\bso (\d+)\n")


class Meter(Control):
    """Counts the tokens of thinking alone, which a sample's usage has together with those of probes."""

    name = "meter"

    def __init__(self) -> None:
        self.tokens = 0

    def watch(self, draw: Draw, model: Streaming) -> Watch:
        return _Metered(self)


class _Metered(Watch):
    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._state: StreamState | None = None

    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> None:
        self._state = state

    async def aclose(self) -> None:
        self._meter.tokens += self._state.tokens if self._state else 0


@dataclass(frozen=True, slots=True)
class Laboratory:
    """What a setting is built from."""

    model: Streaming
    calibration: Sequence[TrainingProblem]
    """Problems with answers that are not measured."""
    temperature: float
    slots: int
    meter: Meter = field(default_factory=Meter)
    collected: list[exit_labels.Collected] = field(default_factory=list)

    def reasoner(self, *controls: Control) -> Reasoner:
        # The meter first: it has to see a stream before another control ends it.
        every = (self.meter, *controls)
        return Reasoner(self.model, *every, answer_tokens=ANSWER_TOKENS, think_tokens=THINK_TOKENS, cues=CUES)

    async def forced(self) -> exit_labels.Collected:
        """Return forced exits of the calibration problems, collected once."""
        if not self.collected:
            found = await exit_labels.collect_exits(
                self.reasoner,
                [exit_labels.Problem(problem.prompt, problem.answer) for problem in self.calibration],
                probing=PROBING,
                temperature=self.temperature,
                at_once=self.slots,
            )
            self.collected.append(found)
        return self.collected[0]


class Built(NamedTuple):
    """A setting, ready to run."""

    model: Model
    note: Callable[[], str] = str
    """What is worth saying about it afterwards."""


class Setting(NamedTuple):
    control: str
    name: str
    build: Callable[[Laboratory], Awaitable[Built]]


class SteerLetters(Steer):
    """`Steer` for ponder: its tokens are letters, so it has no token for a word, but nothing else begins like its cues."""

    def __init__(self, bias: float) -> None:
        super().__init__(bias)
        self._each = bias

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        letters = await model.tokenize("".join(word[0] for word in CUES.reflection + CUES.transition))
        state.draw = replace(state.draw, logit_bias=tuple((letter, self._each) for letter in letters))


class Vote:
    """Several samples of a model, and the most frequent answer."""

    def __init__(self, model: Model, samples: int) -> None:
        self._model = model
        self._samples = samples

    @property
    def name(self) -> str:
        return f"majority of {self._samples} of {self._model.name}"

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for position, ask in enumerate(asks):
            many = [ask._replace(seed=ask.seed + number) for number in range(self._samples)]
            spent, votes = NOTHING, Counter[str | None]()
            for sample in await in_order(self._model, many):
                spent += sample.usage
                votes[answer_of(sample.text)] += 1
            del votes[None]
            text = votes.most_common(1)[0][0] if votes else ""
            yield position, Sample(text or "", usage=spent)


class Counted(RuleVerifier):
    """A verifier by rule that counts what a model would have been asked."""

    def __init__(self) -> None:
        super().__init__(conclusion)
        self.asked = 0

    async def concludes(self, thoughts: Sequence[str]) -> list[Opinion]:
        self.asked += len(thoughts)
        return await super().concludes(thoughts)

    async def same(self, pairs: Sequence[tuple[str, str]]) -> list[Opinion]:
        self.asked += len(pairs)
        return await super().same(pairs)


def conclusion(thought: str) -> str | None:
    """Return the answer that a thought of ponder's states."""
    found = _CONCLUSION.search(thought)
    return found[1] if found else None


class Confiding:
    """A confidence-weighted vote on each ask, as a model."""

    name = "confiding"

    def __init__(self, laboratory: Laboratory, most: int, eta: int, sure: float) -> None:
        self._laboratory = laboratory
        self._most, self._eta, self._sure = most, eta, sure
        self.asked = self.samples = self.dropped = self.undecided = 0

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for position, ask in enumerate(asks):
            found = await self._vote(ask)
            self.asked += 1
            self.samples += found.samples
            self.dropped += found.dropped
            self.undecided += found.vote is None
            yield position, Sample(found.vote.answer if found.vote else "", usage=found.usage)

    async def _vote(self, ask: Ask) -> Confident[str]:
        return await confident_vote(
            self._laboratory.reasoner,
            ask,
            DeepConf(WARM_UP, self._eta, WINDOW, LIKELIEST),
            canonical=answer_of,
            most=self._most,
            at_once=1 if self._sure <= 1 else self._most,
            sure=self._sure,
        )

    def note(self) -> str:
        asked = max(self.asked, 1)
        said = f"{self.samples / asked:.1f} samples, {self.dropped / asked:.1f} of them dropped"
        return said + f", {self.undecided} problems without a vote" * bool(self.undecided)
