"""Advantages, and recipes as values: what needs no torch."""

import math
import random
import re
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.training.ponder.problems import TrainingProblem, draw, held_out
from surefoot.training.rl.advantages import Normalisation, advantages, telling
from surefoot.training.rl.beginnings import begun, marked
from surefoot.training.rl.card import render
from surefoot.training.rl.merging import merged
from surefoot.training.rl.recipes import (
    ABLATIONS,
    ADATHINK,
    COAT,
    DLER,
    ELASTIC,
    PIXELTHINK,
    RECIPES,
    THINKLESS,
    TrainingSample,
)

PROBLEM = TrainingProblem("48+67=", "115", "sum2")
rewards = st.lists(st.sampled_from([0.0, 1.0, -1.0, 0.5]), min_size=4, max_size=40).filter(
    lambda values: len(values) % 4 == 0
)


def sample(text: str, *, tokens: int | None = None, ended: bool = True) -> TrainingSample:
    return TrainingSample(PROBLEM, text, tokens or len(text) + ended, ended)


def test_a_batch_is_divided_by_the_deviation_of_what_its_groups_leave() -> None:
    # Groups (1, 0) and (1, 1): centred 0.5, -0.5, 0, 0, of deviation sqrt(0.5 / 3).
    spread = math.sqrt(0.5 / 3)
    found = advantages([1, 0, 1, 1], 2, "batch")
    assert found == pytest.approx([0.5 / spread, -0.5 / spread, 0, 0], rel=1e-3)


def test_a_group_is_divided_by_its_own_deviation() -> None:
    found = advantages([1, 0, 0, 0, 1, 1, 0, 0], 4, "group")
    assert found[:4] == pytest.approx([0.75 / 0.5, -0.5, -0.5, -0.5], rel=1e-3)
    assert found[4:] == pytest.approx([x / math.sqrt(1 / 3) for x in (0.5, 0.5, -0.5, -0.5)], rel=1e-3)


def test_none_leaves_the_differences() -> None:
    assert advantages([1, 0, 0.5, 0.5], 2, "none") == [0.5, -0.5, 0, 0]


@given(rewards, st.sampled_from(["batch", "group", "none"]))
def test_the_advantages_of_a_group_add_up_to_nothing(values: list[float], how: Normalisation) -> None:
    found = advantages(values, 4, how)
    for first in range(0, len(values), 4):
        assert math.fsum(found[first : first + 4]) == pytest.approx(0, abs=1e-9)


@given(rewards)
def test_groups_that_tell_nothing_have_no_advantages(values: list[float]) -> None:
    told = telling(values, 4)
    for number in range(len(values) // 4):
        own = advantages(values, 4, "batch")[4 * number : 4 * number + 4]
        assert (number in told) == any(own)


@pytest.mark.parametrize(("values", "group"), [([1.0, 0.0, 1.0], 2), ([1.0], 1)])
def test_rewards_that_are_no_groups_are_refused(values: list[float], group: int) -> None:
    with pytest.raises(BadInput, match="groups have 2 responses or more"):
        advantages(values, group, "batch")


def test_a_sample_is_right_if_it_ended_with_the_answer() -> None:
    assert sample("<think>A8+7=15\n</think>115").right
    assert not sample("<think>A8+7=15\n</think>115", ended=False).right
    assert not sample("<think>A8+7=15\nso 115").right
    assert not sample("<think></think>116").right
    assert sample("<think>so 115\n</think>115").thought and not sample("<think></think>115").thought
    assert sample("<think>so 115\n</think>115").solution_tokens == 4


def test_each_recipe_rewards_as_its_paper() -> None:
    short, thought = sample("<think></think>115"), sample("<think>so 115\n</think>115")
    long, wrong = sample("<think>so 115\n</think>115", tokens=61), sample("<think></think>1")
    babble = sample("<think></think>" + 9 * "1")
    assert DLER.rewards([short, thought, long, wrong])[0] == [1, 1, 0, 0]
    assert ELASTIC.rewards([short, thought, long, wrong, babble])[0] == [1, 1, 1, 0, 0]
    assert THINKLESS.rewards([short, thought, wrong])[0] == [1, 0.5, -1]


def test_pixelthink_allows_more_tokens_for_what_is_hard_and_for_what_is_unsure() -> None:
    def worth(difficulty: str, tokens: int, uncertainty: float) -> float:
        problem = TrainingProblem("", "115", difficulty)
        one = TrainingSample(problem, "<think></think>115", tokens, True, [uncertainty] * 3)
        return PIXELTHINK.rewards([one])[0][0]

    assert worth("sum2", 24, 1.0) == 1.0 > worth("sum2", 25, 1.0) == pytest.approx(1 - 1 / 125)
    assert worth("chain6", 64, 0.0) == 1.0 > worth("chain6", 65, 0.0)
    assert worth("chain6", 70, 1.0) == 1.0 > worth("chain6", 71, 1.0)
    assert worth("sum2", 24 + 125, 1.0) == 0.0


def test_adathink_looks_at_the_highest_entropies_and_keeps_its_means() -> None:
    """Two problems of two: one right twice, short and sure; one wrong twice, and unsure in its worst fifth."""
    sure = [0.0] * 10
    unsure = [0.0] * 8 + [1.0, 1.0]
    right, wrong = "<think></think>115", "<think></think>1"
    samples = [
        TrainingSample(PROBLEM, text, tokens, True, values)
        for text, tokens, values in (
            (right, 20, sure),
            (right, 60, sure),
            (wrong, 50, unsure),
            (wrong, 150, unsure),
        )
    ]
    recipe = replace(ADATHINK, group=2, problems=4)
    worth, means = recipe.rewards(samples)
    # Difficulties 0 and 1, of which the 0.7 quantile is 0.7; certainties 1 and 0; expected 40 and 100 tokens.
    assert means == pytest.approx((0.7, 40, 100))
    assert worth == pytest.approx([1 + 0.5 * (1 - 20 / 40), 1 + 0.5 * 0, 0.5 * (0.25 - 1), 0.5 * (0.75 - 1)])
    _, later = recipe.rewards(samples, means._replace(threshold=0.9))
    assert later.threshold == pytest.approx(0.9 * 0.9 + 0.1 * 0.7)


def test_repairs_are_worth_more_and_spoilt_beginnings_less() -> None:
    def worth(begun: Literal["right", "wrong"] | None, text: str) -> float:
        return COAT.rewards([TrainingSample(PROBLEM._replace(begun=begun), text, 10, True)])[0][0]

    right, wrong = "</think>115", "</think>1"
    assert [worth(begun, right) for begun in (None, "right", "wrong")] == [0, 0, 0.5]
    assert [worth(begun, wrong) for begun in (None, "right", "wrong")] == [-1, -1.5, -1]


def test_beginnings_are_wrong_in_about_half_and_say_so() -> None:
    rng = random.Random(0)
    found = [begun(draw("chain6", rng, training=True), rng, marks=False) for _ in range(200)]
    wrong = [problem for problem in found if problem.begun == "wrong"]
    assert 60 < len(wrong) < 120
    for problem in found:
        concluded = problem.prompt.rpartition("so ")[2].strip()
        assert (concluded == problem.answer) == (problem.begun == "right")


def test_each_line_of_marked_thoughts_says_what_it_does() -> None:
    thoughts = "A8+7=15\nso 115\nwait A8+7=15 so 115\nalternatively A8+7=15 so 115\ndone\n"
    assert [line[0] for line in marked(thoughts).splitlines()] == [*">>?~>"]
    assert re.sub("^[>?~]", "", marked(thoughts), flags=re.MULTILINE) == thoughts


def test_an_ablation_differs_from_its_recipe_in_one_thing() -> None:
    for ablation in ABLATIONS:
        same = replace(ablation, name=DLER.name)
        fields = [name for name in DLER.__slots__ if getattr(same, name) != getattr(DLER, name)]
        assert len(fields) == 1, (ablation.name, fields)
    assert set(RECIPES) == {recipe.name for recipe in RECIPES.values()}


@pytest.mark.parametrize(
    "change",
    [
        {"difficulties": ("sum9",)},
        {"difficulties": ()},
        {"difficulties": ("sum2", "sum4", "chain3")},
        {"group": 1},
        {"rounds": 0},
        {"draws": 0},
        {"updates": 3},
        {"thinking": 55},
        {"thinking": 0},
        {"restarts": 1.5},
    ],
)
def test_a_recipe_that_no_run_can_have_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        replace(DLER, **change)  # type: ignore[arg-type]


def test_a_card_says_what_was_done_and_what_it_took() -> None:
    line = {"right": 0.25, "cut": 0.5, "tokens": 80.0, "telling": 1.0, "draws": 2.0, "drawn tokens": 1000.0}
    run = {
        "recipe": {"name": "dler", "limit": 90},
        "seed": 3,
        "seconds": 61.2,
        "cpu_seconds": 40.0,
        "rounds": [line] * 20,
    }
    card = render(run)
    assert "# dler, seed 3" in card and "20 rounds, 20,000 tokens drawn" in card and "| 20 | 0.25 |" in card


def test_training_draws_no_problem_that_is_kept_for_measuring() -> None:
    rng = random.Random(0)
    assert not any(held_out(draw("chain3", rng, training=True).prompt) for _ in range(200))


def test_a_merged_model_has_the_largest_changes_in_part_and_no_others() -> None:
    before = {"a": np.zeros((2, 2), np.float32), "b": np.ones(4, np.float32)}
    after = {"a": np.array([[1, -4], [0, 2]], np.float32), "b": np.array([1, 1.5, 4, 1], np.float32)}
    found = merged(before, after)
    assert found["a"].tolist() == [[0, pytest.approx(-2.8)], [0, 0]]
    assert found["b"].tolist() == [1, 1, pytest.approx(3.1), 1]
    whole = merged(before, after, share=1.0, scale=1.0)
    assert all(np.array_equal(whole[name], after[name]) for name in after)


@pytest.mark.parametrize("share", [0.0, 1.5, math.nan])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(BadInput, match="a share is above 0"):
        merged({"a": np.zeros(2, np.float32)}, {"a": np.ones(2, np.float32)}, share=share)


def test_weights_of_two_shapes_are_not_merged() -> None:
    with pytest.raises(BadInput, match="the same names and shapes"):
        merged({"a": np.zeros(2, np.float32)}, {"a": np.ones(3, np.float32)})
