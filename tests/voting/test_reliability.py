"""The formulas, against the paper's table, against exact arithmetic and against the walk itself."""

import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.voting import (
    PerSample,
    Price,
    Unreachable,
    expected_samples,
    expected_votes,
    forecast,
    k_min,
    largest_error,
    p_alt,
    p_full,
    p_step,
    p_vote,
    risk,
    vote_risk,
)

MILLION = 1_048_575
"""The steps of 20 disks."""

majorities = st.floats(0.5 + 1e-9, 1)
reliabilities = st.floats(1e-6, 1, exclude_max=True)


def risk_in_decimals(p: float, k: int, steps: int) -> float:
    """Return 1 - (1 + ((1-p)/p)^k)^-steps, in 100 digits."""
    with localcontext(prec=100):
        ratio = (1 - Decimal(p)) / Decimal(p)
        return float(1 - (1 + ratio**k) ** -steps)


def votes_by_walking(up: float, down: float, k: int) -> float:
    """Return the expected length of a walk from 0 to +-k, by following its distribution to the end."""
    alive, expected = {0: 1.0}, 0.0
    while (mass := sum(alive.values())) > 1e-15:
        expected += mass
        following = dict.fromkeys(range(-k, k + 1), 0.0)
        for margin, share in alive.items():
            following[margin] += share * (1 - up - down)
            following[margin + 1] += share * up
            following[margin - 1] += share * down
        alive = {margin: share for margin, share in following.items() if abs(margin) < k}
    return expected


@pytest.mark.parametrize(
    ("model", "error", "k"),
    [
        ("gpt-4.1-nano", 0.3571, 29),
        ("gpt-4.1-mini, T = 1.0", 0.0040, 4),
        ("gpt-4.1-mini, T = 0.1", 0.0022, 3),
        ("o3-mini, low", 0.0018, 3),
        ("claude-haiku-4.5", 0.1839, 12),
        ("gpt-oss-20b", 0.0358, 6),
        ("qwen3", 0.2342, 15),
        ("deepseek-v3.1", 0.0569, 6),
        ("kimi-k2", 0.0393, 6),
    ],
)
def test_k_min_agrees_with_the_papers_table(model: str, error: float, k: int) -> None:
    assert k_min(1 - error, MILLION, 0.95) == k


def test_the_papers_cost_is_met_once_input_tokens_are_priced_too() -> None:
    """The table says $3.5K for gpt-4.1-mini; its prompts have about 600 tokens."""
    price = Price(input_per_mtok=0.40, output_per_mtok=1.60)
    cost = forecast(0.9978, 3, MILLION, per_sample=PerSample(600, 538), price=price).cost
    assert cost == pytest.approx(3500, rel=0.02)


@pytest.mark.parametrize(
    ("error", "k", "expected"),
    [
        (0.0022, 2, 0.006),
        (0.0022, 3, 0.989),
        (0.0022, 4, 0.99998),
        (0.0358, 4, 0.136),
        (0.0358, 6, 0.997),
    ],
)
def test_k_is_a_cliff(error: float, k: int, expected: float) -> None:
    digits = len(str(expected)) - 2
    assert round(p_full(1 - error, k, MILLION), digits) == expected


@pytest.mark.parametrize(
    ("p", "first_to_three", "ahead_by_three"), [(0.9, 0.0086, 0.0013), (0.8, 0.058, 0.0154)]
)
def test_first_to_k_is_several_times_worse_than_ahead_by_k(
    p: float, first_to_three: float, ahead_by_three: float
) -> None:
    wrong_majority_of_five = sum(math.comb(5, n) * p**n * (1 - p) ** (5 - n) for n in range(3))
    assert wrong_majority_of_five == pytest.approx(first_to_three, abs=0.0005)
    assert 1 - p_step(p, 3) == pytest.approx(ahead_by_three, abs=0.0001)


@pytest.mark.parametrize("p", [1 - 1e-12, 1 - 1e-9, 0.9999, 0.9978, 0.8, 0.5001, 0.5])
@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("steps", [1, MILLION])
def test_risk_keeps_its_digits_for_a_million_steps_and_tiny_errors(p: float, k: int, steps: int) -> None:
    assert risk(p, k, steps) == pytest.approx(risk_in_decimals(p, k, steps), rel=1e-9, abs=0)


@pytest.mark.parametrize("offset", [1e-6, 1e-9, 1e-12])
def test_a_bare_majority_keeps_its_digits_too(offset: float) -> None:
    p, k = 0.5 + offset, round(2 / offset)
    assert risk(p, k, 1) == pytest.approx(risk_in_decimals(p, k, 1), rel=1e-9, abs=0)


def test_the_textbook_form_would_have_lost_them() -> None:
    p = 1 - 1e-12
    textbook = 1 - (1 + ((1 - p) / p) ** 2) ** -MILLION
    assert textbook == 0
    assert risk(p, 2, MILLION) == pytest.approx(1.05e-18, rel=0.01, abs=0)


@given(majorities, st.integers(1, 30), st.integers(1, 10**7))
def test_risk_and_p_full_add_up_to_one(p: float, k: int, steps: int) -> None:
    assert risk(p, k, steps) + p_full(p, k, steps) == pytest.approx(1)


@given(st.floats(0.5, 1), st.integers(1, 20))
def test_right_and_wrong_are_symmetric(p: float, k: int) -> None:
    assert p_step(1 - p, k) == pytest.approx(1 - p_step(p, k))
    assert expected_votes(1 - p, k) == pytest.approx(expected_votes(p, k))


@given(majorities, st.integers(1, 10**7), reliabilities, st.integers(1, 5))
def test_k_min_is_enough_and_one_less_is_not(p: float, steps: int, reliability: float, m: int) -> None:
    k = k_min(p, steps, reliability, m)
    assert p_full(p, k, steps, m) >= reliability * (1 - 1e-12)
    if k > 1:
        assert p_full(p, k - 1, steps, m) < reliability * (1 + 1e-12)


@given(st.floats(0.5 + 1e-9, 1, exclude_max=True))
def test_for_one_step_as_good_as_one_sample_one_vote_is_enough(p: float) -> None:
    assert k_min(p, 1, p) == 1


@pytest.mark.parametrize("reliability", [0.5, 0.95, 1 - 1e-9, 1 - 1e-15])
@pytest.mark.parametrize("p", [0.5 + 1e-15, 0.500001, 0.51, 0.75, 0.9978, 1 - 1e-12])
def test_k_min_is_minimal_where_p_full_itself_is_too_coarse_to_tell(p: float, reliability: float) -> None:
    k = k_min(p, MILLION, reliability)
    allowed = 1 - reliability
    assert risk(p, k, MILLION) <= allowed * (1 + 1e-9)
    if k > 1:
        assert risk(p, k - 1, MILLION) > allowed * (1 - 1e-9)


def test_a_model_that_never_errs_needs_one_vote() -> None:
    assert k_min(1.0, MILLION, 0.999999) == 1
    assert (p_full(1.0, 1, MILLION), risk(1.0, 1, MILLION), expected_votes(1.0, 7)) == (1, 0, 7)


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5])
def test_without_a_majority_no_k_is_enough(p: float) -> None:
    with pytest.raises(Unreachable, match=rf"only p = {p!r} .* stronger model"):
        k_min(p, MILLION, 0.95)


@given(st.integers(1, 30), st.integers(1, 10**6), st.floats(0.5, 0.99))
def test_the_largest_error_for_k_is_where_k_min_turns(k: int, steps: int, reliability: float) -> None:
    error = largest_error(k, steps, reliability)
    assert k_min(1 - error * (1 - 1e-6), steps, reliability) <= k
    if error < 0.49:
        assert k_min(1 - error * (1 + 1e-6), steps, reliability) > k


def test_steps_that_do_not_fill_the_last_sample_still_need_an_election_for_it() -> None:
    assert p_full(0.9, 2, 10, m=3) == pytest.approx(p_step(0.9, 2) ** 4)


@given(st.floats(0.01, 0.99), st.integers(1, 6), st.integers(1, 8))
def test_the_odds_of_a_step_do_not_depend_on_how_many_steps_a_sample_takes(p: float, m: int, k: int) -> None:
    assert p_step(p, k) == pytest.approx(1 / (1 + (p_alt(p, m) / p_vote(p, m)) ** k))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.5 + 1e-9, 0.7, 0.9978, 1.0])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_expected_votes_is_the_length_of_the_walk(p: float, k: int) -> None:
    assert expected_votes(p, k) == pytest.approx(votes_by_walking(p, 1 - p, k), rel=1e-9)


@pytest.mark.parametrize("m", [2, 5])
@pytest.mark.parametrize("p", [0.5, 0.7, 0.95])
def test_expected_votes_of_several_steps_per_sample_is_the_length_of_the_lazy_walk(p: float, m: int) -> None:
    walked = votes_by_walking(p_vote(p, m), p_alt(p, m), 3)
    assert expected_votes(p, 3, m) == pytest.approx(walked, rel=1e-9)


@pytest.mark.parametrize("offset", [0.0, 1e-16, 1e-12, 1e-8])
def test_expected_votes_is_stable_around_a_half(offset: float) -> None:
    assert expected_votes(0.5 + offset, 10) == pytest.approx(100)
    assert expected_votes(0.5 - offset, 10) == pytest.approx(100)


def test_expected_votes_tends_to_the_papers_limit() -> None:
    assert expected_votes(0.8, 60) == pytest.approx(60 / 0.6)


def test_samples_that_are_never_right_throughout_take_for_ever() -> None:
    assert expected_votes(0.0, 3, m=2) == math.inf


def test_red_flags_are_paid_for() -> None:
    assert expected_samples(0.9, 3, valid_rate=0.5) == 2 * expected_votes(0.9, 3)


@pytest.mark.parametrize("extra", [0, 1, 7])
def test_the_risk_of_a_step_depends_on_the_margin_alone(extra: int) -> None:
    p, margin = 0.8, 3
    winner, rival = margin + extra, extra
    right, wrong = p**winner * (1 - p) ** rival, p**rival * (1 - p) ** winner
    assert vote_risk(p, margin) == pytest.approx(wrong / (wrong + right))


def test_a_forecast_adds_up() -> None:
    price = Price(input_per_mtok=2.0, output_per_mtok=8.0, cached_per_mtok=0.5)
    per_sample = PerSample(input_tokens=100, output_tokens=10, cached_tokens=80, requests=0.25)
    got = forecast(0.9, 3, 1000, valid_rate=0.8, per_sample=per_sample, price=price)
    assert got.votes == pytest.approx(1000 * expected_votes(0.9, 3))
    assert got.samples == pytest.approx(got.votes / 0.8)
    assert got.requests == pytest.approx(got.samples / 4)
    assert (got.input_tokens, got.cached_tokens, got.output_tokens) == pytest.approx(
        (100 * got.samples, 80 * got.samples, 10 * got.samples)
    )
    assert got.cost == pytest.approx(got.samples * (20 * 2.0 + 80 * 0.5 + 10 * 8.0) / 1e6)
    assert (got.k, got.risk) == (3, risk(0.9, 3, 1000))


def test_what_was_not_measured_is_unknown_and_not_zero() -> None:
    got = forecast(0.9, 3, 1000, price=Price(1, 1))
    assert (got.requests, got.input_tokens, got.cached_tokens, got.output_tokens, got.cost) == (None,) * 5
    assert forecast(0.9, 3, 1000, per_sample=PerSample(1, 1)).cost is None


def test_cached_tokens_cost_as_much_as_others_where_no_price_is_named() -> None:
    assert Price(2.0, 8.0).of(1e6, 0, cached_tokens=1e6) == 2.0


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, math.inf])
def test_p_outside_zero_and_one_is_refused(p: float) -> None:
    for use in (p_vote, p_alt, expected_samples, p_step, expected_votes):
        with pytest.raises(BadInput, match=repr(p)):
            use(p, 1)


@pytest.mark.parametrize("reliability", [-0.1, 0, 1, 1.5, math.nan])
def test_a_reliability_that_is_no_reliability_is_refused(reliability: float) -> None:
    with pytest.raises(BadInput, match=repr(reliability)):
        k_min(0.9, 10, reliability)
    with pytest.raises(BadInput, match=repr(reliability)):
        largest_error(3, 10, reliability)


@pytest.mark.parametrize("count", [0, -1, 2.5])
def test_counts_below_one_or_broken_are_refused(count: int) -> None:
    for use in (
        lambda: p_step(0.9, count),
        lambda: vote_risk(0.9, count),
        lambda: p_full(0.9, 3, count),
        lambda: p_full(0.9, 3, 10, count),
        lambda: k_min(0.9, count, 0.9),
        lambda: expected_votes(0.9, count),
        lambda: expected_votes(0.9, 3, count),
        lambda: largest_error(count, 10, 0.9),
    ):
        with pytest.raises(BadInput, match=repr(count)):
            use()


def test_a_model_whose_samples_are_all_thrown_away_is_refused() -> None:
    with pytest.raises(BadInput, match="valid_rate"):
        expected_samples(0.9, 3, valid_rate=0.0)


@pytest.mark.parametrize("price", [-1.0, math.nan, math.inf])
def test_a_price_that_is_none_is_refused(price: float) -> None:
    with pytest.raises(BadInput, match="cached_per_mtok"):
        Price(1.0, 1.0, price)
