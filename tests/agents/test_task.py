from collections.abc import Mapping

import pytest
from surefoot import NotAnAnswer
from surefoot.agents.model import Prompt
from surefoot.agents.task import Task, Value


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
