"""What a calibration leaves possible of hard steps: never less than there are."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.voting import (
    Calibration,
    Margins,
    StateOutcome,
    TailBound,
    choose_budget,
    choose_k,
    outlook,
    tail_bound,
    worst_classes,
)
from surefoot.voting.choice import risk_bound, states_to_promise, wrong_upper
from surefoot.voting.reliability import risk
from surefoot.voting.step_classes import StepClass


def drawn(rates: list[float], ballots: int, rng: random.Random) -> list[tuple[tuple[int, int], ...]]:
    return [((sum(rng.random() < rate for _ in range(ballots)), ballots),) for rate in rates]


def calibration(wrong: list[int], ballots: int = 3) -> Calibration:
    outcomes = [
        StateOutcome(state, ballots, ballots - errs, errs, by_view=((errs, ballots),))
        for state, errs in enumerate(wrong)
    ]
    return Calibration.of(outcomes, known_answers=True)


@pytest.mark.parametrize(("share", "hard"), [(0.0, 0.0), (0.01, 0.1), (0.1, 0.3), (0.3, 0.05)])
def test_the_bound_holds_for_all_error_rates_at_once_in_as_many_calibrations_as_promised(
    share: float, hard: float
) -> None:
    rng, missed = random.Random(7), 0
    levels = [0.002, hard - 1e-9]
    for _ in range(200):
        rates = [hard if rng.random() < share else 0.002 for _ in range(400)]
        bound = tail_bound(drawn(rates, 3, rng))
        truth = {0.002: share, hard - 1e-9: share} if hard else {}
        missed += any(bound.share(level) < truth.get(level, 0.0) for level in levels if level > 0)
    assert missed / 200 <= 0.05 + 0.03


def test_few_states_leave_much_possible() -> None:
    few, many = TailBound(100, 3, (0, 0, 0), 0.95), TailBound(10_000, 3, (0, 0, 0), 0.95)
    for error in (0.01, 0.1, 0.5):
        assert few.share(error) > many.share(error) > 0
    assert few.share(0.1) > few.share(0.3)
    assert few.everywhere() == pytest.approx(
        0.01365, rel=0.01
    )  # about ln(3 / 0.05) / (3 ballots x 100 states)


def test_ballots_of_several_views_count_once_each() -> None:
    states = [((0, 1), (1, 1), (0, 1))] * 4 + [((0, 1), (0, 1), (0, 1))] * 96
    bound = tail_bound(states)
    assert (bound.ballots, bound.erring) == (1, (4,))  # an error in the worst view shows in one ballot alone


@pytest.mark.parametrize("states", [[], [((0, 0),)], [((0, 1),), ((0, 1), (0, 1))]])
def test_states_that_tell_nothing_are_refused(states: list[tuple[tuple[int, int], ...]]) -> None:
    with pytest.raises(BadInput, match="a ballot in each of the same views"):
        tail_bound(states)


@given(
    st.lists(st.sampled_from((0, 0, 0, 0, 0, 0, 0, 0, 1, 2)), min_size=20, max_size=60),
    st.floats(0.2, 0.45),
)
@settings(max_examples=40, deadline=None)
def test_the_worst_mixture_is_a_mixture_and_grows_with_the_hardest(wrong: list[int], hardest: float) -> None:
    bound = tail_bound([((errs, 3),) for errs in wrong])
    if bound.everywhere() >= hardest:
        with pytest.raises(BadInput, match="the hardest step is to have"):
            worst_classes(bound, hardest)
        return
    classes = worst_classes(bound, hardest)
    assert sum(each.share for each in classes) == pytest.approx(1)
    assert max(each.errors[0] for each in classes) <= hardest * (1 + 1e-9)
    harder = worst_classes(bound, min(0.49, hardest * 1.08))
    at = Margins((4,))
    assert outlook(at, harder).risk >= outlook(at, classes).risk * 0.999


def test_a_budget_that_was_learned_holds_where_hard_steps_are_hidden() -> None:
    """The mean of the same states asks for k = 3, with which three jobs in four go wrong."""
    rng, steps, held = random.Random(11), 1_000_000, 0
    truth = [StepClass(0.999, (1e-4,)), StepClass(0.001, (0.1,))]
    for _ in range(10):
        rates = [0.1 if rng.random() < 0.001 else 1e-4 for _ in range(3000)]
        chosen = choose_budget(calibration([errs for ((errs, _),) in drawn(rates, 3, rng)]), steps, 0.99)
        assert chosen.budget is not None
        spending = chosen.budget.kinds[""]
        low, high = outlook(spending.low, truth, 1e-18), outlook(spending.high, truth, 1e-18)
        held += steps * (spending.share * low.risk + (1 - spending.share) * high.risk) <= 0.01
    assert held == 10


def test_without_right_answers_no_budget_is_spent() -> None:
    outcomes = [StateOutcome(state, 3, 3) for state in range(20)]
    chosen = choose_budget(Calibration.of(outcomes, known_answers=False), 100, 0.99)
    assert chosen.budget is None
    assert "right answers" in chosen.why


def test_errors_beyond_the_hardest_are_refused_in_a_sentence() -> None:
    chosen = choose_budget(calibration([1, 2, 3, 0] * 10), 100, 0.99)
    assert chosen.budget is None
    assert "the hardest step is to have" in chosen.why


def test_a_wrong_election_has_a_wrong_ballot_among_its_first() -> None:
    clean = calibration([0] * 500)
    share = wrong_upper(clean, 3)
    assert share == pytest.approx(1 - 0.05 ** (1 / 500))
    assert wrong_upper(clean, 4) == pytest.approx(2 * share)  # a fourth ballot was not drawn
    assert risk_bound(clean, 3, 100) == pytest.approx(1 - (1 - share) ** 100)
    needed = states_to_promise(clean, 3, 100, 0.99)
    promised = risk_bound(calibration([0] * needed), 3, 100)
    assert promised is not None
    assert promised <= 0.01 * (1 + 1e-6)
    assert risk_bound(calibration([0] * (needed - 1)), 3, 100) > 0.01  # type: ignore[operator]


def test_states_that_red_flags_have_emptied_are_not_forgotten() -> None:
    clean, silent = [((0, 3),)] * 90, [((0, 0),)] * 10
    assert tail_bound(clean + silent).erring == (10, 10, 10)
    views = [((0, 1), (0, 1))] * 90
    lacking = tail_bound([*views, ((1, 1), (0, 0)), ((0, 1), (0, 0))])
    assert (lacking.states, lacking.erring) == (
        91,
        (1,),
    )  # a wrong ballot counts, a right one tells nothing of the other view


def test_a_kind_of_which_nothing_is_known_is_not_left_out_of_the_budget() -> None:
    easy = [StateOutcome(state, 3, 3, by_view=((0, 3),)) for state in range(3000)]
    mute = [
        StateOutcome(-1 - state, 0, 0, flags={"length": 3}, kind="mute", by_view=((0, 0),))
        for state in range(30)
    ]
    assert choose_budget(Calibration.of(easy, known_answers=True), 100, 0.99).budget is not None
    chosen = choose_budget(Calibration.of(easy + mute, known_answers=True), 100, 0.99)
    assert chosen.budget is None
    assert "a valid sample in each view" in chosen.why


def test_the_bound_of_a_budget_by_each_state_is_that_of_its_smallest_lead() -> None:
    outcomes = [StateOutcome(state, 300, 300, by_view=((0, 300),)) for state in range(7)]
    known = Calibration.of(outcomes, known_answers=True, every_state=True, each=True)
    chosen = choose_budget(known, 7, 0.99)
    assert chosen.budget is not None
    assert known.worst_bound is not None
    assert chosen.budget.least < chosen.budget.most
    assert chosen.risk_bound == risk(1 - known.worst_bound, chosen.budget.least, 7)


def test_states_that_would_promise_keep_the_promise_where_k_is_more_than_their_ballots() -> None:
    needed = states_to_promise(calibration([0] * 50), 7, 20, 0.9)
    for states, kept in ((needed, True), (needed - 1, False)):
        promised = risk_bound(calibration([0] * states), 7, 20)
        assert promised is not None
        assert (promised <= 0.1 * (1 + 1e-9)) is kept


def test_leads_of_a_tasks_own_have_no_bound_that_rests_on_k() -> None:
    chosen = choose_k(calibration([0] * 500), 100, 0.99, own_leads=True)
    assert (chosen.risk_bound, chosen.states_to_promise) == (None, None)
    assert "However steps differ" not in chosen.why


def test_the_kind_that_no_budget_holds_for_is_named() -> None:
    easy = [StateOutcome(state, 3, 3, by_view=((0, 3),)) for state in range(3000)]
    rare = StateOutcome(-1, 3, 3, kind="rare", by_view=((0, 3),))
    chosen = choose_budget(Calibration.of([*easy, rare], known_answers=True), 100, 0.99)
    assert "of kind 'rare' (1 of the states), ballots may be wrong" in chosen.why
