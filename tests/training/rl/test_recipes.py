"""Advantages, and recipes as values: what needs no torch."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.training.ponder.problems import TrainingProblem, draw, held_out
from surefoot.training.rl.advantages import Normalisation, advantages, telling
from surefoot.training.rl.card import render
from surefoot.training.rl.merging import merged
from surefoot.training.rl.recipes import (
    ABLATIONS,
    DLER,
    ELASTIC,
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
    assert DLER.rewards([short, thought, long, wrong]) == [1, 1, 0, 0]
    assert ELASTIC.rewards([short, thought, long, wrong, babble]) == [1, 1, 1, 0, 0]
    assert THINKLESS.rewards([short, thought, wrong]) == [1, 0.5, -1]


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
