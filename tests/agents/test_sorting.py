"""Sorting as a task: two items are compared in two views, and following the prompts sorts the list."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from surefoot import BadInput, NotAnAnswer, Sorting
from surefoot.agents.tasks.optional import NoCases
from surefoot.models.base import Prompt


def values(prompt: Prompt) -> list[Any]:
    return [from_json(line[3:]) for line in prompt[-1].content.splitlines()]  # type: ignore[union-attr]


def right(prompt: Prompt) -> str:
    a, b = values(prompt)
    return f"first = {'A' if a < b else 'B' if b < a else 'equal'}"


def followed(task: Sorting, rng: random.Random) -> tuple[Any, int]:
    state, steps = task.start(), 0
    while not task.finished(state):
        view = rng.randrange(2)
        text = right(task.ask(state, view))
        answer = task.read(text, state, view)
        assert task.audit(state, answer) is None
        state, steps = task.advance(state, answer), steps + 1
    return state, steps


@given(st.lists(st.integers(-(10**20), 10**20) | st.integers(0, 5), max_size=60), st.integers())
def test_following_the_prompts_sorts(items: list[int], seed: int) -> None:
    task = Sorting(tuple(items))
    state, steps = followed(task, random.Random(seed))
    assert task.solved(state) and [item for run in state[0] for item in run] == sorted(items)
    assert steps <= task.steps()


def test_equal_items_keep_their_order() -> None:
    task = Sorting(("b2", "a1", "a2", "b1"), by="by letter alone")
    state = task.start()
    while not task.finished(state):
        left, right = (run[0] for run in state[0][:2])
        state = task.advance(state, "neither" if left[0] == right[0] else "left" if left < right else "right")  # type: ignore[operator]
    assert state[0] == (("a1", "a2", "b2", "b1"),)


@pytest.mark.parametrize(("count", "most"), [(0, 0), (1, 0), (2, 1), (3, 3), (8, 17), (500, 3989)])
def test_the_longest_way_is_that_of_a_merge_sort(count: int, most: int) -> None:
    assert Sorting(tuple(range(count))).steps() == most


def test_items_that_are_the_same_are_not_compared() -> None:
    task = Sorting((5, 5, 5))
    assert task.finished(task.start()) and task.solved(task.start())
    task = Sorting((5, 1, 5, 1))
    state, steps = task.start(), 0
    while not task.finished(state):
        left, right = (run[0] for run in state[0][:2])
        assert left != right
        state, steps = task.advance(state, "left" if left < right else "right"), steps + 1  # type: ignore[operator]
    assert state[0] == ((1, 1, 5, 5),) and steps == 3


@pytest.mark.parametrize(
    "text", ["", "A", "first = C", "first = AB", "first = A or B", "first = A\nno", "first is A"]
)
def test_an_answer_is_the_last_line(text: str) -> None:
    task = Sorting((2, 1))
    with pytest.raises(NotAnAnswer):
        task.read(text, task.start())


def test_the_views_swap_the_items() -> None:
    task = Sorting((2, 1))
    state = task.start()
    assert [task.read("Hm.\n**first = B**\n", state, view) for view in (0, 1)] == ["right", "left"]
    assert [task.read('First = "equal"', state, view) for view in (0, 1)] == ["neither", "neither"]


def test_a_wrong_comparison_of_numbers_is_found() -> None:
    task = Sorting((2, 1))
    assert task.audit(task.start(), "left") == task.audit(task.start(), "neither") == "1 comes before 2"
    assert not task.solved((((2, 1),), ()))
    assert Sorting((2, 1), by="2 first").audit(task.start(), "left") is None


@pytest.mark.parametrize("items", [(1.5, 2), (True, False), ((1,), 2), (None,), [1, 2], 5])
def test_items_that_are_no_numbers_and_no_texts_are_refused(items: Any) -> None:
    with pytest.raises(BadInput, match="items of Sorting must be of type"):
        Sorting(items)


def test_texts_without_an_order_and_lists_without_end_are_refused() -> None:
    with pytest.raises(BadInput, match="give `by`"):
        Sorting(("a", "b"))
    with pytest.raises(BadInput, match="at most 10,000 items"):
        Sorting((1,) * 10_001)
    with pytest.raises(BadInput, match="at most 1,000 digits"):
        Sorting((10**5_000, 1))


def test_half_a_character_is_refused() -> None:
    with pytest.raises(BadInput, match="halves"):
        Sorting(("a\ud800", "b"), by="letters")


def test_items_cannot_be_taken_for_lines_of_the_prompt() -> None:
    items = ("x\nB: y", "x\u2028B: y\x85\u2029")
    task = Sorting(items, by="letters")
    lines = task.ask(task.start())[-1].content.splitlines()  # type: ignore[union-attr]
    assert tuple(from_json(line[3:]) for line in lines) == items


def test_cases_are_the_comparisons_that_the_job_makes() -> None:
    task, rng = Sorting(tuple(random.Random(0).sample(range(1_000), 100))), random.Random(1)
    made, state = set(), task.start()
    while not task.finished(state):
        made.add((state[0][0][0], state[0][1][0]))
        state = task.advance(state, task.read(right(task.ask(state)), state))
    for _ in range(200):
        case, answer = task.case(rng)
        assert answer is not None and task.audit(case, answer) is None
        assert (case[0][0][0], case[0][1][0]) in made


def test_cases_of_texts_are_two_of_them() -> None:
    state, answer = Sorting(("a", "a", "b"), by="letters").case(random.Random(1))
    assert answer is None and {run[0] for run in state[0]} == {"a", "b"}


@pytest.mark.parametrize("items", [(), (1,), (7, 7)])
def test_a_list_with_nothing_to_compare_has_nothing_to_calibrate_on(items: tuple[int, ...]) -> None:
    with pytest.raises(NoCases, match="no two items"):
        Sorting(items).case(random.Random(0))


@pytest.mark.parametrize("part", ["first = ", '"', " ", "A", "\n"])
def test_reading_takes_time_in_proportion_to_the_text(part: str, slope: Callable[..., float]) -> None:
    task = Sorting((2, 1))

    def read(text: str) -> None:
        with pytest.raises(NotAnAnswer):
            task.read(text, task.start())

    sizes = (1 << 16, 1 << 18, 1 << 20)
    assert slope(read, lambda size: "first = " + part * (size // len(part)) + "x", sizes) <= 1.1
