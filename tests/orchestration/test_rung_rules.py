"""When the elections of a ladder stop: what they decide, and that they never ask for too many ballots at once."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.orchestration.ladder import Pooled, Twice
from surefoot.voting import Election, FirstToAheadBy, Rule, Stalled

tallies = st.dictionaries(st.sampled_from("abc"), st.integers(1, 12), max_size=3)
rules = st.builds(Twice, st.builds(FirstToAheadBy, st.integers(1, 5))) | st.builds(
    Pooled, st.builds(FirstToAheadBy, st.integers(1, 5)), tallies
)


@given(rules, tallies, st.lists(st.sampled_from("abcd"), max_size=12))
def test_nothing_is_decided_before_as_many_ballots_as_were_said_to_be_wanted(
    rule: Rule, tally: dict[str, int], further: list[str]
) -> None:
    wanted = rule.wanted(tally)
    assert (wanted == 0) == (rule.winner(tally) is not None)
    for place in range(min(len(further), max(0, wanted - 1))):
        assert rule.winner(Counter(tally) + Counter(further[: place + 1])) is None


def test_twice_the_votes_of_the_runner_up_are_needed_beside_the_lead() -> None:
    rule = Twice(FirstToAheadBy(2))
    assert rule.winner({"a": 2}) == "a"
    assert rule.winner({"a": 5, "b": 3}) is None
    assert rule.wanted({"a": 5, "b": 3}) == 1
    assert rule.winner({"a": 6, "b": 3}) == "a"


def test_ballots_are_pooled_only_where_they_agree_better_than_chance() -> None:
    earlier = {"a": 4, "b": 3}
    rule = Pooled(FirstToAheadBy(6), earlier)
    assert rule.winner({"a": 4}) is None  # four of four may be chance, between two candidates
    assert rule.winner({"a": 5}) == "a"  # five may not: nine to three
    assert FirstToAheadBy(6).winner({"a": 5}) is None
    assert rule.winner({"b": 5}) is None  # they speak for another one, and stand alone
    assert rule.winner({"b": 6}) == "b"


@pytest.mark.parametrize("dissent", [1, 2, 5])
def test_an_election_with_a_dissent_counts_nothing_after_so_many_votes_against_the_leader(
    dissent: int,
) -> None:
    election: Election[str] = Election(FirstToAheadBy(3), 100, dissent)
    ballots = iter("ab" * 20)
    with pytest.raises(Stalled) as stalled:
        while wanted := election.wanted:
            for number in election.submit(wanted + 2):
                election.cast(number, next(ballots))
    assert min(stalled.value.tally.values()) == dissent
    assert sum(stalled.value.tally.values()) == 2 * dissent


def test_a_ballot_that_decides_is_no_dissent() -> None:
    election: Election[str] = Election(FirstToAheadBy(2), 100, 2)
    for number in election.submit(4):
        election.cast(number, "abaa"[number])
    assert election.verdict().tally == {"a": 3, "b": 1}
