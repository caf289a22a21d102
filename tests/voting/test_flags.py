"""Red flags: what throws a sample away, and under which name."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.voting import (
    PAPER,
    AnyOf,
    Flag,
    InvariantBroken,
    Malformed,
    NotAnAnswer,
    Reading,
    RedFlag,
    Sample,
    TooLong,
    Truncated,
    Unsure,
    screen,
)


def number(text: str) -> int:
    """Read a whole number and nothing else."""
    if not text.isdigit():
        raise NotAnAnswer(f"{text!r} is not a number")
    return int(text)


def odd(state: object, answer: int) -> str | None:
    return f"{answer} is odd" if answer % 2 else None


def reading(text: str = "4", finish: str | None = "stop", tokens: int | None = 1) -> Reading[int]:
    return Reading(Sample(text, finish, tokens), number)


def told(logprob: float | None) -> Reading[int]:
    return Reading(Sample("4", logprob=logprob), number)


some_flags = st.sampled_from([TooLong(), TooLong(5), Truncated(), Malformed(), InvariantBroken("odd", odd)])
some_readings = st.builds(
    reading,
    text=st.sampled_from(["4", "7", "four"]),
    finish=st.sampled_from(["stop", "length", "content_filter", None]),
    tokens=st.sampled_from([None, 1, 9]),
)


@given(some_flags, some_flags, some_flags, some_readings)
def test_combination_is_associative(a: Flag, b: Flag, c: Flag, sample: Reading[int]) -> None:
    assert (a | b) | c == a | (b | c)
    assert screen(sample, (a | b) | c) == screen(sample, a | (b | c))


@given(st.lists(some_flags, min_size=2, max_size=5), some_readings)
def test_the_first_flag_that_fires_names_the_reason(flags: list[Flag], sample: Reading[int]) -> None:
    combined = flags[0] | flags[1]
    for flag in flags[2:]:
        combined = combined | flag
    assert screen(sample, combined) == first_objection(sample, flags)


def first_objection(sample: Reading[int], flags: list[Flag]) -> int | RedFlag:
    for flag in flags:
        try:
            if red := flag.raised_by(sample):
                return red
        except NotAnAnswer:
            break
    return screen(sample, AnyOf(()))


@pytest.mark.parametrize(
    ("flag", "sample", "reason"),
    [
        (TooLong(5), lambda: reading(tokens=6), "too long"),
        (TooLong(), lambda: reading(finish="length"), "too long"),
        (Truncated(), lambda: reading(finish=None), "truncated"),
        (Truncated(), lambda: reading(finish="content_filter"), "truncated"),
        (Malformed(), lambda: reading("four"), "malformed"),
        (InvariantBroken("odd", odd), lambda: reading("7"), "odd"),
        (AnyOf(()), lambda: reading("four"), "malformed"),
        (Unsure(-0.5), lambda: told(-0.51), "unsure"),
    ],
)
def test_each_flag_fires_on_its_own_fault(
    flag: Flag, sample: Callable[[], Reading[int]], reason: str
) -> None:
    outcome = screen(sample(), flag)
    assert isinstance(outcome, RedFlag)
    assert outcome.reason == reason
    assert screen(reading(), flag) == 4


@pytest.mark.parametrize(
    ("flag", "sample"),
    [
        (TooLong(5), reading(tokens=5)),
        (TooLong(5), reading(tokens=None)),
        (Truncated(), reading(finish="length")),
        (PAPER, reading("7")),
        (Unsure(-0.5), told(-0.5)),
        (Unsure(-0.5), told(None)),
    ],
    ids=[
        "just short enough",
        "length unknown",
        "length is for TooLong",
        "no rules of the task",
        "just sure enough",
        "not told",
    ],
)
def test_a_flag_lets_pass_what_is_not_its_fault(flag: Flag, sample: Reading[int]) -> None:
    assert not isinstance(screen(sample, flag), RedFlag)


@pytest.mark.parametrize(
    ("flag", "limit"),
    [
        (TooLong(5), 5),
        (TooLong(), None),
        (PAPER, None),
        (Truncated() | Malformed() | InvariantBroken("odd", odd), None),
        (PAPER | TooLong(5), 5),
        (TooLong(9) | (Malformed() | TooLong(5)) | TooLong(7), 5),
        (AnyOf(()), None),
        (AnyOf((AnyOf((TooLong(3),)), TooLong(4))), 3),
    ],
)
def test_the_limit_of_a_flag_is_the_length_past_which_no_sample_gets_by_it(
    flag: Flag, limit: int | None
) -> None:
    assert flag.limit == limit


@pytest.mark.parametrize("logprob", [0, 0.5, math.nan, -math.inf, None])
def test_a_threshold_that_is_none_is_refused(logprob: Any) -> None:
    with pytest.raises(BadInput, match="below 0"):
        Unsure(logprob)


@pytest.mark.parametrize("tokens", [0, -5])
def test_a_length_that_no_sample_can_have_is_refused(tokens: int) -> None:
    with pytest.raises(BadInput, match=f"TooLong needs at least 1 token, not {tokens}"):
        TooLong(tokens)


def test_an_answer_that_is_zero_is_a_ballot() -> None:
    assert screen(reading("0"), PAPER) == 0


def test_a_check_sees_the_state_that_was_asked_about() -> None:
    same = InvariantBroken("moved", lambda state, answer: None if state == answer else "not the same")
    assert screen(Reading(Sample("4"), number, state=4), same) == 4
    assert screen(Reading(Sample("4"), number, state=5), same) == RedFlag("moved", "not the same")


def test_an_answer_is_read_once_however_many_flags_look_at_it() -> None:
    texts: list[str] = []

    def read(text: str) -> int:
        texts.append(text)
        return 4

    screen(Reading(Sample("x"), read), PAPER | InvariantBroken("odd", odd) | Malformed())
    assert texts == ["x"]


class Says(Flag):
    def __init__(self, raised: Any) -> None:
        self._raised = raised

    def raised_by(self, reading: Reading[Any]) -> RedFlag | None:
        raised: RedFlag | None = self._raised
        return raised


@pytest.mark.parametrize("raised", [True, False, "maybe", "", 0])
@pytest.mark.parametrize("combined", [False, True])
def test_what_a_flag_raises_is_never_a_ballot(raised: object, combined: bool) -> None:
    flag = PAPER | Says(raised) if combined else Says(raised)
    with pytest.raises(TypeError, match="`raised_by` of Says returns a RedFlag or None, not"):
        screen(reading("4"), flag)


@pytest.mark.parametrize("other", [number, Says, None])
def test_what_is_no_flag_does_not_combine_with_one(other: Any) -> None:
    with pytest.raises(BadInput, match="a red flag is an object whose class derives from Flag"):
        PAPER | other


@pytest.mark.parametrize("name", ["too long", "truncated", "malformed"])
def test_an_invariant_does_not_mix_with_the_counts_of_another_flag(name: str) -> None:
    with pytest.raises(BadInput, match="is counted already"):
        InvariantBroken(name, lambda state, answer: None)
