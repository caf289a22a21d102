"""Rewards of the recipes: pure functions of what was drawn, each with the paper that its formula comes from.

| function | paper | rewards |
| --- | --- | --- |
| `truncation_reward`, `difficulty_aware_limit` | DLER, arXiv 2510.15110 | right answers within a limit of tokens |
| `elastic_reward` | Elastic Reasoning, arXiv 2505.05315 | right solutions after thoughts that were cut short |
| `thinkless_reward` | Thinkless, arXiv 2505.13379 | right answers, those without thoughts twice as much |
| `pixelthink_reward`, `pixelthink_budget` | PixelThink, arXiv 2505.23727 | scores, less where thoughts go beyond a budget by difficulty and uncertainty |
| `adathink_rewards` | AdaThink-Med, arXiv 2509.24560 | short right answers to easy questions, long wrong ones to hard questions |
| `satori_reward` | SATORI-R1, arXiv 2505.19094 | form, caption, regions and answer about a picture |
| `coat_reward` | Satori, arXiv 2502.02508 | right answers, more where the beginning was wrong, less where a right one was spoilt |
| `foresight_reward` | AlignXplore, arXiv 2505.18071 | descriptions of a user that foresee their choices |

`right` is whether the answer is, `score` any reward for it, mostly 0 or 1.
"""

import json
import math
import re
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from surefoot.agents.reasoning.adapt import TOLERANCE, length_score
from surefoot.errors import BadInput
from surefoot.tools.pictures import Box, answer_reward, caption_reward, format_reward, iou_of_unions
from surefoot.training.ponder.problems import Beginning

Uncertainty = Literal["entropy", "margin"]
"""Of a token: the entropy of its distribution in nats, or 1 - (p1 - p2) of the two likeliest."""

SURE = 0.5
"""Share of right answers from which DLER gives a question the shorter limit."""
EASY_BELOW, HARD_FROM = 3.5, 5.0
"""PixelThink's thresholds on a difficulty from 0 to 10."""
EASY_TOKENS, HARD_TOKENS, MORE_TOKENS = 96, 256, 25
"""Its budgets of the easy and the hard, and what uncertainty adds to the latter."""
MOST_BOX_CHARACTERS = 5_000
"""Of the boxes in a text: 500 boxes at most.  Longer ones are no boxes."""

_BOXES = re.compile(r"<bbox>([^<]*)</bbox>")


def truncation_reward(score: float, tokens: int, limit: int) -> float:
    """Return the score of a response of at most `limit` tokens, and 0 for a longer one: all of DLER's length penalty."""
    _check_tokens(tokens, limit)
    return score if tokens <= limit else 0.0


def difficulty_aware_limit(rights: Sequence[bool], *, long: int, short: int) -> int:
    """Return the limit for a question's responses: the short one where at least half of them (`SURE`) are right (DA-DLER)."""
    if not rights or not 0 < short <= long:
        raise BadInput(
            f"a limit by difficulty needs responses and 0 < short <= long, "
            f"not {len(rights)} responses, short={short!r}, long={long!r}"
        )
    return short if sum(rights) / len(rights) >= SURE else long


def elastic_reward(score: float, tokens: int, budget: int) -> float:
    """Return the score of a solution within its own budget, and 0 for a longer one.

    The same as `truncation_reward`, over the solution's tokens alone: thoughts cost nothing, they are cut at their budget while they are drawn.
    """
    return truncation_reward(score, tokens, budget)


def thinkless_reward(right: bool, thought: bool) -> float:
    """Return 1 for a right answer without thoughts, 0.5 for one with thoughts, -1 for a wrong one."""
    if not right:
        return -1.0
    return 0.5 if thought else 1.0


def pixelthink_budget(difficulty: float, uncertainty: float) -> float:
    """Return how many tokens a question's thoughts may take, infinite for those of middling difficulty (of 0 to 10).

    `uncertainty`, 0 to 1, is `surefoot.agents.reasoning.adapt.margin_uncertainty` of the response.
    """
    if not 0 <= uncertainty <= 1:
        raise BadInput(f"an uncertainty is from 0 to 1, not {uncertainty!r}")
    if difficulty < EASY_BELOW:
        return EASY_TOKENS
    return math.inf if difficulty < HARD_FROM else HARD_TOKENS + MORE_TOKENS * uncertainty


def pixelthink_reward(score: float, tokens: int, budget: float, tolerance: float = TOLERANCE) -> float:
    """Return the score times how well the thoughts kept to their budget, by `length_score`."""
    return score * length_score(tokens, budget, tolerance)


class RunningMeans(NamedTuple):
    """What `adathink_rewards` takes over from batch to batch; None before there was any."""

    threshold: float | None = None
    """Difficulty from which a question is hard."""
    easy_tokens: float | None = None
    """Length that responses to easy questions are expected to have."""
    hard_tokens: float | None = None


NOTHING_KNOWN = RunningMeans()

ADATHINK_CERTAINTY, ADATHINK_QUANTILE, ADATHINK_DECAY, ADATHINK_LENGTH = 0.5, 0.7, 0.9, 0.5
"""AdaThink-Med's weight of certainty in a difficulty, the quantile that parts easy from hard, the share of a running mean that
stays, and the weight of the length's score."""


def adathink_rewards(
    rights: Sequence[bool],
    tokens: Sequence[int],
    entropies: Sequence[float],
    *,
    group: int,
    before: RunningMeans,
) -> tuple[list[float], RunningMeans]:
    """Return the rewards of a batch, `group` responses a question one after the other, and the running means after it.

    `entropies` are, for each response, the mean of the highest fifth of its token entropies (`entropy_uncertainty`).  Over the batch,
    e = log(1 + entropy) scaled from its least to its most, 0 to 1, and c = 1 - e.  A question's difficulty is
    1 - mean(right * (c / 2 + 1 / 2)); hard is what reaches the running 0.7 quantile of difficulties.  With x = tokens / expected tokens of
    the easy or the hard, times (0.5 + 0.5 c), the length scores max(0, 1 - x) where a right answer is to an easy question,
    min(1, x - 1) where a wrong one is to a hard question, and 0 elsewhere; the reward is right + half of that.

    The paper's reward of the form and its penalty of repetitions are left out.  Running means begin with the first batch's own.
    """
    if not (len(rights) == len(tokens) == len(entropies) and rights and not len(rights) % group):
        raise BadInput(
            f"as many answers, lengths and entropies, in groups of {group!r}, "
            f"not {len(rights)}, {len(tokens)} and {len(entropies)}"
        )
    logs = [math.log1p(entropy) for entropy in entropies]
    low, spread = min(logs), max(logs) - min(logs)
    certain = [1 - (value - low) / spread if spread else 1.0 for value in logs]
    w = ADATHINK_CERTAINTY
    worth = [right * (c * w + 1 - w) for right, c in zip(rights, certain, strict=True)]
    difficulties = [1 - math.fsum(part) / group for part in _groups(worth, group)]
    threshold = _running(before.threshold, _quantile(difficulties, ADATHINK_QUANTILE))
    hard = [difficulty >= threshold for difficulty in difficulties for _ in range(group)]
    lengths = {
        side: [length for length, own in zip(tokens, hard, strict=True) if own is side]
        for side in (False, True)
    }
    easy_tokens, hard_tokens = (
        _running(old, math.fsum(own) / len(own)) if own else old
        for old, own in ((before.easy_tokens, lengths[False]), (before.hard_tokens, lengths[True]))
    )
    rewards = []
    for right, length, c, is_hard in zip(rights, tokens, certain, hard, strict=True):
        expected = hard_tokens if is_hard else easy_tokens
        x = length / expected * (0.5 + 0.5 * c) if expected else 0.0
        score = 0.0
        if right and not is_hard:
            score = max(0.0, 1 - x)
        elif is_hard and not right:
            score = min(1.0, x - 1)
        rewards.append(right + ADATHINK_LENGTH * score)
    return rewards, RunningMeans(threshold, easy_tokens, hard_tokens)


def satori_reward(text: str, *, caption: str, boxes: Sequence[Box], accepted: Collection[str]) -> float:
    """Return the sum of the form's, the caption's, the regions' and the answer's rewards, 0 to 4, as the paper's code adds them.

    Boxes that cannot be read score 0.  Needs the extra `captions`.
    """
    found = _boxes(text)
    regions = iou_of_unions(found, boxes) if found else 0.0
    return format_reward(text) + caption_reward(text, caption) + regions + answer_reward(text, accepted)


def coat_reward(
    right: bool, begun: Beginning | None = None, *, preference: float = 0.0, bonus: float = 0.5
) -> float:
    """Return 0 for a right answer and -1 for a wrong one, plus what another model prefers, plus a bonus for a repair.

    `begun` is what the thoughts amount to that it went on from.  `preference` is 0 to 1, the sigmoid of that model's score.  A right answer from a wrong beginning has the bonus on top, a wrong one from
    a right beginning loses it; without a beginning there is none.
    """
    repaired = (begun == "wrong" and right) - (begun == "right" and not right)
    return right - 1 + preference + bonus * repaired


def foresight_reward(foreseen: Sequence[bool], *, finished: bool = True) -> float:
    """Return the share of held-out choices that a judge foresees with a description, 0 for one that was not finished.

    The paper's reward by a judge has one choice a description, and is 1 or 0.  Raises `BadInput` without choices.
    """
    if not foreseen:
        raise BadInput("a description is rewarded by what it foresees of one choice or more, not of none")
    return sum(foreseen) / len(foreseen) if finished else 0.0


def _check_tokens(tokens: int, limit: int) -> None:
    if tokens < 0 or limit < 1:
        raise BadInput(
            f"a response has 0 tokens or more, and a limit of 1 or more, not {tokens!r} and {limit!r}"
        )


def _groups(values: Sequence[float], group: int) -> list[Sequence[float]]:
    return [values[first : first + group] for first in range(0, len(values), group)]


def _running(before: float | None, now: float) -> float:
    return now if before is None else ADATHINK_DECAY * before + (1 - ADATHINK_DECAY) * now


def _quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile by a straight line between its neighbours, as torch and numpy do."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _boxes(text: str) -> list[Box]:
    """Return the boxes of a text, `[[left, top, right, bottom], ...]` between the tags; none if any cannot be read."""
    written = _BOXES.search(text)
    if not written or len(written[1]) > MOST_BOX_CHARACTERS:
        return []
    try:
        return [Box(*edges) for edges in json.loads(written[1])]
    except (ValueError, TypeError, RecursionError, BadInput):
        return []
