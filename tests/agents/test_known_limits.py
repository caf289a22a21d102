"""A model that is known not to know a task is refused before it is asked anything."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

import surefoot
from surefoot import BadInput, Columns, Settings, Task, Towers
from surefoot.agents.perception import SeenTowers
from surefoot.agents.tasks.known_limits import check_known
from surefoot.models.base import Prompt
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.server import DoubleServer


class Sum(Task[int, int]):
    """A task of one's own."""

    name = "sum"

    def spec(self) -> Mapping[str, Any]:
        return {}

    def start(self) -> int:
        return 1

    def ask(self, state: int, view: int = 0) -> Prompt:
        return "48+67="

    def read(self, text: str, state: int, view: int = 0) -> int:
        return 0

    def advance(self, state: int, answer: int) -> int:
        return 0

    def finished(self, state: int) -> bool:
        return state == 0

    def case(self, rng: random.Random) -> Any:
        return surefoot.Case(1)

    def steps(self) -> int:
        return 1


REFUSED: list[tuple[str, Task[Any, Any], str]] = [
    ("pebble", Columns((12, 34)), "for task 'columns' give the address of a model that knows it"),
    ("pebble", Towers(3, "verbose"), "choose it instead of style 'verbose'"),
    ("pebble-numpy", Towers(3, "verbose"), "choose it instead of style 'verbose'"),
    ("pebble-numpy", Columns((12, 34)), "for task 'columns'"),
    ("pebble", Towers(21, "compact"), "for 21 disks"),
    ("pebble", Sum(), "for task 'sum'"),
    ("ponder", Towers(3, "compact"), "not task 'towers'"),
    ("ponder", Towers(3, "verbose"), "not task 'towers'"),
    ("ponder", Columns((12, 34)), "not task 'columns'"),
]


@pytest.mark.parametrize(("model", "task", "said"), REFUSED)
async def test_run_and_plan_refuse_in_one_sentence_before_anything_is_opened(
    model: str, task: Task[Any, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        await surefoot.plan(task, model=model)
    assert model in str(refused.value)
    with pytest.raises(BadInput, match=said):
        await surefoot.run(task, model=model, redis="unix:///nowhere")


def test_of_a_model_and_its_judge_the_first_is_looked_at() -> None:
    others = " ~ http://gpu:8000/v1"
    for model, task, said in REFUSED:
        with pytest.raises(BadInput, match=said) as refused:
            check_known(model + others, task)
        assert str(refused.value).startswith(f"{model} knows ")
    check_known(f"pebble{others}", Towers(20, "compact"))
    check_known(f"http://gpu:8000/v1{others}", Columns((1, 2)))


@pytest.mark.parametrize("others", [" + glance", " ~ pebble + glance"])
def test_nothing_is_known_of_a_planner_with_a_perceiver(others: str) -> None:
    """SeenTowers asks pebble what pebble knows; another task may ask the perceiver alone."""
    for model, task, _ in REFUSED:
        check_known(model + others, task)
    check_known(f"pebble{others}", SeenTowers(3))


async def test_what_a_server_serves_is_looked_at_too() -> None:
    async with DoubleServer(towers_double(name="pebble")) as server:
        with pytest.raises(BadInput, match="pebble knows one procedure"):
            await surefoot.plan(Columns((12, 34)), model=server.url)
        assert (await surefoot.plan(Towers(4, "compact"), Settings(states=15), model=server.url)).steps == 15


@pytest.mark.parametrize(
    ("model", "task"),
    [
        ("pebble", Towers(20, "compact")),
        ("pebble-numpy", Towers(3, "compact", "move")),
        ("ponder", Sum()),
        ("http://gpu:8000/v1", Columns((1, 2))),
        ("qwen3", Towers(21, "verbose")),
    ],
)
def test_nothing_else_is_refused(model: str, task: Task[Any, Any]) -> None:
    check_known(model, task)
