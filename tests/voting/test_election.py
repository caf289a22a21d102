"""The laws of an election: what decides it, when, and that nothing else does."""

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.voting import Election, FirstToAheadBy, RedFlag, Stalled, Verdict

Outcome = str | RedFlag

ballots = st.sampled_from("abc")
flags = st.sampled_from(["malformed", "too long"]).map(RedFlag)
outcomes = st.lists(ballots | flags, max_size=40)
leads = st.integers(1, 5)


def polled(
    k: int, drawn: Sequence[Outcome], order: Sequence[int] | None = None
) -> Verdict[str] | tuple[object, object]:
    """Submit all of `drawn` at once, complete it in `order`; a stalled election comes back as its tally and flags."""
    election: Election[str] = Election(FirstToAheadBy(k), limit=len(drawn))
    election.submit(len(drawn))
    for number in order if order is not None else range(len(drawn)):
        election.cast(number, drawn[number])
    try:
        return election.verdict()
    except Stalled as stalled:
        return stalled.tally, stalled.flags


def lead(drawn: Sequence[Outcome]) -> int:
    """Return the margin of the leader over the runner-up, counted afresh."""
    votes = [count for _, count in Counter(o for o in drawn if isinstance(o, str)).most_common(2)]
    return sum(votes[:1]) - sum(votes[1:])


@given(leads, outcomes, st.data())
def test_the_order_of_completion_never_changes_the_verdict(
    k: int, drawn: list[Outcome], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(drawn))))
    assert polled(k, drawn, order) == polled(k, drawn)


@given(leads, outcomes)
def test_it_is_decided_at_the_first_lead_of_k_and_not_before(k: int, drawn: list[Outcome]) -> None:
    election: Election[str] = Election(FirstToAheadBy(k), limit=len(drawn))
    for number in election.submit(len(drawn)):
        assert not election.decided
        assert election.cast(number, drawn[number]) == (lead(drawn[: number + 1]) >= k)
        assert election.decided == (lead(drawn[: number + 1]) >= k)
        if election.decided:
            break


@given(leads, outcomes)
def test_the_winner_leads_every_other_candidate_by_k(k: int, drawn: list[Outcome]) -> None:
    verdict = polled(k, drawn)
    if isinstance(verdict, Verdict):
        others = [votes for ballot, votes in verdict.tally.items() if ballot != verdict.winner]
        assert verdict.tally[verdict.winner] >= k + max(others, default=0)


@given(leads, outcomes, st.lists(ballots | flags, min_size=1, max_size=10))
def test_late_outcomes_change_nothing(k: int, drawn: list[Outcome], late: list[Outcome]) -> None:
    drawn = [*drawn, *["a"] * (len(drawn) + k)]
    election: Election[str] = Election(FirstToAheadBy(k), limit=len(drawn) + len(late))
    for number in election.submit(len(drawn)):
        election.cast(number, drawn[number])
    before = election.verdict()
    tally, red = dict(before.tally), dict(before.flags)
    for number, outcome in zip(election.submit(len(late)), late, strict=True):
        election.cast(number, outcome)
    after = election.verdict()
    assert (after.winner, dict(after.tally), dict(after.flags)) == (before.winner, tally, red)


@given(st.integers(1, 4), st.dictionaries(ballots, st.integers(1, 4)))
def test_wanted_is_the_fewest_ballots_that_can_decide(k: int, tally: dict[str, int]) -> None:
    rule = FirstToAheadBy(k)
    wanted = rule.wanted(tally)
    reachable = [
        any(
            rule.winner(Counter(tally) + Counter(more)) is not None
            for more in itertools.combinations_with_replacement("abcd", size)
        )
        for size in range(wanted + 1)
    ]
    assert reachable == [False] * wanted + [True]


@given(leads, outcomes, st.integers(0, 40))
def test_samples_in_flight_are_not_wanted_again(k: int, drawn: list[Outcome], extra: int) -> None:
    rule = FirstToAheadBy(k)
    election: Election[str] = Election(rule, limit=1000)
    submitted = election.submit(len(drawn) + extra)
    for number, outcome in zip(submitted, drawn, strict=False):
        election.cast(number, outcome)
    if not election.decided:
        tally = Counter(o for o in drawn if isinstance(o, str))
        assert election.wanted == max(0, rule.wanted(tally) - extra)
    else:
        assert election.wanted == 0


@given(leads, st.integers(0, 30), st.lists(ballots | flags, min_size=80, max_size=80))
def test_at_its_limit_it_stalls_with_the_exact_tally(k: int, limit: int, drawn: list[Outcome]) -> None:
    election: Election[str] = Election(FirstToAheadBy(k), limit)
    counted: list[Outcome] = []
    try:
        while wanted := election.wanted:
            for number in election.submit(wanted):
                election.cast(number, drawn[number])
                counted.append(drawn[number])
    except Stalled as stalled:
        assert len(counted) <= limit
        assert limit - len(counted) < k - lead(counted), "it gave up although the limit left room"
        assert stalled.tally == Counter(o for o in counted if isinstance(o, str))
        assert stalled.flags == Counter(o.reason for o in counted if isinstance(o, RedFlag))
        assert not election.decided
        with pytest.raises(Stalled):
            election.verdict()
    else:
        assert lead(counted) == k


def test_a_stalled_election_says_what_it_saw() -> None:
    election: Election[str] = Election(FirstToAheadBy(3), limit=4)
    for number, outcome in zip(election.submit(4), ["a", "b", RedFlag("malformed"), "a"], strict=True):
        election.cast(number, outcome)
    with pytest.raises(Stalled, match=r"4 samples \(votes: 'a': 2, 'b': 1; red flags: malformed: 1\)"):
        _ = election.wanted


def test_a_verdict_counts_votes_flags_and_opposition() -> None:
    verdict = polled(2, ["a", RedFlag("malformed"), "b", "a", "a", "b"])
    assert isinstance(verdict, Verdict)
    assert (verdict.winner, verdict.votes, verdict.samples, verdict.contested) == ("a", 4, 5, True)


def test_numbers_are_handed_out_once_and_not_past_the_limit() -> None:
    election: Election[str] = Election(FirstToAheadBy(1), limit=5)
    assert [list(election.submit(3)), list(election.submit(3)), list(election.submit(3))] == [
        [0, 1, 2],
        [3, 4],
        [],
    ]


@pytest.mark.parametrize("number", [-1, 2])
def test_a_sample_that_was_never_submitted_cannot_vote(number: int) -> None:
    election: Election[str] = Election(FirstToAheadBy(1), limit=5)
    election.submit(2)
    with pytest.raises(BadInput, match="was not submitted"):
        election.cast(number, "a")


def test_none_is_not_a_ballot() -> None:
    election: Election[str | None] = Election(FirstToAheadBy(1), limit=5)
    election.submit(1)
    with pytest.raises(BadInput, match="NotAnAnswer"):
        election.cast(0, None)


@pytest.mark.parametrize("k", [0, -3])
def test_k_below_one_is_refused(k: int) -> None:
    with pytest.raises(BadInput, match=repr(k)):
        FirstToAheadBy(k)
