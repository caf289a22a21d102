"""Rounds of responses as TRL's `rollout_func`: drawn, graded, weighed against each other, and told which tokens count."""

import random
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from surefoot.training.ponder.problems import TrainingProblem, draw

from .advantages import advantages, telling
from .beginnings import begun
from .recipes import Recipe, TrainingSample
from .rewards import NOTHING_KNOWN, RunningMeans
from .rollouts import Drawn, FusedLlama

ProblemSource = Callable[[str, random.Random], TrainingProblem]
"""Draws a problem of a difficulty."""

KEPT = "kept "
"""In a round's log before the names of its `RunningMeans`."""
CONTROL_PLACE = 1
"""Where a response of ponder says whether it thinks: after `<think>`, which comes always, by `</think>` or by a thought."""


def ponders(difficulty: str, rng: random.Random) -> TrainingProblem:
    """Draw one of the problems that ponder is trained on."""
    return draw(difficulty, rng, training=True)


class Round(NamedTuple):
    """The responses of one round, `group` a problem one after the other, and what is known about each."""

    samples: list[TrainingSample]
    drawn: list[Drawn]
    rewards: list[float]
    advantages: list[float]
    counts: list[bool]
    """Whether it counts in the loss."""
    draws: int
    """How often problems were drawn."""
    tokens: int
    """All that were drawn, those that were replaced included."""
    means: RunningMeans
    """For the next round's rewards."""


class _Group(NamedTuple):
    """The responses to one problem."""

    samples: list[TrainingSample]
    drawn: list[Drawn]
    rewards: list[float]


class Rounds:
    """Draws every round from the model as it is then: a pure function of the weights, the seed, the round's number and what its rewards keep from before."""

    def __init__(
        self, recipe: Recipe, tokenizer: Any, *, seed: int = 0, source: ProblemSource = ponders
    ) -> None:
        self.recipe, self.tokenizer, self.seed, self.source = recipe, tokenizer, seed, source

    def __call__(self, prompts: Sequence[str], trainer: Any) -> dict[str, Any]:
        """Return a round as TRL wants it.

        TRL's prompts say how many there are and no more: dynamic sampling asks for others.  Its mask of tokens that come from outside
        is a factor in the loss and in what it is divided by, so that it takes weights as well; see `token_weights`.
        """
        number = trainer.state.global_step // self.recipe.updates
        # TRL's log is in its checkpoints, so that a run which is taken up knows what was kept.
        before = _kept(trainer.state.log_history)
        made = self.draw(trainer.accelerator.unwrap_model(trainer.model), number, before)
        assert len(made.samples) == len(prompts)
        return {
            "prompt_ids": [self._tokens(sample.problem.prompt) for sample in made.samples],
            "completion_ids": [one.tokens for one in made.drawn],
            "logprobs": [one.logprobs for one in made.drawn],
            "env_mask": token_weights(made, self.recipe),
            "advantage": made.advantages,
            "about": [facts(made, self.recipe)] * len(made.samples),
        }

    def draw(self, model: Any, number: int, means: RunningMeans = NOTHING_KNOWN) -> Round:
        """Draw a round.

        With several draws, problems whose responses are all worth the same are replaced by others of their difficulty (DAPO, DLER);
        of those that are left after the last draw no token counts.
        """
        recipe = self.recipe
        engine = FusedLlama(model)
        difficulties = [
            recipe.difficulties[place % len(recipe.difficulties)] for place in range(recipe.problems)
        ]
        groups: dict[int, _Group] = {}
        lacking, tokens, draws = list(range(recipe.problems)), 0, 0
        while lacking and draws < recipe.draws:
            rng = random.Random(f"{recipe.name} {self.seed} {number} {draws}")
            problems = [self._problem(difficulties[place], rng) for place in lacking]
            found = engine.draw(
                [self._tokens(problem.prompt) for problem in problems],
                group=recipe.group,
                limit=recipe.limit,
                temperature=recipe.temperature,
                end=self.tokenizer.eos_token_id,
                seed=rng.getrandbits(32),
                forced=recipe.forced(),
                uncertainty=recipe.uncertainty,
            )
            tokens, draws = tokens + sum(len(one.tokens) for one in found), draws + 1
            made = [self._sample(problems[order // recipe.group], one) for order, one in enumerate(found)]
            worth, means = recipe.rewards(made, means)
            for order, place in enumerate(lacking):
                own = slice(order * recipe.group, (order + 1) * recipe.group)
                groups[place] = _Group(made[own], found[own], worth[own])
            lacking = [place for place, each in groups.items() if not telling(each.rewards, recipe.group)]
        in_order = [groups[place] for place in range(recipe.problems)]
        rewards = [reward for each in in_order for reward in each.rewards]
        return Round(
            [sample for each in in_order for sample in each.samples],
            [one for each in in_order for one in each.drawn],
            rewards,
            *_weighed(rewards, recipe),
            draws,
            tokens,
            means,
        )

    def _problem(self, difficulty: str, rng: random.Random) -> TrainingProblem:
        problem = self.source(difficulty, rng)
        if self.recipe.restarts and rng.random() < self.recipe.restarts:
            marks = self.recipe.warm_up == "actions"
            return begun(problem, rng, marks=marks, reflect=marks)
        return problem

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _sample(self, problem: TrainingProblem, drawn: Drawn) -> TrainingSample:
        ended = drawn.tokens[-1] == self.tokenizer.eos_token_id
        text = self.tokenizer.decode(drawn.tokens[: len(drawn.tokens) - ended])
        tokens = len(drawn.tokens) - (drawn.forced is not None)
        return TrainingSample(problem, text, tokens, ended, drawn.uncertainties)


def _weighed(rewards: Sequence[float], recipe: Recipe) -> tuple[list[float], list[bool]]:
    """Return the advantages, and which responses count: all of them, with dynamic sampling those of groups that tell something."""
    group = recipe.group
    if recipe.draws == 1:
        return advantages(rewards, group, recipe.normalisation), [True] * len(rewards)
    told = telling(rewards, group)
    kept = [rewards[place] for number in told for place in range(number * group, (number + 1) * group)]
    own = iter(advantages(kept, group, recipe.normalisation))
    counts = [place // group in told for place in range(len(rewards))]
    return [next(own) if counted else 0.0 for counted in counts], counts


def token_weights(made: Round, recipe: Recipe) -> list[list[float]]:
    """Return how much each token counts in a loss that is the weighted mean over tokens.

    A token from outside does not count, nor one of a response that does not.  With a control weight a, of B responses and N other tokens, each control
    token weighs a N / B: the loss is then (a x the control tokens' mean + the others' mean) / (1 + a), which is DeGRPO's (Thinkless, arXiv 2505.13379)
    but for a constant factor.
    """
    weights = [
        [float(counted and place != one.forced) for place in range(len(one.tokens))]
        for one, counted in zip(made.drawn, made.counts, strict=True)
    ]
    if recipe.control_weight is not None:
        for row in weights:
            row[0] = 0.0
        deciding = [row for row in weights if len(row) > CONTROL_PLACE and row[CONTROL_PLACE]]
        others = sum(map(sum, weights)) - len(deciding)
        for row in deciding:
            row[CONTROL_PLACE] = recipe.control_weight * others / len(deciding)
    return weights


def _kept(history: Sequence[Mapping[str, float]]) -> RunningMeans:
    """Return what the last round's rewards kept, from what was logged."""
    return next(
        (
            RunningMeans(*(line.get(KEPT + name) for name in RunningMeans._fields))
            for line in reversed(history)
            if "score" in line
        ),
        NOTHING_KNOWN,
    )


def facts(made: Round, recipe: Recipe) -> dict[str, float]:
    """Return what a run's curves show of a round, by difficulty where there are several, and what its rewards keep."""
    groups = len(made.rewards) // recipe.group
    found = {
        "score": fmean(made.rewards),
        "right": fmean(sample.right for sample in made.samples),
        "tokens": fmean(sample.tokens for sample in made.samples),
        "cut": fmean(not sample.ended for sample in made.samples),
        "telling": len(telling(made.rewards, recipe.group)) / groups,
        "draws": float(made.draws),
        "drawn tokens": float(made.tokens),
    }
    if len(recipe.difficulties) > 1:
        for difficulty in recipe.difficulties:
            own = [sample for sample in made.samples if sample.problem.difficulty == difficulty]
            found[f"think rate {difficulty}"] = fmean(sample.thought for sample in own)
            found[f"tokens {difficulty}"] = fmean(sample.tokens for sample in own)
    for beginning in ("right", "wrong"):
        if own := [sample for sample in made.samples if sample.problem.begun == beginning]:
            found[f"right from {beginning}"] = fmean(sample.right for sample in own)
    kept = made.means._asdict().items()
    return found | {KEPT + name: value for name, value in kept if value is not None}
