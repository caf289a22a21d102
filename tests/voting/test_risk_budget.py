"""A job's risk, spent step by step: exact figures of the theory, and elections that are simulated beside them."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.voting import (
    Election,
    FirstToAheadBy,
    Margins,
    RiskBudget,
    Stalled,
    StepClass,
    Unreachable,
    expected_votes,
    outlook,
    p_step,
    spend,
)
from surefoot.voting.risk_budget import Spending

STEPS, RELIABILITY = 1_000_000, 0.99


def alike(p: float) -> dict[str, tuple[float, list[StepClass]]]:
    return {"": (1.0, [StepClass(1.0, (1 - p,))])}


HIDDEN = [StepClass(0.999, (1e-4,)), StepClass(0.001, (0.1,))]


@given(st.floats(0.51, 0.999), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_a_fixed_lead_is_weighed_as_the_formulas_say(p: float, k: int) -> None:
    weighed = outlook(Margins((k,)), [StepClass(1.0, (1 - p,))])
    assert weighed.risk == pytest.approx(1 - p_step(p, k), rel=1e-4)
    assert weighed.votes == pytest.approx(expected_votes(p, k), rel=1e-4)


@pytest.mark.parametrize(
    ("p", "votes"),
    [
        (0.9, 10.80),
        (0.95, 7.29),
        (0.99, 4.122),
        (0.995, 3.966),
        (0.998, 3.012),
        (0.999, 2.997),
        (0.9999, 2.0006),
    ],
)
def test_steps_that_are_alike_take_what_a_mix_of_two_leads_takes(p: float, votes: float) -> None:
    budget = spend(alike(p), STEPS, RELIABILITY)
    assert budget.votes == pytest.approx(votes, abs=0.006)
    assert budget.risk <= 0.01 * (1 + 1e-9)


def test_hidden_hard_steps_cost_half_of_what_a_budget_could_save() -> None:
    budget = spend({"": (1.0, HIDDEN)}, STEPS, RELIABILITY)
    assert budget.votes == pytest.approx(
        5.005, abs=0.01
    )  # optimal stopping takes 5.01, the cheapest fixed k 6.00
    leads = budget.kinds[""].high.leads
    assert leads[0] == 5
    assert leads[1] > leads[0]  # a contested step is more likely a hard one


def test_kinds_that_the_task_names_get_what_each_needs() -> None:
    budget = spend(
        {"easy": (0.999, [StepClass(1.0, (1e-4,))]), "hard": (0.001, [StepClass(1.0, (0.1,))])},
        STEPS,
        RELIABILITY,
    )
    assert budget.votes == pytest.approx(2.008, abs=0.002)
    assert budget.rule("easy", 0.5).leads == (2,)
    assert budget.rule("hard", 0.999).leads[0] >= 7
    assert budget.rule("never met", 0.0) == budget.rule("hard", 0.999)  # the safest


def test_a_class_that_errs_in_one_view_is_cheap_to_outvote() -> None:
    views = [StepClass(0.999, (1e-4,) * 3), StepClass(0.001, (0.2998, 1e-4, 1e-4))]
    assert spend({"": (1.0, views)}, STEPS, RELIABILITY).votes < 0.6 * 6.0


def test_the_drawn_share_of_steps_gets_the_cheaper_leads() -> None:
    budget = spend(alike(0.99), STEPS, RELIABILITY)
    spending = budget.kinds[""]
    assert (spending.low.leads, spending.high.leads) == ((4,), (5,))
    draws = [budget.rule("", place / 1000) == spending.low for place in range(1000)]
    assert draws == sorted(draws, reverse=True)
    assert sum(draws) / 1000 == pytest.approx(spending.share, abs=0.001)


def test_what_no_vote_mends_is_refused() -> None:
    half = [StepClass(0.99, (1e-4,)), StepClass(0.01, (0.5,))]
    with pytest.raises(Unreachable, match="votes repeat the mistake"):
        spend({"": (1.0, half)}, 1000, RELIABILITY)


@pytest.mark.parametrize(
    "kinds",
    [
        {},
        {"": (0.5, HIDDEN)},
        {"": (1.5, HIDDEN), "none": (-0.5, HIDDEN)},
        {"": (1.0, HIDDEN[:1])},
        {"": (1.0, [])},
    ],
)
def test_shares_that_are_not_the_whole_are_refused(kinds: dict[str, tuple[float, list[StepClass]]]) -> None:
    with pytest.raises(BadInput, match="sum up to 1"):
        spend(kinds, 10, RELIABILITY)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.floats(0.001, 0.3)), min_size=1, max_size=3),
    st.integers(1, 10**6),
)
@settings(max_examples=10, deadline=None)
def test_a_budget_is_never_overspent(parts: list[tuple[int, float]], steps: int) -> None:
    whole = sum(weight for weight, _ in parts)
    kinds = {str(n): (weight / whole, [StepClass(1.0, (error,))]) for n, (weight, error) in enumerate(parts)}
    budget = spend(kinds, steps, RELIABILITY)
    assert budget.risk <= 0.01 * (1 + 1e-6)
    assert all(spending.votes >= 2 for spending in budget.kinds.values())


def test_simulated_elections_take_and_risk_what_was_said() -> None:
    rng, error = random.Random(5), 0.2
    margins = Margins((2, 3, 4))
    weighed = outlook(margins, [StepClass(1.0, (error,))])
    wrong = votes = 0
    for _ in range(20_000):
        election: Election[str] = Election(margins, 200)
        while wanted := election.wanted:
            for number in election.submit(wanted):
                election.cast(number, "wrong" if rng.random() < error else "right")
        verdict = election.verdict()
        wrong, votes = wrong + (verdict.winner == "wrong"), votes + verdict.votes
    assert wrong / 20_000 == pytest.approx(weighed.risk, abs=4 * math.sqrt(weighed.risk / 20_000))
    assert votes / 20_000 == pytest.approx(weighed.votes, rel=0.02)


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 8)), st.integers(1, 5))
def test_one_lead_for_all_dissent_is_first_to_ahead_by(tally: dict[str, int], k: int) -> None:
    one, other = Margins((k,)), FirstToAheadBy(k)
    assert (one.winner(tally), one.wanted(tally)) == (other.winner(tally), other.wanted(tally))


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 8)),
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
)
def test_no_fewer_ballots_than_wanted_decide(tally: dict[str, int], leads: list[int]) -> None:
    margins = Margins(tuple(sorted(leads)))
    wanted = margins.wanted(tally)
    if not wanted:
        assert margins.winner(tally) is not None
    # Whoever gets all further ballots, one less than wanted is not enough.
    for ballot in (*tally, "new"):
        after = {**tally, ballot: tally.get(ballot, 0) + wanted - 1}
        assert (
            wanted < 1
            or (wanted == 1 and after.get(ballot) == tally.get(ballot))
            or margins.winner(after) is None
        )


@pytest.mark.parametrize("leads", [(), (0,), (3, 2)])
def test_leads_that_cannot_be_are_refused(leads: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="never fall as dissent grows"):
        Margins(leads)


def test_leads_that_are_out_of_reach_stall() -> None:
    election: Election[str] = Election(Margins((2, 50)), 10)
    with pytest.raises(Stalled):
        while wanted := election.wanted:
            for number in election.submit(wanted):
                election.cast(number, "ab"[number % 2])


def test_the_most_votes_that_agree_are_those_of_either_leads() -> None:
    kind = Spending(low=Margins((3,)), high=Margins((2, 6)), share=0.5, risk=0.0, votes=3.0, error=0.1)
    assert RiskBudget(kinds={"": kind}, risk=0.0, votes=3.0).most == 3


def test_the_share_of_wrong_ballots_counts_that_hard_steps_take_more() -> None:
    classes = [StepClass(0.99, (0.001,)), StepClass(0.01, (0.4,))]
    spending = spend({"": (1.0, classes)}, 100, RELIABILITY).kinds[""]
    rng, wrong, votes = random.Random(6), 0, 0
    for number in range(40_000):
        rule = spending.low if rng.random() < spending.share else spending.high
        error, tally = classes[number % 100 == 0].errors[0], {True: 0, False: 0}
        while rule.winner(tally) is None:
            tally[rng.random() >= error] += 1
        wrong, votes = wrong + tally[False], votes + sum(tally.values())
    assert spending.error == pytest.approx(wrong / votes, rel=0.05)
    assert spending.error > 2 * (0.99 * 0.001 + 0.01 * 0.4)
