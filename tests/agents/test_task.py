from collections.abc import Mapping

import pytest

from surefoot import NotAnAnswer
from surefoot.agents.tasks.task import Task, Value, sampling_for
from surefoot.models.base import Prompt, Sampling
from surefoot.voting import PAPER, TooLong


class Countdown(Task[int, int]):
    """No more than a task must have."""

    name = "countdown"

    def spec(self) -> Mapping[str, Value]:
        return {}

    def start(self) -> int:
        return 3

    def ask(self, state: int, view: int = 0) -> Prompt:
        return f"What comes after {state}?"

    def read(self, text: str, state: int, view: int = 0) -> int:
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        return answer

    def finished(self, state: int) -> bool:
        return state == 0


def test_a_task_that_says_nothing_of_speculation_is_free_of_side_effects_and_offers_drafts_nothing() -> None:
    task = Countdown()
    assert not task.acts(3)
    assert task.guess(3, 2) is None
    assert task.short() is None
    assert task.ask_ahead(3, 8) is None
    assert task.gist(3, 2) is None
    assert task.unfold(3, 2) is None
    with pytest.raises(NotAnAnswer, match="'countdown' asks for one step at a time"):
        task.read_ahead("2", 3)


class Brief(Countdown):
    """A task whose answers may have five tokens."""

    flags = PAPER | TooLong(5)


@pytest.mark.parametrize(
    ("task", "given", "drawn"),
    [
        (Countdown(), None, Sampling()),
        (Countdown(), Sampling(0.7, None, 2000), Sampling(0.7, None, 2000)),
        (Brief(), None, Sampling(max_tokens=5)),
        (Brief(), Sampling(0.7, None, 2000), Sampling(0.7, None, 5)),
        (Brief(), Sampling(0.7, None, 4), Sampling(0.7, None, 4)),
    ],
    ids=["the task's own", "the user's", "capped", "the user's, capped", "shorter than it may be"],
)
def test_no_sample_is_drawn_longer_than_the_flags_of_its_task_let_pass(
    task: Countdown, given: Sampling | None, drawn: Sampling
) -> None:
    assert sampling_for(task, given) == drawn
    assert sampling_for(task, drawn) == drawn
