"""What a run is: each paper a value of `Recipe`, each ablation one field of it changed.

A recipe knows no torch: what is drawn reaches it as `TrainingSample`s, and it says how much each is worth.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from statistics import fmean
from typing import Literal, NamedTuple

from surefoot.agents.reasoning.adapt import TOLERANCE
from surefoot.errors import BadInput
from surefoot.training.ponder.data import CLOSE, TAGS
from surefoot.training.ponder.problems import DIFFICULTIES, TrainingProblem, answer_of

from .advantages import Normalisation
from .rewards import (
    NOTHING_KNOWN,
    RunningMeans,
    Uncertainty,
    adathink_rewards,
    coat_reward,
    elastic_reward,
    pixelthink_budget,
    pixelthink_reward,
    thinkless_reward,
    truncation_reward,
)

SOLUTION_TOKENS = 8
"""Longest answer of ponder, its end included, and some to spare."""
PIXELTHINK_DIFFICULTY = {"sum2": 2.5, "chain3": 3.0, "sum4": 5.0, "chain6": 6.0}
"""0 to 10, where the paper asks another model: steps; the column of a sum, which adds a carry, is one and a quarter."""
PIXELTHINK_SCALE = 0.25
"""Of the paper's numbers of tokens."""
HIGHEST = 0.2
"""Share of a response's tokens whose entropies AdaThink-Med looks at: the highest."""


class TrainingSample(NamedTuple):
    """What was drawn for a problem."""

    problem: TrainingProblem
    text: str
    """With its tags; without the end token."""
    tokens: int
    """That the model wrote itself, its end included."""
    ended: bool
    """Whether it ended before the limit of tokens cut it."""
    uncertainties: Sequence[float] = ()
    """Of its tokens, if the recipe asks for them."""

    @property
    def right(self) -> bool:
        """Whether it ended with the right answer."""
        return self.ended and answer_of(self.text) == self.problem.answer

    @property
    def thought(self) -> bool:
        """Whether there is anything between the tags."""
        return not self.text.startswith("".join(TAGS))

    @property
    def solution_tokens(self) -> int:
        """Tokens after the thoughts; ponder's are characters, and one for the end."""
        return len(self.text.rpartition(TAGS[1])[2]) + self.ended


Rewards = Callable[[Sequence[TrainingSample], "Recipe", RunningMeans], tuple[list[float], RunningMeans]]
"""What samples are worth, whole groups of them, and what is to be known at the next round; from what was known before."""


def of_each(reward: Callable[[TrainingSample, "Recipe"], float]) -> Rewards:
    """Make rewards of a reward that knows nothing of other samples."""

    @wraps(reward)
    def rewards(
        samples: Sequence[TrainingSample], recipe: "Recipe", means: RunningMeans
    ) -> tuple[list[float], RunningMeans]:
        return [reward(sample, recipe) for sample in samples], means

    return rewards


@of_each
def within_limit(sample: TrainingSample, recipe: "Recipe") -> float:
    """Return DLER's reward."""
    return truncation_reward(float(sample.right), sample.tokens, recipe.limit)


@of_each
def within_budget(sample: TrainingSample, recipe: "Recipe") -> float:
    """Return Elastic Reasoning's reward."""
    return elastic_reward(float(sample.right), sample.solution_tokens, SOLUTION_TOKENS)


@of_each
def worth_thinking(sample: TrainingSample, recipe: "Recipe") -> float:
    """Return Thinkless's reward."""
    return thinkless_reward(sample.right, sample.thought)


@of_each
def within_thinking_budget(sample: TrainingSample, recipe: "Recipe") -> float:
    """Return PixelThink's reward."""
    budget = pixelthink_budget(PIXELTHINK_DIFFICULTY[sample.problem.difficulty], fmean(sample.uncertainties))
    return pixelthink_reward(
        float(sample.right), sample.tokens, budget * PIXELTHINK_SCALE, TOLERANCE * PIXELTHINK_SCALE
    )


@of_each
def repaired(sample: TrainingSample, recipe: "Recipe") -> float:
    """Return Satori's reward."""
    return coat_reward(sample.right, sample.problem.begun)


def by_difficulty(
    samples: Sequence[TrainingSample], recipe: "Recipe", means: RunningMeans
) -> tuple[list[float], RunningMeans]:
    """Return AdaThink-Med's rewards."""
    return adathink_rewards(
        [sample.right for sample in samples],
        [sample.tokens for sample in samples],
        [_highest(sample.uncertainties) for sample in samples],
        group=recipe.group,
        before=means,
    )


def _highest(values: Sequence[float]) -> float:
    return fmean(sorted(values, reverse=True)[: max(1, math.ceil(HIGHEST * len(values)))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model is trained.  Raises `BadInput` for numbers that no run can have."""

    name: str
    reward: Rewards
    difficulties: tuple[str, ...] = ("chain3",)
    """Whose problems are drawn, as many of each."""
    problems: int = 16
    """Problems a round."""
    group: int = 8
    """Responses a problem."""
    limit: int = 60
    """Tokens at which a response is cut."""
    thinking: int | None = None
    """Tokens at which thoughts are closed from outside (Elastic Reasoning)."""
    rounds: int = 20
    """How often there are new responses."""
    updates: int = 2
    """Steps of the optimizer a round, each on its part of the responses."""
    learning_rate: float = 3e-4
    temperature: float = 1.0
    clip: tuple[float, float] = (0.2, 0.28)
    """How far below and above 1 the ratio of probabilities still counts; DLER and DAPO clip higher above."""
    normalisation: Normalisation = "batch"
    loss: Literal["dapo", "grpo"] = "dapo"
    """`dapo`: the mean over all tokens.  `grpo`: over responses, of the means over their tokens."""
    draws: int = 3
    """Most draws a round.  More than 1 is dynamic sampling: problems whose responses are all worth the same are replaced."""
    mask_truncated: bool = False
    """Whether responses that were cut are left out of the loss."""
    control_weight: float | None = None
    """Thinkless: the loss is this times the mean over control tokens and the mean over all others, apart; None: all tokens alike."""
    warm_up: Literal["none", "closed", "actions"] = "none"
    """What comes first: `closed` teaches to close the thoughts at once, in half of the examples; `actions` to mark what each thought does."""
    restarts: float = 0.0
    """Share of the problems whose thoughts are begun, half of them wrong (Satori)."""
    uncertainty: Uncertainty | None = None
    """What is recorded of each token."""

    def __post_init__(self) -> None:
        unknown = set(self.difficulties) - set(DIFFICULTIES)
        if unknown or not self.difficulties or self.problems % len(self.difficulties):
            raise BadInput(
                f"problems are as many of each difficulty, of {', '.join(DIFFICULTIES)}, "
                f"not {self.problems!r} of {self.difficulties!r}"
            )
        counts = (self.problems, self.group - 1, self.limit, self.rounds, self.updates, self.draws)
        if min(counts) < 1 or self.problems * self.group % self.updates:
            raise BadInput(
                "a recipe has 1 problem, update, round, draw and token or more, 2 responses or more a problem, and parts of one size, "
                f"not {self!r}"
            )
        if not 0 <= self.restarts <= 1:
            raise BadInput(f"a share of restarts is from 0 to 1, not {self.restarts!r}")
        if self.thinking is not None and not 0 < self.thinking < self.limit - SOLUTION_TOKENS:
            raise BadInput(
                f"thoughts of {self.thinking!r} tokens leave no room for an answer in {self.limit!r}"
            )

    def rewards(
        self, samples: Sequence[TrainingSample], means: RunningMeans = NOTHING_KNOWN
    ) -> tuple[list[float], RunningMeans]:
        """Return what each sample is worth, `group` a problem one after the other, and the running means after them."""
        return self.reward(samples, self, means)

    def forced(self) -> tuple[int, int] | None:
        """Return the place of a token that is written from outside, and the token; None where there is none."""
        return None if self.thinking is None else (self.thinking, CLOSE)


DLER = Recipe(name="dler", reward=within_limit)
"""arXiv 2510.15110.  Its 16 responses a problem, 512 problems, learning rate of 1e-6, KL of 5e-4 and 4,000 tokens (38 % of its model's mean) are ponder's size here."""

ABLATIONS = (
    replace(DLER, name="dler-no-dynamic-sampling", draws=1),
    replace(DLER, name="dler-group-normalisation", normalisation="group"),
    replace(DLER, name="dler-symmetric-clip", clip=(0.2, 0.2)),
    replace(DLER, name="dler-masked-truncation", mask_truncated=True),
)

ELASTIC = Recipe(
    name="elastic",
    reward=within_budget,
    thinking=40,
    limit=40 + 1 + SOLUTION_TOKENS,
    normalisation="group",
    draws=1,
    clip=(0.2, 0.2),
)
"""arXiv 2505.05315: plain GRPO, thoughts cut at 40 tokens (its 1,000)."""

THINKLESS = Recipe(
    name="thinkless",
    reward=worth_thinking,
    difficulties=("sum2", "chain3"),
    limit=320,
    normalisation="none",
    draws=1,
    clip=(0.2, 0.2),
    control_weight=0.03,
    warm_up="closed",
)
"""arXiv 2505.13379: DeGRPO, without a group's deviation.  Its control weight of 0.001 is for responses of thousands of tokens: without the split a control
token weighs one part in so many, and here one in about a hundred."""

NO_SPLIT = replace(THINKLESS, name="thinkless-no-split", control_weight=None, loss="grpo")
"""Plain GRPO's mean over each response, in which a control token counts as much as the response is short."""

ADATHINK = Recipe(
    name="adathink-med",
    reward=by_difficulty,
    difficulties=DIFFICULTIES,
    limit=240,
    normalisation="group",
    draws=1,
    uncertainty="entropy",
)
"""arXiv 2509.24560, on all difficulties, which it has to tell apart itself."""

PIXELTHINK = replace(
    ADATHINK, name="pixelthink", reward=within_thinking_budget, clip=(0.2, 0.2), uncertainty="margin"
)
"""arXiv 2505.23727: its budgets of 96 and 256 to 281 tokens and its tolerance of 500 are a quarter of that here."""

COAT = replace(PIXELTHINK, name="coat", reward=repaired, warm_up="actions", restarts=0.5, uncertainty=None)
"""Satori, arXiv 2502.02508: thoughts that are marked, then restarts.  GRPO instead of its PPO, and no reward model."""

NO_RESTARTS = replace(COAT, name="coat-no-restarts", restarts=0.0)

RECIPES = {
    recipe.name: recipe
    for recipe in (DLER, *ABLATIONS, ELASTIC, THINKLESS, NO_SPLIT, ADATHINK, PIXELTHINK, COAT, NO_RESTARTS)
}
