"""What other implementations of this vote were found to get wrong, each kept out by a test of its own."""

import itertools

import pytest

from surefoot.voting import (
    PAPER,
    Calibration,
    Election,
    FirstToAheadBy,
    NotAnAnswer,
    Reading,
    RedFlag,
    Sample,
    Stalled,
    StateOutcome,
    choose_k,
    k_min,
    screen,
)

Step = tuple[str, str]
MILLION = 1_048_575


def elect(k: int, ballots: list[object], limit: int = 100) -> Election[object]:
    """Return an election with these ballots cast in the order in which they were submitted."""
    election: Election[object] = Election(FirstToAheadBy(k), limit)
    for number, ballot in zip(election.submit(len(ballots)), ballots, strict=True):
        election.cast(number, ballot)
    return election


def last_line(text: str) -> Step:
    """Read `move -> state` from the last line; what comes before it is reasoning."""
    move, arrow, state = text.rpartition("\n")[2].partition(" -> ")
    if not arrow:
        raise NotAnAnswer("the last line is not `move -> state`")
    return move, state


def test_a_first_to_k_is_not_ahead_by_k() -> None:
    election = elect(3, ["right", "wrong", "right", "wrong", "right"])
    assert not election.decided, "3 votes against 2 are first-to-3, not 3 ahead"
    assert election.wanted == 2


def test_b_voting_on_the_move_does_not_carry_along_another_ballots_state() -> None:
    texts = ["A->B -> corrupt", "A->B -> good", "A->B -> corrupt", "A->B -> good"]
    election: Election[Step] = Election(FirstToAheadBy(2), limit=10)
    for number, text in zip(election.submit(4), texts, strict=True):
        election.cast(number, screen(Reading(Sample(text), last_line), PAPER))
    assert not election.decided, "four equal moves with two different states are not one candidate"
    for number in election.submit(2):
        election.cast(number, ("A->B", "good"))
    assert election.verdict().winner == ("A->B", "good")
    assert election.verdict().tally == {("A->B", "corrupt"): 2, ("A->B", "good"): 4}


def test_c_different_reasoning_with_the_same_answer_is_the_same_ballot() -> None:
    texts = ["So disk 1 moves.\n0>1 -> s2", "0>1 -> s2", "Hmm, wait -> no.\nYes:\n0>1 -> s2"]
    election: Election[Step] = Election(FirstToAheadBy(3), limit=10)
    for number, text in zip(election.submit(3), texts, strict=True):
        election.cast(number, screen(Reading(Sample(text), last_line), PAPER))
    assert election.verdict().tally == {("0>1", "s2"): 3}


@pytest.mark.parametrize("k", [4, 5, 9])
def test_d_no_early_stop_undercuts_k(k: int) -> None:
    assert not elect(k, ["right"] * (k - 1)).decided, "unanimous, but not yet k ahead"
    assert elect(k, ["right"] * k).decided


def test_d_losing_hope_does_not_elect_a_leader_who_lacks_k() -> None:
    election = elect(3, ["right", "right", *["wrong", "right"] * 20], limit=42)
    assert not election.decided
    with pytest.raises(Stalled):
        election.verdict()


def test_e_a_plurality_is_never_returned_as_a_decision() -> None:
    election = elect(3, ["right", "right", "wrong", "right"], limit=4)
    with pytest.raises(Stalled) as stalled:
        election.verdict()
    assert stalled.value.tally == {"right": 3, "wrong": 1}
    assert not hasattr(stalled.value, "winner")


def test_f_k_is_not_clamped() -> None:
    assert not elect(37, ["right"] * 36).decided
    assert elect(37, ["right"] * 37).decided
    assert k_min(0.55, MILLION, 0.95) == 84, "no upper clamp"


def test_f_p_is_not_clamped() -> None:
    assert k_min(0.99, MILLION, 0.95) == 4, "all that a clamp at 0.99 could ever reach"
    assert [k_min(1 - error, MILLION, 0.95) for error in (1e-3, 1e-5, 1e-8)] == [3, 2, 1]


def test_f_p_is_correctness_and_not_agreement() -> None:
    unanimous_and_wrong = [StateOutcome.count(n, ["wrong"] * 5, answer="right") for n in range(50)]
    calibration = Calibration.of(unanimous_and_wrong, known_answers=True)
    assert calibration.error_rate == 1
    assert not choose_k(calibration, 100, 0.9).supported


def test_g_a_batch_is_not_awaited_once_it_is_decided() -> None:
    election: Election[str] = Election(FirstToAheadBy(2), limit=10)
    first, second, *_unfinished = election.submit(8)
    election.cast(first, "right")
    election.cast(second, "right")
    assert election.decided
    assert election.wanted == 0
    assert election.verdict().samples == 2


def test_h_p_is_not_calibrated_on_one_state() -> None:
    one = StateOutcome("start", valid=10_000, agreeing=10_000)
    calibration = Calibration.of([one], known_answers=True)
    assert calibration.error_bound == pytest.approx(0.95), (
        "one state says next to nothing, however often asked"
    )
    choice = choose_k(calibration, MILLION, 0.95)
    assert not choice.supported
    assert "1 different state" in choice.why


def test_h_the_same_state_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'start' comes 2 times"):
        Calibration.of([StateOutcome("start", 5, 5), StateOutcome("start", 5, 5)], known_answers=True)


def test_i_a_failed_request_is_not_a_red_flag() -> None:
    election: Election[str] = Election(FirstToAheadBy(3), limit=3)
    lost, *others = election.submit(3)
    for number in others:
        election.cast(number, "right")
    assert not election.decided, "the lost sample is still owed"
    assert election.wanted == 0, "and no other is drawn in its place"
    election.cast(lost, "right")
    assert election.verdict().flags == {}
    assert election.verdict().samples == 3


def test_i_only_a_refused_answer_becomes_malformed() -> None:
    def broken_pipe(text: str) -> str:
        raise ConnectionError("the server went away")

    with pytest.raises(ConnectionError):
        screen(Reading(Sample("right"), broken_pipe), PAPER)


def test_j_a_leader_who_cannot_be_caught_any_more_is_not_yet_elected() -> None:
    election = elect(3, ["right", "right", "wrong", "right"], limit=5)
    assert not election.decided, "with one sample left no rival can catch up, but k = 3 was asked for"
    assert election.wanted == 1
    for number in election.submit(1):
        election.cast(number, RedFlag("malformed"))
    with pytest.raises(Stalled):
        _ = election.wanted


def test_j_the_lead_is_the_only_test_and_fires_in_every_possible_history() -> None:
    for ballots in itertools.product("ab", repeat=8):
        margins = [abs(ballots[:n].count("a") - ballots[:n].count("b")) for n in range(1, 9)]
        assert elect(3, list(ballots)).decided == (max(margins) >= 3)
