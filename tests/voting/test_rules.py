"""Rules of the literature: what decides, and that the wanted number of ballots is the fewest that could."""

import math
from collections import Counter
from itertools import combinations_with_replacement, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.voting import (
    SPRT,
    AdaptiveConsistency,
    Election,
    FirstToAheadBy,
    Margins,
    Plurality,
    Rule,
    Stalled,
    StepClass,
    k_min,
    outlook,
    p_step,
)

RULES = [
    FirstToAheadBy(3),
    Margins((2, 3, 5)),
    SPRT(p=0.9, error=0.01),
    AdaptiveConsistency(0.8),
    AdaptiveConsistency(),
    Plurality(1),
    Plurality(4),
    Plurality(7),
]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_the_wanted_ballots_are_the_fewest_that_could_decide(rule: Rule) -> None:
    """By brute force: every tally of up to three candidates, and every way to go on, with a fourth."""
    for votes in product(range(5), repeat=3):
        tally = {ballot: count for ballot, count in zip("abc", votes, strict=True) if count}
        wanted = rule.wanted(tally)
        assert (wanted == 0) == (rule.winner(tally) is not None), tally
        for fewer in range(1, wanted):
            for more in combinations_with_replacement("abcd", fewer):
                assert rule.winner(Counter(tally) + Counter(more)) is None, (tally, more)
        assert any(rule.winner(Counter(tally) + Counter(ballot * wanted)) for ballot in "abcd"), tally


@given(st.dictionaries(st.sampled_from("abc"), st.integers(1, 30)), st.floats(0.51, 0.9999))
def test_adaptive_consistency_is_sure_by_the_posterior(tally: dict[str, int], confidence: float) -> None:
    first, second, *_ = [*sorted(tally.values(), reverse=True), 0, 0]
    # The flat prior's posterior that the runner-up is the more frequent of the two, as an exact binomial tail.
    doubt = sum(math.comb(first + second + 1, i) for i in range(second + 1)) / 2 ** (first + second + 1)
    if doubt == pytest.approx(1 - confidence, rel=1e-6):
        return
    winner = AdaptiveConsistency(confidence).winner(tally)
    assert (winner is not None) == (doubt < 1 - confidence)
    assert winner is None or tally[winner] == first


def test_adaptive_consistency_at_its_authors_confidence() -> None:
    rule = AdaptiveConsistency()
    assert [rule.needed(runner_up) for runner_up in range(4)] == [4, 6, 8, 9]
    assert rule.winner({"a": 6, "b": 1, "c": 1}) == "a"  # the third does not matter
    assert rule.winner({"a": 5, "b": 1}) is None
    assert AdaptiveConsistency(0.9375).needed(0) == 3  # 1 - 2^-4 is reached, not passed


def test_a_plurality_ends_when_it_is_certain() -> None:
    rule = Plurality(5)
    assert rule.winner({"a": 2, "b": 1}) is None  # b may still get both
    assert rule.winner({"a": 3}) == "a"
    assert rule.winner({"a": 2, "b": 1, "c": 1}) is None  # b may draw level
    assert rule.winner({"a": 2, "b": 1, "c": 1, "d": 1}) == "a"
    tied = {"a": 2, "b": 2, "c": 1}
    assert (rule.winner(tied), rule.wanted(tied)) == (None, 1)
    assert rule.winner({**tied, "b": 3}) == "b"


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=9))
def test_a_plurality_that_ended_early_is_that_of_all_ballots(ballots: list[str]) -> None:
    rule = Plurality(len(ballots))
    early = next((found for n in range(len(ballots)) if (found := rule.winner(Counter(ballots[:n])))), None)
    if early is not None:
        (first, most), *others = Counter(ballots).most_common()
        assert first == early
        assert all(votes < most for _, votes in others)


@given(st.floats(0.501, 0.9999), st.floats(1e-9, 0.4))
def test_walds_test_keeps_its_error_with_the_smallest_lead(p: float, error: float) -> None:
    rule = SPRT(p=p, error=error)
    assert 1 - p_step(p, rule.k) <= error * (1 + 1e-6)
    assert rule.k == 1 or 1 - p_step(p, rule.k - 1) > error * (1 - 1e-6)


def test_walds_test_is_first_to_ahead_by_k() -> None:
    rule = SPRT(p=0.99, error=1e-8)
    assert rule.k == k_min(0.99, 1, 1 - 1e-8) == 5
    assert isinstance(rule, FirstToAheadBy)
    assert SPRT(p=0.9, error=0.1).k == 1  # one ballot errs so often, exactly
    assert SPRT(p=0.9, error=1e-300).k == math.ceil(300 * math.log(10) / math.log(9))


@pytest.mark.parametrize("number", [1, 3, 5])
def test_what_a_plurality_risks_is_a_binomial_tail(number: int) -> None:
    p = 0.9
    wrong = sum(
        math.comb(number, i) * (1 - p) ** i * p ** (number - i) for i in range(number // 2 + 1, number + 1)
    )
    assert outlook(Plurality(number), [StepClass(1.0, (1 - p,))]).risk == pytest.approx(wrong)


def test_a_confidence_is_not_that_of_a_decision() -> None:
    for p, risk in ((0.9, 1.04e-4), (0.99, 1.0e-8)):
        assert outlook(AdaptiveConsistency(), [StepClass(1.0, (1 - p,))]).risk == pytest.approx(
            risk, rel=0.01
        )


def test_an_election_that_is_never_sure_stalls() -> None:
    election: Election[str] = Election(AdaptiveConsistency(), 40)
    with pytest.raises(Stalled):
        while wanted := election.wanted:
            for number in election.submit(wanted):
                election.cast(number, "ab"[number % 2])


@pytest.mark.parametrize("value", [0.5, 1.0, 1.5, -1.0, math.nan])
def test_values_that_cannot_be_are_refused(value: float) -> None:
    with pytest.raises(BadInput, match=r"above 0\.5 and below 1"):
        AdaptiveConsistency(value)
    with pytest.raises(BadInput, match=r"above 0\.5 and below 1"):
        SPRT(p=value, error=0.01)
    with pytest.raises(BadInput, match=r"above 0 and below 0\.5"):
        SPRT(p=0.9, error=value)
    with pytest.raises(BadInput, match="1 ballot or more"):
        Plurality(0)
