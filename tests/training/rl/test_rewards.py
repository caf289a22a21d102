"""Rewards, each against values worked out by hand."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.tools.pictures import Box
from surefoot.training.rl.rewards import (
    Beginning,
    RunningMeans,
    adathink_rewards,
    coat_reward,
    difficulty_aware_limit,
    elastic_reward,
    foresight_reward,
    pixelthink_budget,
    pixelthink_reward,
    satori_reward,
    thinkless_reward,
    truncation_reward,
)

FORM = "<caption>a red bar beside a blue bar</caption><bbox>{}</bbox><answer>7</answer>"
CAPTION = "a red bar beside a blue bar"


@pytest.mark.parametrize(
    ("score", "tokens", "reward"),
    [(1.0, 89, 1.0), (1.0, 90, 1.0), (1.0, 91, 0.0), (0.0, 10, 0.0), (0.5, 90, 0.5)],
)
def test_what_is_longer_than_the_limit_is_worth_nothing(score: float, tokens: int, reward: float) -> None:
    assert truncation_reward(score, tokens, 90) == elastic_reward(score, tokens, 90) == reward


@pytest.mark.parametrize(
    ("rights", "limit"), [([1, 1, 0, 0], 2000), ([1, 0, 0, 0], 4000), ([1], 2000), ([0], 4000)]
)
def test_a_question_that_half_of_the_responses_get_right_has_the_short_limit(
    rights: list[bool], limit: int
) -> None:
    assert difficulty_aware_limit(rights, long=4000, short=2000) == limit


@pytest.mark.parametrize(
    ("right", "thought", "reward"),
    [(True, False, 1.0), (True, True, 0.5), (False, False, -1.0), (False, True, -1.0)],
)
def test_a_short_right_answer_is_worth_twice_a_thought_one(right: bool, thought: bool, reward: float) -> None:
    assert thinkless_reward(right, thought) == reward


@pytest.mark.parametrize(
    ("difficulty", "uncertainty", "budget"),
    [(0, 0.9, 96), (3.4, 0.0, 96), (3.5, 0.5, math.inf), (4.9, 1.0, math.inf), (5, 0.0, 256), (10, 0.4, 266)],
)
def test_pixelthinks_budget_is_its_table(difficulty: float, uncertainty: float, budget: float) -> None:
    assert pixelthink_budget(difficulty, uncertainty) == budget


@pytest.mark.parametrize(("tokens", "reward"), [(50, 4.0), (96, 4.0), (346, 2.0), (596, 0.0), (2000, 0.0)])
def test_pixelthinks_score_falls_to_nothing_over_500_tokens_beyond_the_budget(
    tokens: int, reward: float
) -> None:
    assert pixelthink_reward(4.0, tokens, 96) == reward
    assert pixelthink_reward(4.0, tokens, math.inf) == 4.0


def test_adathink_asks_little_of_the_easy_and_more_of_the_hard() -> None:
    # Two questions of two responses.  e - 1 of entropy is 1 after log(1 + x): certainties 1, 1, 0, 0.
    rights, tokens = [True, True, False, True], [100, 50, 30, 60]
    entropies = [0.0, 0.0, math.e - 1, math.e - 1]
    rewards, after = adathink_rewards(rights, tokens, entropies, group=2, before=RunningMeans())
    # Difficulties: 1 - mean(1, 1) = 0 and 1 - mean(0, 0.5) = 0.75; their 0.7 quantile is 0.525, so that the second is hard.
    assert after == pytest.approx((0.525, 75.0, 45.0))
    # Easy: x = 100 / 75 and 50 / 75, times 1.  Hard and wrong: x = 30 / 45 times 0.5, less 1; hard and right: no length counts.
    assert rewards == pytest.approx([1 + 0.5 * 0, 1 + 0.5 * (1 - 50 / 75), 0.5 * (15 / 45 - 1), 1.0])


def test_adathinks_means_go_on_from_batch_to_batch() -> None:
    before = RunningMeans(threshold=0.525, easy_tokens=75.0, hard_tokens=45.0)
    rewards, after = adathink_rewards([True, True], [25, 35], [1.0, 1.0], group=2, before=before)
    # Entropies that are all alike are no doubt: certainty 1, difficulty 0, and the threshold falls by a tenth.
    assert after == pytest.approx((0.4725, 0.9 * 75 + 0.1 * 30, 45.0))
    assert rewards == pytest.approx([1 + 0.5 * (1 - 25 / 70.5), 1 + 0.5 * (1 - 35 / 70.5)])


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 500), st.floats(0, 5)), min_size=2, max_size=40).filter(
        lambda rows: len(rows) % 2 == 0
    )
)
def test_adathinks_rewards_stay_within_half_a_point_of_the_answers(
    rows: list[tuple[bool, int, float]],
) -> None:
    rights, tokens, entropies = map(list, zip(*rows, strict=True))
    rewards, _ = adathink_rewards(rights, tokens, entropies, group=2, before=RunningMeans())  # type: ignore[arg-type]
    assert all(abs(reward - right) <= 0.5 for reward, right in zip(rewards, rights, strict=True))


@pytest.mark.parametrize(
    ("boxes", "regions"),
    [
        ("[[0, 0, 10, 10]]", 1.0),
        ("[[0, 0, 5, 10], [5, 0, 10, 10]]", 1.0),
        ("[[0, 0, 10, 5]]", 0.5),
        ("[[20, 20, 30, 30]]", 0.0),
    ],
)
def test_satoris_four_rewards_add_up(boxes: str, regions: float) -> None:
    reward = satori_reward(FORM.format(boxes), caption=CAPTION, boxes=[Box(0, 0, 10, 10)], accepted=["7"])
    assert reward == pytest.approx(3 + regions)


@pytest.mark.parametrize(
    "boxes",
    [
        "",
        "none",
        "[1, 2]",
        "[[1, 2, 3]]",
        "[[5, 5, 1, 1]]",
        "{}",
        "[[0.5, 0, 1, 1]]",
        "[" * 4000,
        "[[0,0,1,1]," * 500,
    ],
)
def test_boxes_that_cannot_be_read_score_nothing_and_break_nothing(boxes: str) -> None:
    reward = satori_reward(FORM.format(boxes), caption=CAPTION, boxes=[Box(0, 0, 10, 10)], accepted=["7"])
    assert reward == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("right", "begun", "reward"),
    [
        (True, None, 0.0),
        (False, None, -1.0),
        (True, "wrong", 0.5),
        (False, "wrong", -1.0),
        (True, "right", 0.0),
        (False, "right", -1.5),
    ],
)
def test_a_repair_is_worth_more_and_a_spoilt_beginning_less(
    right: bool, begun: Beginning | None, reward: float
) -> None:
    assert coat_reward(right, begun) == reward
    assert coat_reward(right, begun, preference=0.25) == reward + 0.25


@pytest.mark.parametrize(
    ("foreseen", "reward"), [([True], 1.0), ([False], 0.0), ([True, False, True, True], 0.75)]
)
def test_a_description_is_worth_what_it_foresees(foreseen: list[bool], reward: float) -> None:
    assert foresight_reward(foreseen) == reward
    assert foresight_reward(foreseen, finished=False) == 0.0


def bad_calls() -> Sequence[object]:
    return (
        lambda: truncation_reward(1.0, -1, 90),
        lambda: truncation_reward(1.0, 1, 0),
        lambda: difficulty_aware_limit([], long=2, short=1),
        lambda: difficulty_aware_limit([True], long=1, short=2),
        lambda: pixelthink_budget(1, 1.5),
        lambda: pixelthink_reward(1.0, 5, 3, tolerance=0),
        lambda: adathink_rewards([True], [1, 2], [0.1], group=1, before=RunningMeans()),
        lambda: adathink_rewards([True] * 3, [1] * 3, [0.1] * 3, group=2, before=RunningMeans()),
        lambda: foresight_reward([]),
    )


@pytest.mark.parametrize("call", bad_calls())
def test_what_cannot_be_is_bad_input(call: object) -> None:
    with pytest.raises(BadInput):
        call()  # type: ignore[operator]
