import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput, Columns, NotAnAnswer

numbers = st.integers(0, 10**12)


def followed(task: Columns, rng: random.Random) -> bool:
    """Answer every step by its prompt, in a random view."""
    state = task.start()
    while not task.finished(state):
        view = rng.randrange(2)
        a, _, b, _, digit, _, carry = task.ask(state, view)[-1].content.split()  # type: ignore[union-attr]
        answer = task.read(f"{int(a) * int(b) + int(digit) + int(carry):02d}", state, view)
        assert task.audit(state, answer) is None
        before, state = state, task.advance(state, answer)
        assert task.guess(before, state, view) == task.show(answer)
    return task.solved(state)


@given(numbers, numbers, st.integers())
def test_following_the_prompts_multiplies(a: int, b: int, seed: int) -> None:
    task = Columns((a, b))
    assert followed(task, random.Random(seed))
    assert task.steps() == len(str(a)) * len(str(b))


@given(numbers, numbers, st.integers())
def test_the_cases_for_calibration_are_right(a: int, b: int, seed: int) -> None:
    task = Columns((a, b))
    state, answer = task.case(random.Random(seed))
    assert answer is not None
    assert task.audit(state, answer) is None
    assert task.audit(state, ((answer[0] + 1) % 10, answer[1])) is not None


@pytest.mark.parametrize("text", ["", "7", "107", "4 2", "42.", "four two", "²³"])
def test_an_answer_is_two_digits_and_nothing_else(text: str) -> None:
    with pytest.raises(NotAnAnswer):
        Columns((12, 34)).read(text, Columns((12, 34)).start())


@pytest.mark.parametrize("factor", ["", "-1", "1.5", "x", "１２"])
def test_a_factor_is_a_whole_number(factor: str) -> None:
    with pytest.raises(BadInput, match="whole number"):
        Columns((factor, "2"))


def test_a_wrong_product_is_not_solved() -> None:
    assert not Columns((2, 3)).solved((1, 0, (7, 0)))
