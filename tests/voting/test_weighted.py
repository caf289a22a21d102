"""Weighted votes: the heaviest answer, its share, and what is no weight."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.voting.weighting import weighted

votes = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.001, 1000)), min_size=1, max_size=20)


@given(votes)
def test_no_answer_is_heavier_than_the_winner_and_nothing_is_lost(drawn: list[tuple[str, float]]) -> None:
    found = weighted(drawn)
    assert found.weights[found.answer] == max(found.weights.values())
    assert math.fsum(found.weights.values()) == pytest.approx(math.fsum(weight for _, weight in drawn))
    assert found.share == pytest.approx(found.weights[found.answer] / math.fsum(found.weights.values()))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=20))
def test_equal_weights_count_votes(answers: list[str]) -> None:
    found = weighted((answer, 1.0) for answer in answers)
    assert answers.count(found.answer) == max(map(answers.count, "abc"))


def test_one_sure_vote_outweighs_two_unsure_ones() -> None:
    assert weighted([("a", 1.0), ("a", 1.0), ("b", 3.0)]).answer == "b"
    assert weighted([("b", 1.0), ("a", 1.0)]).answer == "b"


@pytest.mark.parametrize("weight", [0.0, -1.0, math.inf, math.nan])
def test_what_is_no_weight_is_refused(weight: float) -> None:
    with pytest.raises(BadInput, match="above 0"):
        weighted([("a", weight)])


def test_no_votes_are_refused() -> None:
    with pytest.raises(BadInput, match="no vote"):
        weighted([])
