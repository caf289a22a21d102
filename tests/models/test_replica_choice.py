"""Which replica is asked, when one is left alone, and who is the odd one: without servers, on a clock of the test's own."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import Ask, Message, ModelUnavailable
from surefoot.models.doubles import towers_double
from surefoot.models.openai.options import Options
from surefoot.models.replicas.affinity import BEGINNING, beginning, digest, weight
from surefoot.models.replicas.odd_one_out import OddOneOut
from surefoot.models.replicas.replica import (
    FIRST_REST_S,
    HALF_LIFE_S,
    LONGEST_REST_S,
    STEADY,
    BreakerState,
    Replica,
)
from surefoot.models.replicas.roster import Roster

SERVERS = [f"http://{name}:8000/v1" for name in "abcde"]


class Clock:
    """Time that passes on request."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def replica(clock: Clock, changes: list[BreakerState] | None = None) -> Replica:
    seen = [] if changes is None else changes
    return Replica(towers_double(), "server", clock, lambda each: seen.append(each.state))


def fail(one: Replica, times: int = 1) -> None:
    for _ in range(times):
        given = one.assign(1)
        given.failed("no answer")
        given.over()


def answer(one: Replica, times: int = 1) -> None:
    for _ in range(times):
        given = one.assign(1)
        given.answered()
        given.over()


# --- affinity ---


def test_a_server_that_goes_moves_only_its_own_keys_and_keys_are_spread_evenly() -> None:
    keys = [digest(str(number)) for number in range(5000)]

    def homes(servers: list[str]) -> list[str]:
        return [max(servers, key=lambda server: weight(key, server)) for key in keys]

    before, after = homes(SERVERS), homes(SERVERS[1:])
    assert all(new == old for old, new in zip(before, after, strict=True) if old != SERVERS[0])
    assert all(900 < count < 1100 for count in Counter(before).values())


def test_the_turns_of_a_conversation_and_the_samples_of_a_step_begin_alike() -> None:
    opening = (Message("system", "Be brief."), Message("user", "Mend the sum."))
    later = (*opening, Message("assistant", "I look."), Message("user", "It says 4."))
    other = (Message("system", "Be brief."), Message("user", "Mend the product."))
    said = [beginning(Ask(prompt, 0.1, 10, seed)) for seed, prompt in enumerate((opening, later, other))]
    assert said[0] == said[1] != said[2]
    assert beginning(Ask("text", 0.0, 10, 0)) == beginning(Ask("text", 0.7, 10, 9)) == "text"


def test_of_a_long_prompt_the_beginning_counts_and_any_text_has_a_digest() -> None:
    assert len(beginning(Ask("x" * 10**7, 0.1, 10, 0))) == BEGINNING
    assert len(beginning(Ask((Message("user", "x" * 10**7),), 0.1, 10, 0))) == BEGINNING
    assert digest("\ud800") != digest("?")


def roster(clock: Clock, latencies_s: dict[int, float]) -> Roster:
    found = Roster([(server, towers_double()) for server in SERVERS[:3]], beginning, Options(), clock=clock)
    for number, latency_s in latencies_s.items():
        given = found.replicas[number].assign(1)
        clock.now += latency_s
        given.answered()
        given.over()
    return found


def home(found: Roster, key: bytes) -> Replica:
    return max(found.replicas, key=lambda each: weight(key, each.server))


def test_a_key_s_own_replica_is_asked_until_that_would_take_longer_than_elsewhere() -> None:
    found, key = roster(Clock(), {0: 0.1, 1: 0.1, 2: 0.1}), digest("key")
    own = home(found, key)
    assert found.choose(key, 3) is own
    busy = own.assign(3)
    other = found.choose(key, 3)
    assert other is not own and other is not None
    other.assign(3)
    busy.over()
    assert found.choose(key, 3) is own


def test_one_that_was_slow_is_asked_again_after_a_while() -> None:
    clock = Clock()
    found = roster(clock, {0: 0.1, 1: 0.1, 2: 0.5})
    key = next(key for number in range(99) if home(found, key := digest(str(number))) is found.replicas[2])
    assert found.choose(key, 1) is not found.replicas[2]
    clock.now += 6 * HALF_LIFE_S
    assert found.choose(key, 1) is found.replicas[2]


def test_what_was_waited_for_in_vain_was_no_quick_answer() -> None:
    clock = Clock()
    one = replica(clock)
    answer(one)
    cancelled = one.assign(1)
    clock.now += 10.0
    cancelled.over()
    assert one.latency_s is not None and one.latency_s >= 2.0


# --- the breaker ---


def test_it_opens_at_two_failures_in_a_row_closes_at_an_answer_and_tells_both() -> None:
    clock, changes = Clock(), list[BreakerState]()
    one = replica(clock, changes)
    fail(one)
    answer(one)
    fail(one)
    assert one.state is BreakerState.CLOSED
    fail(one)
    assert one.state is BreakerState.OPEN and not one.due
    clock.now += FIRST_REST_S
    assert one.due
    trial = one.assign(1)
    assert one.state is BreakerState.HALF_OPEN and not one.due
    trial.answered()
    assert changes == [BreakerState.OPEN, BreakerState.CLOSED]


def test_its_rest_doubles_up_to_a_limit_and_is_short_again_after_steady_answers() -> None:
    clock, changes = Clock(), list[BreakerState]()
    one = replica(clock, changes)
    fail(one, 2)
    rests = [one.rest_s]
    for _ in range(8):
        clock.now += one.rest_s
        fail(one)
        rests.append(one.rest_s)
    assert rests == [min(FIRST_REST_S * 2**n, LONGEST_REST_S) for n in range(9)]
    assert changes == [BreakerState.OPEN]  # told once, not at each trial
    clock.now += one.rest_s
    answer(one, STEADY)
    fail(one, 2)
    assert one.rest_s == FIRST_REST_S


def test_those_that_fail_together_open_it_once() -> None:
    one = replica(Clock())
    together = [one.assign(2) for _ in range(50)]
    for each in together:
        each.failed("reset")
        each.over()
    assert one.rest_s == FIRST_REST_S and one.failed == 100 and one.outstanding == 0


def test_an_answer_from_before_it_opened_does_not_close_it_and_a_cancelled_trial_says_nothing() -> None:
    clock = Clock()
    one = replica(clock)
    early = one.assign(1)
    fail(one, 2)
    early.answered()
    assert one.state is BreakerState.OPEN
    clock.now += FIRST_REST_S
    one.assign(1).over()
    assert one.state is BreakerState.OPEN and one.due and one.outstanding == 0


async def test_what_it_owes_is_interrupted_when_it_fails_again() -> None:
    clock = Clock()
    one = replica(clock)
    owed = one.assign(1)
    began = asyncio.Event()

    async def wait() -> None:
        async with owed.interruptible():
            began.set()
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await began.wait()
    fail(one, 2)
    clock.now += FIRST_REST_S
    fail(one)
    clock.now += 2 * FIRST_REST_S
    fail(one)  # before what is interrupted has ended
    with pytest.raises(ModelUnavailable, match="fails by now"):
        await waiting
    with pytest.raises(TimeoutError):  # a model's own stays what it is
        async with one.assign(1).interruptible():
            raise TimeoutError


def test_one_that_is_set_aside_stays_so() -> None:
    clock = Clock()
    one = replica(clock)
    owed = one.assign(2)
    one.set_aside("it differs")
    owed.answered()
    owed.failed("reset")
    clock.now += 1000.0
    assert one.state is BreakerState.SET_ASIDE and one.error == "it differs" and not one.due


@given(st.lists(st.tuples(st.sampled_from(["assign", "answer", "fail", "over", "wait"]), st.integers(0, 9))))
def test_what_is_outstanding_is_what_is_owed(deeds: list[tuple[str, int]]) -> None:
    clock = Clock()
    one, owed = replica(clock), []
    for deed, number in deeds:
        if deed == "assign":
            owed.append(one.assign(number + 1))
        elif deed == "wait":
            clock.now += number
        elif owed:
            chosen = owed[number % len(owed)]
            if deed == "answer" and chosen.left:
                chosen.answered()
            elif deed == "fail":
                chosen.failed("reset")
            elif deed == "over":
                chosen.over()
        assert one.outstanding == sum(each.left for each in owed)
        assert one.asked >= one.answered + one.failed + one.outstanding
    for each in owed:
        each.over()
    assert one.outstanding == 0


# --- the odd one ---


def named(errors: list[float], threes: int, seed: int) -> int | None:
    """Return who of four is named, each drawing wrong answers, all different, at its own rate."""
    rng = random.Random(seed)
    odd: OddOneOut[int] = OddOneOut(len(errors))
    for _ in range(threes):
        said = {
            who: str(rng.random()) if rng.random() < errors[who] else "right"
            for who in rng.sample(range(len(errors)), 3)
        }
        if (found := odd.see(said)) is not None:
            return found
    return None


def test_healthy_ones_are_hardly_ever_named_however_much_they_err() -> None:
    for error in (0.01, 0.3, 0.7):
        assert sum(named([error] * 4, 400, seed) is not None for seed in range(50)) <= 1


def test_one_that_errs_more_is_named_and_no_other() -> None:
    # docs/replicas.md has the medians: 13, 69 and 465
    assert {named([0.02, 0.02, 0.02, 0.2], 3000, seed) for seed in range(20)} == {3}
    assert {named([0.02, 0.02, 0.02, 1.0], 60, seed) for seed in range(20)} == {3}


def test_white_space_is_no_difference_and_three_different_answers_say_nothing() -> None:
    odd: OddOneOut[str] = OddOneOut(3)
    for _ in range(100):
        assert odd.see({"a": "x  y\n", "b": "x y", "c": " x\ty"}) is None
        assert odd.see({"a": "x", "b": "y", "c": "z"}) is None
    assert odd.times("a") == (0, 0)
